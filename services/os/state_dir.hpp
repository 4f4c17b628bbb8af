// The state directory: made, checked and locked against a second daemon. It is also the place of this node's
// id.
#pragma once

#include "services/domain/result.hpp"
#include "services/os/descriptor.hpp"

#include <string>
#include <vector>

namespace task_runner {

/// Holds the state directory's lock until it is destroyed. Move-only.
class state_dir {
public:
  /// Creates the directory (and its parents) with mode 0700 where there is none, checks that it belongs to
  /// this user alone, locks it, and reads or creates its node id. `conflict` when another daemon holds it.
  /// `invalid_argument` with a message that names the path when it cannot be made or used, belongs to someone
  /// else, holds files that others could have put there, or has a damaged node id. A directory that others
  /// can read, or an empty one that they can write to, is tightened to 0700 with a warning.
  static result<state_dir> open(const std::string& path);

  const std::string& path() const noexcept { return path_; }

  /// This node's UUID, 36 characters; the same for as long as the directory lives.
  const std::string& node_id() const noexcept { return node_id_; }

  /// Sentences for the log.
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  /// The directory itself, for openat() and fsync().
  int directory() const noexcept { return directory_.get(); }

private:
  explicit state_dir(std::string path)
      : path_(std::move(path)) {}

  std::string path_;
  std::string node_id_;
  std::vector<std::string> warnings_;
  descriptor directory_;
  /// Closing it releases the lock.
  descriptor lock_;
};

} // namespace task_runner
