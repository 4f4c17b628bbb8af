// A request as names and plain values, whether it came as a JSON object, as a form or as a query.
// What a member means is judged by its decoder, once for all of them.
#pragma once

#include "services/domain/result.hpp"
#include "services/wire/json_reader.hpp"
#include "services/wire/task_options_reader.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// One member with a plain value. In forms and queries every value is text.
struct flat_member {
  std::string name;
  json_scalar value;
  /// It stood in an array: `"state":["dead","cancelled"]` gives two members.
  bool listed = false;
};

/// The members in the order in which they came; names may repeat, the last one counts.
struct flat_object {
  std::vector<flat_member> members;
  /// Members whose value is an object, an empty array, or an array that holds another or an object.
  std::vector<std::string> nested;
  /// Task options, where they were asked for.
  task_options_patch options;
};

/// Reads one JSON object; empty text is the empty object. With `with_options`, members that are task options
/// go into `options`, otherwise they are members like all others. `invalid_argument` when `json` is no
/// object.
result<flat_object> read_flat_object(std::string_view json, bool with_options);

/// Whether a form field is a task option: one of their names, `env[]`, `env[NAME]`, `limits.NAME` or
/// `limits[NAME]`.
bool is_option_field(std::string_view name);

/// Sets the option that a form field means; see is_option_field. `env` takes NAME=VALUE, `env[NAME]` the
/// value alone.
result<void> set_option_field(task_options& options, std::string_view name, std::string_view text);

// Readers of single members; the message of a failure names the member. Texts are read as forms have them.

/// true, false, 1, 0, yes, no, on, off.
result<bool> read_switch(const flat_member& member);
/// A whole number from `low` to `high`: `invalid_argument` for what is none, `out_of_range` outside.
result<int64_t> read_whole(const flat_member& member, int64_t low, int64_t high);
/// Seconds, or a duration as text, from 0 to `high_ms`; milliseconds.
result<int64_t> read_duration(const flat_member& member, int64_t high_ms);
/// A moment: RFC 3339, or Unix seconds of the years 1970 to 9999. Milliseconds.
result<int64_t> read_moment(const flat_member& member);
/// Text.
result<std::string> read_text(const flat_member& member);

/// The error for a member that nobody knows; `allowed` lists those that are known.
error unknown_member(std::string_view name, std::string_view allowed);

} // namespace task_runner
