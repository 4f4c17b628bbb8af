// What makes a push that is repeated the same one: the id of its task, and a place for the mark of its
// decision. Both stand in the store before the push is carried out for the first time.
#pragma once

#include <cstdint>
#include <string>

namespace task_runner {

/// Given to a request that may be repeated; the same for all its repetitions.
struct push_identity {
  /// The id of its first task; those of further lines are made of it.
  std::string task_id;
  /// The batch in which the pushes of the request are marked.
  uint64_t batch = 0;
};

} // namespace task_runner
