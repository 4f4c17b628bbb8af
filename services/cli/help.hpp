// Help and the manual page, made of the table of verbs.
#pragma once

#include "services/cli/verb_table.hpp"

#include <string>
#include <string_view>

namespace task_runner::cli {

/// The help of one verb.
std::string verb_help(const verb_row& verb);

/// A line for each verb whose first word is `first`; with an empty one all verbs, and how to go on.
std::string verbs_help(std::string_view first);

/// The manual page in the language of man(7).
std::string manual_page();

/// Appends words to lines of at most `columns`, each indented; a line feed ends the last.
void append_wrapped(std::string& into, std::string_view text, size_t indent, size_t columns);

} // namespace task_runner::cli
