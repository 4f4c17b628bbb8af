// Many pushes from standard input, in portions, each line taken exactly once however often it must be sent.
#pragma once

#include "services/cli/push_body.hpp"
#include "services/cli/verb_call.hpp"

#include <chrono>

namespace task_runner::cli {

/// How long `push --stdin-list` goes on while nothing is taken, unless it is told otherwise.
constexpr std::chrono::milliseconds list_patience_default{600'000};

/// Pushes a task for every line of standard input; gives the exit code.
int push_list(verb_call& call, const push_body& body, std::chrono::milliseconds patience);

} // namespace task_runner::cli
