// What a batch of pushes is answered with: the fate of every line, in the order of the lines.
// Rendered while the lines are decided, so that nothing of a line is kept but its part of the answer.
#pragma once

#include "actors/messages.hpp"
#include "services/domain/push.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace task_runner {

/// Most bytes of messages in one answer. Lines that are refused beyond it carry their code alone: what is
/// wrong with thousands of lines is wrong with the first ones, too.
constexpr size_t result_messages_bytes_max = 4'194'304;

/// Gathers the answer. A plain object, not thread-safe.
class line_results {
public:
  /// The intake has decided about the line: a new task, a duplicate, or refused.
  void add(uint64_t line, const push_reply& reply);

  /// The line cannot be read as a task.
  void add_unreadable(uint64_t line, const error& why);

  /// The whole answer. Where nothing was taken and all lines were refused for the moment only, or none could
  /// be read, it is one failure: the client may send the same body again, or had better not. To be called
  /// once, last.
  push_lines_reply take();

private:
  void add_refusal(uint64_t line, const error& why);

  push_lines_reply reply_;
  std::string results_ = "[";
  size_t messages_bytes_ = 0;
  uint64_t undecided_ = 0;
  /// Why nothing is taken for the moment; that nobody takes anything says more than that a channel is full.
  std::optional<error> undecided_why_;
  uint64_t unreadable_ = 0;
  std::optional<error> unreadable_why_;
};

} // namespace task_runner
