// The envelope every API answer comes in: {"status_code":N,"message":S,"data":…}.
// Renders text only; what `data` holds is rendered by whoever knows it.
#pragma once

#include "services/domain/error.hpp"

#include <string>
#include <string_view>

namespace task_runner {

/// Content-Type of every envelope.
constexpr std::string_view envelope_content_type = "application/json; charset=utf-8";

/// Seconds after which a client may try again, sent as Retry-After with 429 and 503.
constexpr int retry_after_s = 1;

/// The envelope as JSON. `data_json` and `members_json` are JSON already: a value, and further members of the
/// envelope itself such as `"actors":[],"daemon":{}` (without braces; empty for none). `message` is plain
/// text.
std::string make_envelope(int status_code, std::string_view message, std::string_view data_json = "null",
                          std::string_view members_json = {});

/// The envelope of an error, with its HTTP status and `"data":null`.
std::string make_envelope(const error& failure);

} // namespace task_runner
