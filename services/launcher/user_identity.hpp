// Users that commands are run as: looked up before the fork, because a child of a fork must not ask name
// services.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/steady_clock.hpp"

#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace task_runner::launcher {

/// What a process has to become to be a user, and what `su` would tell it about itself.
struct user_identity {
  uid_t user = 0;
  gid_t group = 0;
  /// All groups, the first one included.
  std::vector<gid_t> groups;
  std::string name;
  std::string home;
  std::string shell;
};

/// Looks users up and remembers them for a minute, as name services may be slow. Not thread-safe.
class user_directory {
public:
  /// By name, else by number. `not_found` for a user that does not exist; `forbidden` where this process may
  /// not become another user; `unavailable` when name services fail, `overloaded` when descriptors or memory
  /// have run out.
  result<user_identity> find(const std::string& user);

private:
  struct remembered {
    user_identity identity;
    steady_ms until = 0;
  };
  std::map<std::string, remembered> users_;
};

} // namespace task_runner::launcher
