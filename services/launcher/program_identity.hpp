// Which program a process runs: the file it was executed from, told apart from any other by where it lies and
// what it looks like. Daemon and launcher compare theirs to see whether one of them is newer.
#pragma once

#include "services/launcher/byte_codec.hpp"

#include <cstdint>

namespace task_runner::launcher {

/// The file of a program; all zero when it could not be looked at. A plain value.
struct program_identity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  /// Last modification, nanoseconds since the epoch.
  int64_t modified_ns = 0;

  bool known() const noexcept { return inode != 0; }
  bool operator==(const program_identity& other) const noexcept {
    return device == other.device && inode == other.inode && size == other.size &&
           modified_ns == other.modified_ns;
  }
  bool operator!=(const program_identity& other) const noexcept { return !(*this == other); }
};

/// The program of this process, as its file was when the process began: what happens to the file later does
/// not change it. Thread-safe.
const program_identity& own_program() noexcept;

/// The file behind a descriptor.
program_identity identify_program(int descriptor) noexcept;

void write_identity(byte_writer& out, const program_identity& identity);
program_identity read_identity(byte_reader& in);

} // namespace task_runner::launcher
