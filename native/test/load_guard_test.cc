// Loading guards: replaced signal handlers come back, only unset variables are set, two copies of a library are seen.
#include "../core/load_guard.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace kvseam {
namespace {

void ours(int) {}
void theirs(int) {}

void (*handlerOf(int signal))(int) {
  struct sigaction now{};
  EXPECT_EQ(sigaction(signal, nullptr, &now), 0);
  return now.sa_handler;
}

TEST(LoadGuard, PutsBackHandlersThatWereReplacedAndReportsThem) {
  struct sigaction before{};
  struct sigaction mine{};
  mine.sa_handler = ours;
  ASSERT_EQ(sigaction(SIGUSR2, &mine, &before), 0);
  {
    const SignalGuard guard("test-signals");
    struct sigaction other{};
    other.sa_handler = theirs;
    ASSERT_EQ(sigaction(SIGUSR2, &other, nullptr), 0);
    EXPECT_EQ(handlerOf(SIGUSR2), theirs);
  }
  EXPECT_EQ(handlerOf(SIGUSR2), ours);
  EXPECT_EQ(loadReportOf("test-signals").signals, std::vector<int>{SIGUSR2});
  ASSERT_EQ(sigaction(SIGUSR2, &before, nullptr), 0);
}

TEST(LoadGuard, SetsOnlyWhatIsUnset) {
  setenv("UCX_LOG_LEVEL", "info", 1);
  unsetenv("UCX_ERROR_SIGNALS");
  guardEnvironment("test-variables", "/somewhere/kvseam_test.so");
  EXPECT_STREQ(std::getenv("UCX_LOG_LEVEL"), "info");
  EXPECT_STREQ(std::getenv("UCX_ERROR_SIGNALS"), "");
  const LoadReport report = loadReportOf("test-variables");
  EXPECT_EQ(report.file, "/somewhere/kvseam_test.so");
  EXPECT_EQ(std::count(report.variables.begin(), report.variables.end(), "UCX_ERROR_SIGNALS="), 1);
  EXPECT_EQ(std::count(report.variables.begin(), report.variables.end(), "UCX_LOG_LEVEL=fatal"), 0);
  unsetenv("UCX_LOG_LEVEL");
}

TEST(LoadGuard, SeesTwoCopiesOfATransportLibraryUnderWhateverNames) {
  char folder[] = "/tmp/kvseam-twins-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string one = std::string(folder) + "/libnixl.so.0.0.0";
  const std::string two = std::string(folder) + "/libnixl-1a2b3c4d.so.0.1.0";
  for (const std::string& path : {one, two}) {
    std::filesystem::copy_file(std::string(KVSEAM_ODD_BACKENDS) + "/kvseam_fine.so", path);
  }
  const auto twins = [] {
    const std::vector<std::string> all = twinLibraries();
    return std::count_if(all.begin(), all.end(),
                         [](const std::string& text) { return text.starts_with("libnixl from "); });
  };
  ASSERT_NE(dlopen(one.c_str(), RTLD_NOW | RTLD_LOCAL), nullptr);
  EXPECT_EQ(twins(), 0);
  ASSERT_NE(dlopen(two.c_str(), RTLD_NOW | RTLD_LOCAL), nullptr);
  EXPECT_EQ(twins(), 1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kvseam
