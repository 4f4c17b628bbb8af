// Listings of the embedded store.
// What is spread over several indexes, or over channels, is merged by sequence, one search for each task.
#include "services/store/sqlite_listing.hpp"

#include "services/store/store_rules.hpp"
#include "services/store/task_row.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

namespace task_runner {

namespace {

/// Before every sequence that there is, when going back.
constexpr int64_t newest = std::numeric_limits<int64_t>::max();

bool asks_for(const task_filter& filter, task_state state) {
  return std::find(filter.states.begin(), filter.states.end(), state) != filter.states.end();
}

} // namespace

/// Takes candidates, newest first, until the page is full or enough rows were looked at.
class sqlite_listing::page_builder {
public:
  page_builder(const task_filter& filter, uint32_t limit)
      : filter_(filter)
      , meter_({limit, page_bytes_max}) {}

  /// Counts a row as looked at. False when the page ends before it.
  bool look_at(int64_t sequence) {
    if (looked_at_ == page_rows_max) {
      page_.next = static_cast<uint64_t>(last_);
      return false;
    }
    ++looked_at_;
    last_ = sequence;
    return true;
  }

  /// Takes the task if the filter admits it. False when the page is full without it.
  bool offer(task value) {
    if (!matches(filter_, value))
      return true;
    if (!meter_.open() || !meter_.admit(value)) {
      page_.next = page_.tasks.back().sequence;
      return false;
    }
    page_.tasks.push_back(std::move(value));
    return true;
  }

  task_page finish() { return std::move(page_); }

private:
  const task_filter& filter_;
  window_meter meter_;
  task_page page_;
  uint32_t looked_at_ = 0;
  int64_t last_ = 0;
};

sqlite_listing::sqlite_listing(sqlite_connection& connection)
    : connection_(connection)
    , load_channels_(connection, "SELECT number, name, pending, held, delayed, running, ended "
                                 "FROM channel_counts WHERE name = ?1 OR ?1 IS NULL")
    , next_priority_(connection, "SELECT priority FROM tasks INDEXED BY tasks_pending WHERE state = 0 "
                                 "AND held = 0 AND channel = ? AND priority < ? "
                                 "ORDER BY priority DESC LIMIT 1")
    , next_pending_(connection, "SELECT sequence FROM tasks INDEXED BY tasks_pending WHERE state = 0 "
                                "AND held = 0 AND channel = ? AND sequence < ? AND priority = ? "
                                "ORDER BY sequence DESC LIMIT 1")
    , next_in_state_(
          connection,
          "SELECT sequence FROM tasks INDEXED BY tasks_by_state "
          "WHERE (state = 1 OR state = 2 OR state = 4 OR held = 1) AND channel = ? AND sequence < ? "
          "AND state = ? ORDER BY sequence DESC LIMIT 1")
    , load_task_(connection, "SELECT " TASK_ROW_COLUMNS ", channel FROM tasks WHERE sequence = ?")
    , scan_(connection, "SELECT " TASK_ROW_COLUMNS ", channel FROM tasks WHERE sequence < ? "
                        "ORDER BY sequence DESC") {}

task_page sqlite_listing::page(const task_filter& filter, uint64_t before, uint32_t limit) {
  const int64_t start =
      before == 0 || before > static_cast<uint64_t>(newest) ? newest : static_cast<int64_t>(before);
  page_builder built(filter, limit);
  load_channels(filter);
  const bool asks_for_history = filter.states.empty() || asks_for(filter, task_state::finished) ||
                                asks_for(filter, task_state::cancelled);
  if (channels_.empty())
    return built.finish();
  if (asks_for_history)
    scan(filter, start, built);
  else
    merge(streams_of(filter), start, built);
  return built.finish();
}

void sqlite_listing::load_channels(const task_filter& filter) {
  channels_.clear();
  sqlite_statement::run run(load_channels_);
  if (filter.channel)
    run.text(*filter.channel);
  else
    run.null();
  while (run.next()) {
    auto& counts = channels_[run.number_at(0)];
    counts.name = run.text_at(1);
    counts.has_pending = run.number_at(2) > 0;
    counts.has_held = run.number_at(3) > 0;
    counts.has_delayed = run.number_at(4) > 0;
    counts.has_running = run.number_at(5) > 0;
    counts.has_ended = run.number_at(6) > 0;
  }
}

std::vector<sqlite_listing::stream> sqlite_listing::streams_of(const task_filter& filter) {
  std::vector<stream> streams;
  for (const auto& [number, counts] : channels_) {
    if (asks_for(filter, task_state::pending)) {
      for (int64_t below = newest; counts.has_pending;) {
        sqlite_statement::run run(next_priority_);
        if (!run.number(number).number(below).next())
          break;
        below = run.number_at(0);
        streams.push_back({&next_pending_, number, below});
      }
      if (counts.has_held)
        streams.push_back({&next_in_state_, number, static_cast<int64_t>(task_state::pending)});
    }
    if (asks_for(filter, task_state::delayed) && counts.has_delayed)
      streams.push_back({&next_in_state_, number, static_cast<int64_t>(task_state::delayed)});
    if (asks_for(filter, task_state::running) && counts.has_running)
      streams.push_back({&next_in_state_, number, static_cast<int64_t>(task_state::running)});
    if (asks_for(filter, task_state::dead) && counts.has_ended)
      streams.push_back({&next_in_state_, number, static_cast<int64_t>(task_state::dead)});
  }
  return streams;
}

int64_t sqlite_listing::next_of(const stream& from, int64_t before) {
  sqlite_statement::run run(*from.search);
  run.number(from.channel_number).number(before).number(from.place);
  return run.next() ? run.number_at(0) : 0;
}

void sqlite_listing::merge(const std::vector<stream>& streams, int64_t before, page_builder& into) {
  // The heads of all streams, the newest on top.
  std::priority_queue<std::pair<int64_t, size_t>> heads;
  for (size_t i = 0; i < streams.size(); ++i)
    if (const int64_t sequence = next_of(streams[i], before); sequence != 0)
      heads.push({sequence, i});
  while (!heads.empty()) {
    const auto [sequence, from] = heads.top();
    heads.pop();
    if (!into.look_at(sequence))
      return;
    {
      sqlite_statement::run run(load_task_);
      if (!run.number(sequence).next())
        connection_.fail_damaged("an index names the task with sequence " + std::to_string(sequence) +
                                 ", which is not there");
      if (!into.offer(read_task_row(connection_, run, name_of(streams[from].channel_number))))
        return;
    }
    if (const int64_t following = next_of(streams[from], sequence); following != 0)
      heads.push({following, from});
  }
}

void sqlite_listing::scan(const task_filter& filter, int64_t before, page_builder& into) {
  sqlite_statement::run run(scan_);
  run.number(before);
  while (run.next()) {
    if (!into.look_at(run.number_at(0)))
      return;
    // Two numbers at the front of the row decide most cases, before its texts are read.
    const int64_t channel = run.number_at(task_row_column_count);
    if (filter.channel && channels_.count(channel) == 0)
      continue;
    if (!filter.states.empty() && !asks_for(filter, static_cast<task_state>(run.number_at(1))))
      continue;
    if (!into.offer(read_task_row(connection_, run, name_of(channel))))
      return;
  }
}

const std::string& sqlite_listing::name_of(int64_t channel_number) const {
  const auto found = channels_.find(channel_number);
  if (found == channels_.end())
    connection_.fail_damaged("channel number " + std::to_string(channel_number) + " has no name");
  return found->second.name;
}

} // namespace task_runner
