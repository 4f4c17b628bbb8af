// The names by which a launcher is found in its state directory: launcher.pid, which is also its claim to be
// the only one there, and launcher.sock. Whoever sweeps old files away may take them from under a launcher
// that runs, so that it must be able to tell and to put them back.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <cstdint>
#include <string>

namespace task_runner::launcher {

constexpr const char* pid_file_name = "launcher.pid";
constexpr const char* socket_file_name = "launcher.sock";

/// Tries of claim_directory() while somebody else is just leaving, 10 ms apart.
constexpr int claim_tries = 20;

/// Which file a name stands for; all zero for none. A plain value.
struct entry_identity {
  uint64_t device = 0;
  uint64_t inode = 0;

  bool known() const noexcept { return inode != 0; }
  bool operator==(const entry_identity& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
};

/// The socket that `launcher.sock` in the directory stands for now; unknown when there is no such name, or
/// when it stands for something else than a socket.
entry_identity identify_socket(int directory) noexcept;

/// Locks launcher.pid and the directory itself, and writes our pid. Either lock keeps other launchers away,
/// so that nobody takes the place of one whose launcher.pid was removed; where a file system cannot lock
/// directories the file alone must do. The descriptor of the directory holds its lock, the result that of the
/// file. `conflict` when another launcher has one of them.
result<owned_descriptor> claim_directory(int directory, int tries = claim_tries);

/// Whether launcher.pid is still the file that was locked.
bool claim_stands(int directory, int lock) noexcept;

/// The pid in launcher.pid; 0 when it says none.
int claimed_by(const std::string& state_dir);

/// What a person can do about a launcher that does not answer; `pid` 0: nobody knows which process it is.
std::string describe_silence(int pid);

} // namespace task_runner::launcher
