// Reading of RFC 3339 times, as requests may carry them beside Unix seconds.
// The counterpart of services/domain/time_text.hpp, which writes them.
#pragma once

#include "services/domain/task.hpp"

#include <optional>
#include <string_view>

namespace task_runner {

/// The moment that `text` names (`2026-01-31T23:59:59.123Z`, `2026-01-31 23:59:59+02:00`), or nothing when it
/// is not a time of RFC 3339 between 1970 and 9999 UTC. Digits past milliseconds are cut off; a leap second
/// counts as the second after it. Thread-safe, independent of locale and time zone.
std::optional<wall_time_ms> parse_rfc3339(std::string_view text) noexcept;

} // namespace task_runner
