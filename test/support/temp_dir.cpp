// Temporary directories through mkdtemp. Removal is best effort and never fails a test.
#include "test/support/temp_dir.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace task_runner::test {

temp_dir::temp_dir(const std::string& prefix)
    : path_("/tmp/" + prefix + "-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr)
    throw std::runtime_error("cannot make " + path_ + ": " + std::strerror(errno));
}

temp_dir::~temp_dir() {
  // Whatever still ends may make a file while the others are removed. What stays after that stays: the test
  // has its verdict already.
  std::error_code ignored;
  for (int tries = 0; tries < 3 && std::filesystem::exists(path_, ignored); ++tries)
    std::filesystem::remove_all(path_, ignored);
}

} // namespace task_runner::test
