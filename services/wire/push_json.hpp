// Decoding of a task definition out of a JSON object, as HTTP bodies and Redis messages carry it.
// One decoder for every source, so that a member means the same wherever it comes from.
#pragma once

#include "services/domain/push.hpp"

#include <string_view>

namespace task_runner {

/// Decodes `text` (one JSON object) into a push_item: `task`, `chan` or `channel`, `id`, `command` (a string,
/// `{"name":S,"args":[S…]}` or, with `args` beside it, a program name), `args`, `delay` (seconds),
/// `execute_at` (Unix seconds, or RFC 3339 text), `distinct_key` and the options of
/// services/wire/task_options_json.hpp; `ts` and unknown members are ignored. `command` as a string
/// without `args` is a command line; with `args` it is an argv, never parsed. Without `task` the command's
/// text becomes the name. The item is NOT checked: call check_push. `invalid_argument` for text that is not
/// JSON or members of the wrong type; the message names the member.
result<push_item> decode_push_json(std::string_view text);

} // namespace task_runner
