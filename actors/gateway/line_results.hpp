// What a batch of pushes is answered with: the fate of every line, in the order of the lines.
// Rendered while the lines are decided, so that nothing of a line is kept but its part of the answer.
#pragma once

#include "actors/messages.hpp"
#include "services/domain/push.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace task_runner {

/// Most refused lines of one answer that come with status and message, and most bytes of these messages.
/// Those beyond carry their code alone: what is wrong with thousands of lines is wrong with the first ones,
/// too. So an answer to 100,000 lines has at most 20 MiB: 100,000 objects of 190 bytes, and the messages.
constexpr uint64_t results_explained_max = 1'000;
constexpr size_t result_messages_bytes_max = 1'048'576;

/// What a batch is answered with where nobody knows what became of any of its lines: `timeout`.
error unanswered_batch();

/// Gathers the answer. A plain object, not thread-safe.
class line_results {
public:
  /// The intake has decided about the line: a new task, a duplicate, or refused.
  void add(uint64_t line, const push_reply& reply);

  /// The line is refused, but could be read.
  void add_refused(uint64_t line, const error& why);

  /// The line cannot be read as a task.
  void add_unreadable(uint64_t line, const error& why);

  /// The whole answer. It is one failure where all lines were refused for the moment only, with the same
  /// code, or none could be read: the client may send the same body again, or had better not. To be called
  /// once, last.
  push_lines_reply take();

private:
  void add_refusal(uint64_t line, const error& why);

  push_lines_reply reply_;
  std::string results_ = "[";
  size_t messages_bytes_ = 0;
  /// Lines that were refused for the moment with the code of the first of them.
  uint64_t undecided_ = 0;
  std::optional<error> undecided_why_;
  uint64_t unreadable_ = 0;
  std::optional<error> unreadable_why_;
};

} // namespace task_runner
