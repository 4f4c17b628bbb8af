// Times as text: RFC 3339 in UTC with milliseconds, as every answer and log line carries them.
#pragma once

#include "services/domain/task.hpp"

#include <string>

namespace task_runner {

/// `2026-01-31T23:59:59.123Z`. Years 1970 to 9999. Thread-safe and independent of locale and time zone.
std::string format_time(wall_time_ms time_ms);

/// The real wall clock, in milliseconds since the Unix epoch. Thread-safe.
wall_time_ms system_now_ms() noexcept;

} // namespace task_runner
