// Where tasks that were met lately stand in the embedded store, so that a lease or a settlement need not
// search for them by id. A hint may be wrong, and whoever uses one checks it against the row.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace task_runner {

/// Remembers a bounded number of places, the later one where two want the same slot. Not thread-safe.
class place_hints {
public:
  struct place {
    /// What the id came to; 0: no task.
    uint64_t fingerprint = 0;
    int64_t sequence = 0;
    int64_t channel_number = 0;
  };

  place_hints();

  void note(std::string_view id, int64_t sequence, int64_t channel_number) noexcept;

  /// Where the task probably stands; null: not known. Valid until the next note.
  const place* find(std::string_view id) const noexcept;

private:
  std::vector<place> places_;
};

} // namespace task_runner
