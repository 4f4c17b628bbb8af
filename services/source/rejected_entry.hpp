// A refused message as it stands in the list of rejected ones: the reason, the time, and the message itself.
// People read these entries, and may push the message again once it is put right.
#pragma once

#include "services/domain/task.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace task_runner {

/// `{"reason":S,"at":TIME,"message":TEXT}`, or `message_base64` where `message` is not UTF-8. When `message`
/// is only the beginning of one with `length` bytes, `"truncated":true` and `"bytes":N` say so, and a
/// character that was cut in two is left out.
std::string make_rejected_entry(std::string_view reason, wall_time_ms at_ms, std::string_view message,
                                uint64_t length);

} // namespace task_runner
