// Runs a fuzz target over the files that are named, or that lie in the folders that are, without libFuzzer: every
// compiler and sanitizer can then hold what fuzzing has found.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

namespace {

bool replay(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return false;
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path(argv[i]);
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      if (!replay(path)) {
        std::fprintf(stderr, "can't read %s\n", argv[i]);
        return 1;
      }
      ++inputs;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) inputs += replay(entry.path()) ? 1 : 0;
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;  // a corpus that is not found would replay nothing and look well
}
