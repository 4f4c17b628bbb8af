// What the followers of an attempt's output are sent, as server-sent events, and the places they name.
// Pure: who is sent what is decided by output_followers.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Most bytes of output in one event. As JSON text they may be six times as many, and an event must fit what
/// may wait for a client.
constexpr size_t output_event_max = 8'192;

/// How far a follower has come. Its text, `OFFSET-ATTEMPT`, is the id of events: what a client that comes
/// back sends as Last-Event-ID.
struct output_place {
  uint64_t offset = 0;
  /// Unset where the client named an offset alone.
  std::optional<uint32_t> attempt;
  /// Everything has been sent, the end included.
  bool is_end = false;
};

/// Reads `OFFSET-ATTEMPT`, `OFFSET-ATTEMPT-end` or a bare `OFFSET`; `invalid_argument` for anything else.
result<output_place> parse_output_place(std::string_view text);

/// That an attempt is over, as far as it is known how.
struct output_end {
  std::optional<outcome> how;
  /// Of the task; unset when it was deleted.
  std::optional<task_state> state;
};

/// Whether attempt `attempt` of the task will write nothing more: it has ended, or never comes. `attempts`:
/// its earlier ones, as the history has them.
std::optional<output_end> find_output_end(const task& value, const std::vector<attempt_record>& attempts,
                                          uint32_t attempt);

/// `output`: bytes that begin at `offset`, as `text` where they are UTF-8, else as `base64`.
std::string render_output_event(uint32_t attempt, uint64_t offset, std::string_view bytes);

/// `gap`: the bytes from `from` to `to` are not kept.
std::string render_gap_event(uint32_t attempt, uint64_t from, uint64_t to);

/// `reset`: what the client has is not this attempt's output, which follows from its beginning.
std::string render_reset_event(uint32_t attempt);

/// `end`: all `written` bytes have been told, and how the attempt ended.
std::string render_end_event(const attempt_key& key, uint64_t written, const output_end& how);

/// `failure`: the output cannot be read; the client may come back.
std::string render_failure_event(const error& why);

} // namespace task_runner
