// A file system of a test's own, small enough to fill up, and able to turn read-only.
// Mounted where nobody but the test and what it starts can see it, and gone with them.
#pragma once

#include "test/support/temp_dir.hpp"

#include <cstdint>
#include <string>

namespace task_runner::test {

/// A tmpfs. Needs the right to mount; where that is missing, mounted() is false and the test must say so.
/// Moves the whole process into a mount namespace of its own, so make it before any thread. Not thread-safe.
class small_disk {
public:
  explicit small_disk(uint64_t bytes);
  ~small_disk();
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;

  bool mounted() const noexcept { return why_not_.empty(); }
  /// Why it could not be mounted.
  const std::string& why_not() const noexcept { return why_not_; }
  /// Mode 0700, empty at first.
  const std::string& path() const noexcept { return directory_.path(); }

  /// Leaves not a single byte free.
  void fill();
  /// Takes away what fill() has put there.
  void make_room();
  /// False where a file is open for writing. Throws std::runtime_error for any other reason.
  bool set_read_only(bool read_only);

private:
  std::string ballast() const { return path() + "/ballast"; }

  temp_dir directory_{"tr-disk"};
  std::string options_;
  std::string why_not_;
};

} // namespace task_runner::test
