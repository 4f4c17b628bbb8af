// What a look at a Redis server from outside shows: whether it can be reached, and where messages wait that
// nobody takes. It changes nothing there, and shares nothing with the intake that runs in a daemon.
#pragma once

#include "services/domain/result.hpp"
#include "services/source/redis_endpoint.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Something that looks like the intake and is not what the daemon takes messages from.
struct misplaced_messages {
  enum class kind : uint8_t {
    /// A list whose name resembles an intake key: a prefix, other letters, another separator.
    similar_key,
    /// The intake key itself, in another database.
    other_database,
    /// The intake key holds something that is no list.
    no_list,
  };
  kind what = kind::similar_key;
  std::string key;
  /// The intake key that it resembles.
  std::string resembles;
  uint32_t db = 0;
  /// Of a list.
  uint64_t messages = 0;
};

/// One intake key, and how much waits in it.
struct intake_backlog {
  std::string key;
  uint64_t messages = 0;
};

struct redis_findings {
  std::string version;
  std::vector<intake_backlog> backlogs;
  std::vector<misplaced_messages> misplaced;
  /// Messages that were refused and wait for a person.
  uint64_t rejected = 0;
  uint64_t keys_seen = 0;
  /// There are more keys than are looked at.
  bool is_cut_short = false;
};

/// Most keys whose names are looked at, and most findings that are told.
constexpr uint64_t checkup_keys_max = 200'000;
constexpr size_t checkup_findings_max = 20;

/// Looks. `unavailable` with a sentence where Redis cannot be used. Takes a few seconds at most, but for a
/// server that answers slowly. Never throws.
result<redis_findings> check_redis(const redis_endpoint& endpoint,
                                   const std::vector<std::string>& intake_keys);

/// Whether somebody may have meant `intake_key` when writing `key`: it stands at its end or beginning, or a
/// few letters differ, separators and upper case not counted. False for the same key and for the daemon's
/// own.
bool resembles_key(std::string_view key, std::string_view intake_key);

} // namespace task_runner
