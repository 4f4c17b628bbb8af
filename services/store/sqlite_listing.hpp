// Listings of the embedded store: tasks by filter, in the order of their acceptance or end, page by page.
// Unfinished and dead tasks, and ends, are found in their indexes; only what asks for history by acceptance
// looks through it. A bounded number of rows is looked at each time.
#pragma once

#include "services/ports/queue_store.hpp"
#include "services/store/sqlite_connection.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace task_runner {

/// Rows that are looked at for one page at most; then the page ends, however few it has.
constexpr uint32_t page_rows_max = 20'000;

/// Reads pages. Throws sqlite_failure. Remembers nothing between calls. Not thread-safe.
class sqlite_listing {
public:
  explicit sqlite_listing(sqlite_connection& connection);

  /// As queue_store::list_tasks.
  task_page page(const task_filter& filter, listing_place after, uint32_t limit);

private:
  /// A search that goes back in an order, and the same that goes forth.
  struct search_pair {
    sqlite_statement back;
    sqlite_statement forth;
  };
  /// The sequences of one channel's tasks that stand in one place of one index, in their order.
  struct stream {
    sqlite_statement* search = nullptr;
    int64_t channel_number = 0;
    /// The priority, for tasks in line, which are ordered by it first; otherwise the state.
    int64_t place = 0;
  };
  struct channel_counts {
    std::string name;
    bool has_pending = false;
    bool has_held = false;
    bool has_delayed = false;
    bool has_running = false;
    bool has_ended = false;
  };
  /// A task's place in the order of ends: the end, then the sequence.
  using end_place = std::pair<wall_time_ms, int64_t>;
  /// The ends of tasks in one state, some of them read in advance.
  struct end_stream {
    int64_t state = 0;
    std::deque<end_place> ahead;
    /// Whether nothing follows behind what has been read.
    bool at_end = false;
  };
  class page_builder;

  void load_channels(const task_filter& filter);
  std::vector<stream> streams_of(const task_filter& filter, bool ascends);
  /// The next sequence of the stream behind this one; 0 when there is none.
  static int64_t next_of(const stream& from, int64_t after);
  void merge(const task_filter& filter, const std::vector<stream>& streams, int64_t after, bool ascends,
             page_builder& into);
  void scan(const task_filter& filter, int64_t after, bool ascends, page_builder& into);
  void list_ends(const task_filter& filter, listing_place after, page_builder& into);
  /// Reads on in a stream that has nothing in advance, behind this place.
  void read_ahead(end_stream& from, end_place after, bool ascends);
  /// Offers the task that an index has named. False when the page is full without it.
  bool offer_named(const task_filter& filter, int64_t sequence, page_builder& into);
  const std::string& name_of(int64_t channel_number) const;

  sqlite_connection& connection_;
  sqlite_statement load_channels_;
  sqlite_statement next_priority_;
  search_pair next_pending_;
  search_pair next_in_state_;
  sqlite_statement load_task_;
  search_pair scan_;
  /// Those that ended in the same moment, and those that did before or after it.
  search_pair same_end_;
  search_pair other_end_;

  // Of the page in progress.
  std::unordered_map<int64_t, channel_counts> channels_;
};

} // namespace task_runner
