// A directory of a test's own, gone with everything in it when the test ends.
// No two tests ever share one, so they may run side by side.
#pragma once

#include <string>

namespace task_runner::test {

/// Makes a directory (mode 0700) under /tmp and removes it, with all it holds, in the destructor.
/// Throws std::runtime_error when it cannot be made: without it no test can go on.
class temp_dir {
public:
  explicit temp_dir(const std::string& prefix = "tr-test");
  ~temp_dir();
  temp_dir(const temp_dir&) = delete;
  temp_dir& operator=(const temp_dir&) = delete;

  /// Absolute, without a slash at the end.
  const std::string& path() const noexcept { return path_; }
  /// The path of something within.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_;
};

} // namespace task_runner::test
