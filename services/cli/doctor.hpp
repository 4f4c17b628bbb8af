// What the doctor finds: one verdict for each thing it looks at.
// Each group of checks is a function of its own; the verb puts them together and prints them.
#pragma once

#include "services/cli/client.hpp"
#include "services/cli/daemon_api.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

enum class verdict : uint8_t { good, warning, bad };

struct finding {
  std::string name;
  verdict what = verdict::good;
  /// A sentence; for what is not good also what to do.
  std::string text;
};

using findings = std::vector<finding>;

/// What can be done about a Redis that does not answer, besides what its failure says.
constexpr std::string_view no_redis_advice =
    ", or start the daemon with -redis-intake off where none is wanted";

/// The state directory: whether it is there, whose it is, who may read it, whether it can be written, and
/// whether its disk has room.
void check_state_dir(const local_settings& settings, findings& found);

/// The INI file's permissions, and the files of the state directory that others could read.
void check_permissions(const local_settings& settings, findings& found);

/// Redis, its intake keys, and what lies beside them.
void check_intake(const local_settings& settings, findings& found);

/// What the daemon says of itself: readiness, store, launcher, containment, sources, channels. False where it
/// could not be asked.
bool check_daemon(daemon_api& daemon, findings& found);

} // namespace task_runner::cli
