// Pieces of answers that several renderers share.
// Each writes members into an object that its caller has opened.
#pragma once

#include "actors/messages.hpp"
#include "services/wire/json_text.hpp"

#include <string_view>

namespace task_runner {

/// Key and time; null for 0.
void write_time(json_writer& json, std::string_view name, wall_time_ms time_ms);

/// Key and text; null for an empty one.
void write_text_or_null(json_writer& json, std::string_view name, std::string_view text);

/// Tasks that are pending, held, delayed or running.
uint64_t unfinished(const queue_counts& counts);

/// One member for each count; `pending` includes those that are held.
void write_counts(json_writer& json, const channel_status& channel);

} // namespace task_runner
