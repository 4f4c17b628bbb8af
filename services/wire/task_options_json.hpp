// Task options as JSON members and as named texts: the one translation that the API, Redis messages, INI
// files and the store share. What one of them can say, all can say, under the same name.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task_options.hpp"
#include "services/wire/json_text.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_runner {

// Members, all optional: priority, max_attempts, backoff ("constant", "linear", "exponential"), backoff_s,
// backoff_max_s, jitter, retry_on (array of exit codes), timeout_s, grace_s, expires_s, delivery
// ("at-least-once", "at-most-once"), concurrency_key, concurrency_max, env (object of texts), cwd, stdin,
// user, nice, umask (octal text such as "022"), limits (object of memory, cpu_s, processes, file_size).
// Durations are numbers of seconds, or text with a unit ("500ms", "5m"); sizes are bytes, or text with a unit
// ("64M"). `timeout`, `grace`, `expires` are read as their names with _s; what is written carries _s.

/// Adds the members that are said to an object that is open in `json`.
void write_task_options(json_writer& json, const task_options& options);

/// The options as one JSON object, `{}` when nothing is said. For the store.
std::string encode_task_options(const task_options& options);

/// A JSON object of these members; `invalid_argument` for any other member or type, `out_of_range` for a
/// value outside its range. Thread-safe.
result<task_options> decode_task_options(std::string_view object);

/// What is said, as names and texts that set_task_option reads back: `limits.memory`, `env.NAME` with the
/// variable's value alone, everything else under its own name.
std::vector<std::pair<std::string, std::string>> list_task_options(const task_options& options);

/// Whether a member with this name is one of the above.
bool is_task_option(std::string_view name) noexcept;

/// Sets one option from text, as INI files, forms and flags have it: lists are separated by commas, `env`
/// takes NAME=VALUE and adds to what is there, `limits.memory` and its like name a limit. `-` in the name is
/// read as `_`. Errors as decode_task_options.
result<void> set_task_option(task_options& options, std::string_view name, std::string_view text);

} // namespace task_runner
