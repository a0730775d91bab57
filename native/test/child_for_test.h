// A child process for tests: this very program, told to run one disabled test that offers memory until it is killed.
#ifndef KVSEAM_TEST_CHILD_FOR_TEST_H_
#define KVSEAM_TEST_CHILD_FOR_TEST_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "engine_for_test.h"

extern char** environ;

namespace kvseam {

constexpr const char* kChildPipe = "KVSEAM_TEST_PIPE";

/** In the child: tells the parent what there is to connect to, and waits for the end. */
[[noreturn]] inline void offerUntilKilled(Engine* engine) {
  const char* const pipe = std::getenv(kChildPipe);
  std::string blob;
  const bool told = pipe != nullptr && engine->agent().exportMetadata(&blob).ok() &&
                    write(std::atoi(pipe), blob.data(), blob.size()) == static_cast<ssize_t>(blob.size());
  if (!told) std::exit(1);
  close(std::atoi(pipe));
  for (;;) pause();
}

class ChildProcess {
 public:
  /** `test` as for --gtest_filter; `settings` as NAME=value go into its environment. */
  explicit ChildProcess(const std::string& test, const std::vector<std::string>& settings = {}) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const int inherited = fcntl(ends[1], F_DUPFD, 100);
    std::vector<std::string> environment(settings);
    for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    environment.push_back(std::string(kChildPipe) + "=" + std::to_string(inherited));
    std::vector<std::string> arguments{"/proc/self/exe", "--gtest_filter=" + test, "--gtest_also_run_disabled_tests",
                                       "--gtest_brief=1"};
    EXPECT_EQ(posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, pointersTo(&arguments).data(),
                          pointersTo(&environment).data()),
              0);
    close(inherited);
    close(ends[1]);
    char buffer[4096];
    for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof(buffer))) > 0;)
      metadata_.append(buffer, static_cast<size_t>(got));
    close(ends[0]);
  }
  ~ChildProcess() { kill(); }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /** Returns once it stands still: SIGSTOP is a request. */
  void freeze() const {
    ::kill(pid_, SIGSTOP);
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, WUNTRACED), pid_);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void thaw() const { ::kill(pid_, SIGCONT); }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
  }
  bool alive() const {
    int status = 0;
    return pid_ != 0 && waitpid(pid_, &status, WNOHANG) == 0;
  }
  const std::string& metadata() const { return metadata_; }

 private:
  static std::vector<char*> pointersTo(std::vector<std::string>* texts) {
    std::vector<char*> out;
    for (std::string& text : *texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
  }

  pid_t pid_ = 0;
  std::string metadata_;
};

}  // namespace kvseam
#endif  // KVSEAM_TEST_CHILD_FOR_TEST_H_
