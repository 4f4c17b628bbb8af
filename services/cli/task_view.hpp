// Tasks as the API shows them, in words for people and as exit codes for shells.
#pragma once

#include "services/cli/console.hpp"
#include "services/cli/json_value.hpp"
#include "services/wire/json_text.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace task_runner::cli {

/// Whether no further state can follow: finished, dead, cancelled.
bool is_ended(std::string_view state) noexcept;

/// "exit code 7", "signal 15 (TERM)", "timed out"…; empty when no attempt has ended.
std::string outcome_text(const json_value& outcome);

/// The length of an id that the daemon has made.
constexpr size_t generated_id_length = 36;

/// Of such an id as many of its last characters as tell tasks apart at a terminal; any other one as it is.
std::string_view short_id(std::string_view id) noexcept;

/// `ID STATE`, and behind it how it ended.
std::string task_line(const json_value& task, const console& terminal);

/// The same without colours, for stderr.
std::string end_text(const json_value& task);

/// `ID STATE again`, without how an earlier attempt ended.
std::string retried_text(const json_value& task);

/// The command as one line of text.
std::string command_text(const json_value& task);

/// The colour of a task's state.
paint color_of(std::string_view state) noexcept;

/// A task with everything about it, a line each.
std::string task_details(const json_value& task, const console& terminal);

/// Writes the member of a JSON object that has a piece of output: `output`, or `base64` where it is no UTF-8.
void write_output_member(json_writer& json, std::string_view bytes);

/// Why a task does not run, as `/why` says it: a sentence, and a line for each thing that is in its way.
std::string reason_text(const json_value& why, const console& terminal);

} // namespace task_runner::cli
