// Listings of the embedded store: tasks by filter, newest first, page by page.
// Unfinished and dead tasks are found in their indexes; only what asks for history looks through it, a
// bounded number of rows at a time.
#pragma once

#include "services/ports/queue_store.hpp"
#include "services/store/sqlite_connection.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace task_runner {

/// Rows that are looked at for one page at most; then the page ends, however few it has.
constexpr uint32_t page_rows_max = 20'000;

/// Reads pages. Throws sqlite_failure. Remembers nothing between calls. Not thread-safe.
class sqlite_listing {
public:
  explicit sqlite_listing(sqlite_connection& connection);

  /// As queue_store::list_tasks.
  task_page page(const task_filter& filter, uint64_t before, uint32_t limit);

private:
  /// The sequences of one channel's tasks that stand in one place of one index, from the newest on.
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
  class page_builder;

  void load_channels(const task_filter& filter);
  std::vector<stream> streams_of(const task_filter& filter);
  /// The newest sequence of the stream before this one; 0 when there is none.
  static int64_t next_of(const stream& from, int64_t before);
  void merge(const std::vector<stream>& streams, int64_t before, page_builder& into);
  void scan(const task_filter& filter, int64_t before, page_builder& into);
  const std::string& name_of(int64_t channel_number) const;

  sqlite_connection& connection_;
  sqlite_statement load_channels_;
  sqlite_statement next_priority_;
  sqlite_statement next_pending_;
  sqlite_statement next_in_state_;
  sqlite_statement load_task_;
  sqlite_statement scan_;

  // Of the page in progress.
  std::unordered_map<int64_t, channel_counts> channels_;
};

} // namespace task_runner
