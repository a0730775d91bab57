// Opening of backends: an answer with the reason for every way in which a shared object can be wrong, and no crash.
#include "../core/registry.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "fake_backend.h"

namespace kvseam {
namespace {

#ifndef KVSEAM_ODD_BACKENDS
#error "CMakeLists.txt names the folder of the odd backends"
#endif

void expectUnavailable(Registry* registry, const std::string& name, const std::string& reason) {
  const kvseam_backend_api* api = nullptr;
  const Status status = registry->find(name, &api);
  EXPECT_EQ(status.code(), KVSEAM_BACKEND_UNAVAILABLE) << name;
  EXPECT_NE(status.text().find(reason), std::string::npos) << name << ": " << status.text();
  EXPECT_EQ(api, nullptr);
}

TEST(Registry, FindsWhatIsBuiltInAndWhatLiesInItsFolder) {
  Registry registry(KVSEAM_ODD_BACKENDS);
  registry.addBuiltIn(FakeBackend::api());
  const kvseam_backend_api* api = nullptr;
  EXPECT_TRUE(registry.find("fake", &api).ok());
  EXPECT_EQ(api, FakeBackend::api());
  const Status status = registry.find("fine", &api);
  ASSERT_TRUE(status.ok()) << status.text();
  EXPECT_STREQ(api->name, "fine");
  const kvseam_backend_api* again = nullptr;
  EXPECT_TRUE(registry.find("fine", &again).ok());
  EXPECT_EQ(again, api);
}

TEST(Registry, SaysWhyAFileIsNoBackendAndStillOpensTheOthers) {
  Registry registry(KVSEAM_ODD_BACKENDS);
  for (int round = 0; round < 2; ++round) {
    expectUnavailable(&registry, "old", "version 2");
    expectUnavailable(&registry, "short", "contract");
    expectUnavailable(&registry, "other_name", "somebody_else");
    expectUnavailable(&registry, "refuses", "refused to start");
    expectUnavailable(&registry, "no_entry", KVSEAM_BACKEND_ENTRY);
    expectUnavailable(&registry, "missing", "cannot open shared object file");
  }
  const kvseam_backend_api* api = nullptr;
  EXPECT_TRUE(registry.find("fine", &api).ok());
}

TEST(Registry, AFileThatIsNoSharedObjectIsAnAnswerToo) {
  char folder[] = "/tmp/kvseam-registry-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/kvseam_text.so";
  const std::string empty = std::string(folder) + "/kvseam_empty.so";
  const std::string cut = std::string(folder) + "/kvseam_cut.so";
  const auto write = [](const std::string& file, const std::string& content) {
    std::FILE* const out = std::fopen(file.c_str(), "w");
    ASSERT_NE(out, nullptr);
    std::fwrite(content.data(), 1, content.size(), out);
    std::fclose(out);
  };
  write(path, "this is not an ELF file\n");
  write(empty, "");
  write(cut, std::string("\x7f"
                         "ELF\2\1\1\0",
                         8));
  Registry registry(folder);
  expectUnavailable(&registry, "text", "kvseam_text.so");
  expectUnavailable(&registry, "empty", "kvseam_empty.so");
  expectUnavailable(&registry, "cut", "kvseam_cut.so");
  for (const std::string& file : {path, empty, cut}) unlink(file.c_str());
  rmdir(folder);
}

TEST(Registry, ANameThatCouldLeaveTheFolderIsNeverOpened) {
  Registry registry("/nowhere");
  for (const std::string& name :
       {std::string(), std::string("../evil"), std::string("a/b"), std::string("Mock"), std::string("a.b"),
        std::string("a b"), std::string("a\0b", 3), std::string(33, 'a'), std::string("ucx\n")}) {
    expectUnavailable(&registry, name, "1 to 32 characters");
  }
  expectUnavailable(&registry, std::string(32, 'a'), "cannot open");
}

}  // namespace
}  // namespace kvseam
