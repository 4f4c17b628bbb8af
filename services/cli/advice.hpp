// What messages advise: the line that was probably meant, the verb that another tool's word stands for, and
// the daemon's refusals with the client's ways out instead of the API's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

struct api_reply;

/// A word as a shell takes it, fit for one line of a terminal.
std::string shell_word(std::string_view word);

/// The words joined by blanks as a shell takes them, cut where they are very many.
std::string shell_line(const std::vector<std::string>& words);

/// What stands here for a word that other tools have for it: "status or channel list" for `ls`; empty where
/// it is no such word.
std::string_view verb_of_others(std::string_view word) noexcept;

/// The message of a call that was refused. Where `about`, which was asked about, looks like a piece of a
/// generated id, or a channel does not exist, it says which words of the command line help.
std::string refusal_text(const api_reply& reply, std::string_view about);

/// The same for the message of one task among many.
std::string refusal_text(std::string_view message);

} // namespace task_runner::cli
