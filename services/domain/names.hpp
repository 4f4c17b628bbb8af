// The alphabet of task ids and channel names, the checks on text from outside, and fresh task ids.
// Every way in uses these, so that no two ways in disagree about what is valid.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <string>
#include <string_view>

namespace task_runner {

/// Longest task id or channel name, in bytes.
constexpr size_t name_length_max = 128;

/// Longest command line or single argument, in bytes: Linux refuses a longer argument with E2BIG.
constexpr size_t command_length_max = 131'071;

/// Most arguments in an explicit argv.
constexpr size_t argument_count_max = 4'096;

/// Most bytes of all arguments of an explicit argv together.
constexpr size_t argument_bytes_max = 1'048'576;

/// Whether `text` is 1 to `name_length_max` of `A-Z a-z 0-9 . _ : -`.
bool is_valid_name(std::string_view text) noexcept;

/// Whether `text` is well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF).
bool is_valid_utf8(std::string_view text) noexcept;

/// Checks text from outside: valid UTF-8 and no NUL. `what` names the field in the message.
result<void> check_text(std::string_view what, std::string_view text);

/// A fresh UUIDv7 (RFC 9562, section 5.7) as 36 characters: 48 bits of `now_ms`, the rest random.
/// Thread-safe; ids made by one thread within one millisecond still ascend.
std::string make_task_id(wall_time_ms now_ms);

/// The id of another task that belongs to the same request as the one with this id, which make_task_id() has
/// made: the same for the same number, `id` itself for 0.
std::string make_sibling_id(const std::string& id, uint32_t number);

/// A fresh random UUID (version 4). Thread-safe.
std::string make_uuid();

} // namespace task_runner
