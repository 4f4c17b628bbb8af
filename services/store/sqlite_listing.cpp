// Listings of the embedded store.
// What is spread over several indexes, or over channels, is merged by sequence, one search for each task;
// ends are read from their index some at a time.
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

/// Ends in one state that are read at once.
constexpr int64_t ends_ahead = 128;

bool asks_for(const task_filter& filter, task_state state) {
  return std::find(filter.states.begin(), filter.states.end(), state) != filter.states.end();
}

} // namespace

/// Takes candidates, in the order of the listing, until the page is full or enough rows were looked at.
class sqlite_listing::page_builder {
public:
  page_builder(const task_filter& filter, task_order order, uint32_t limit)
      : filter_(filter)
      , meter_({limit, page_bytes_max})
      , last_{order} {}

  /// Counts a row as looked at; `ended_at_ms` where the order is by the end. False when the page ends before
  /// it.
  bool look_at(int64_t sequence, wall_time_ms ended_at_ms = 0) {
    if (looked_at_ == page_rows_max) {
      page_.next = last_;
      return false;
    }
    ++looked_at_;
    last_.sequence = static_cast<uint64_t>(sequence);
    last_.ended_at_ms = ended_at_ms;
    return true;
  }

  /// Takes the task if the filter admits it. False when the page is full without it.
  bool offer(task value) {
    if (!matches(filter_, value))
      return true;
    if (!meter_.open() || !meter_.admit(value)) {
      page_.next = place_behind(page_.tasks.back(), last_.order);
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
  listing_place last_;
};

sqlite_listing::sqlite_listing(sqlite_connection& connection)
    : connection_(connection)
    , load_channels_(connection, "SELECT number, name, pending, held, delayed, running, ended "
                                 "FROM channel_counts WHERE name = ?1 OR ?1 IS NULL")
    , next_priority_(connection, "SELECT priority FROM tasks INDEXED BY tasks_pending WHERE state = 0 "
                                 "AND held = 0 AND channel = ? AND priority < ? "
                                 "ORDER BY priority DESC LIMIT 1")
    , next_pending_{{connection, "SELECT sequence FROM tasks INDEXED BY tasks_pending WHERE state = 0 "
                                 "AND held = 0 AND channel = ? AND sequence < ? AND priority = ? "
                                 "ORDER BY sequence DESC LIMIT 1"},
                    {connection, "SELECT sequence FROM tasks INDEXED BY tasks_pending WHERE state = 0 "
                                 "AND held = 0 AND channel = ? AND sequence > ? AND priority = ? "
                                 "ORDER BY sequence LIMIT 1"}}
    , next_in_state_{{connection, "SELECT sequence FROM tasks INDEXED BY tasks_by_state "
                                  "WHERE (state = 1 OR state = 2 OR state = 4 OR held = 1) AND channel = ? "
                                  "AND sequence < ? AND state = ? ORDER BY sequence DESC LIMIT 1"},
                     {connection, "SELECT sequence FROM tasks INDEXED BY tasks_by_state "
                                  "WHERE (state = 1 OR state = 2 OR state = 4 OR held = 1) AND channel = ? "
                                  "AND sequence > ? AND state = ? ORDER BY sequence LIMIT 1"}}
    , load_task_(connection, "SELECT " TASK_ROW_COLUMNS ", channel FROM tasks WHERE sequence = ?")
    , scan_{{connection, "SELECT " TASK_ROW_COLUMNS ", channel FROM tasks WHERE sequence < ? "
                         "ORDER BY sequence DESC"},
            {connection, "SELECT " TASK_ROW_COLUMNS ", channel FROM tasks WHERE sequence > ? "
                         "ORDER BY sequence"}}
    , same_end_{{connection, "SELECT ended_at_ms, sequence FROM tasks INDEXED BY tasks_ended "
                             "WHERE state > 2 AND state = ? AND ended_at_ms = ? AND sequence < ? "
                             "ORDER BY sequence DESC LIMIT ?"},
                {connection, "SELECT ended_at_ms, sequence FROM tasks INDEXED BY tasks_ended "
                             "WHERE state > 2 AND state = ? AND ended_at_ms = ? AND sequence > ? "
                             "ORDER BY sequence LIMIT ?"}}
    , other_end_{{connection, "SELECT ended_at_ms, sequence FROM tasks INDEXED BY tasks_ended "
                              "WHERE state > 2 AND state = ? AND ended_at_ms < ? "
                              "ORDER BY ended_at_ms DESC, sequence DESC LIMIT ?"},
                 {connection, "SELECT ended_at_ms, sequence FROM tasks INDEXED BY tasks_ended "
                              "WHERE state > 2 AND state = ? AND ended_at_ms > ? "
                              "ORDER BY ended_at_ms, sequence LIMIT ?"}} {}

task_page sqlite_listing::page(const task_filter& filter, listing_place after, uint32_t limit) {
  const bool ascends = after.order == task_order::oldest_first;
  page_builder built(filter, after.order, limit);
  load_channels(filter);
  if (channels_.empty())
    return built.finish();
  if (is_by_end(after.order)) {
    list_ends(filter, after, built);
    return built.finish();
  }
  const auto start =
      after.is_beginning() && !ascends
          ? newest
          : static_cast<int64_t>(std::min<uint64_t>(after.sequence, static_cast<uint64_t>(newest)));
  const bool asks_for_history = filter.states.empty() || asks_for(filter, task_state::finished) ||
                                asks_for(filter, task_state::cancelled);
  if (asks_for_history)
    scan(filter, start, ascends, built);
  else
    merge(filter, streams_of(filter, ascends), start, ascends, built);
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

std::vector<sqlite_listing::stream> sqlite_listing::streams_of(const task_filter& filter, bool ascends) {
  auto* const next_pending = ascends ? &next_pending_.forth : &next_pending_.back;
  auto* const next_in_state = ascends ? &next_in_state_.forth : &next_in_state_.back;
  std::vector<stream> streams;
  for (const auto& [number, counts] : channels_) {
    if (asks_for(filter, task_state::pending)) {
      for (int64_t below = newest; counts.has_pending;) {
        sqlite_statement::run run(next_priority_);
        if (!run.number(number).number(below).next())
          break;
        below = run.number_at(0);
        streams.push_back({next_pending, number, below});
      }
      if (counts.has_held)
        streams.push_back({next_in_state, number, static_cast<int64_t>(task_state::pending)});
    }
    if (asks_for(filter, task_state::delayed) && counts.has_delayed)
      streams.push_back({next_in_state, number, static_cast<int64_t>(task_state::delayed)});
    if (asks_for(filter, task_state::running) && counts.has_running)
      streams.push_back({next_in_state, number, static_cast<int64_t>(task_state::running)});
    if (asks_for(filter, task_state::dead) && counts.has_ended)
      streams.push_back({next_in_state, number, static_cast<int64_t>(task_state::dead)});
  }
  return streams;
}

int64_t sqlite_listing::next_of(const stream& from, int64_t after) {
  sqlite_statement::run run(*from.search);
  run.number(from.channel_number).number(after).number(from.place);
  return run.next() ? run.number_at(0) : 0;
}

bool sqlite_listing::offer_named(const task_filter& filter, int64_t sequence, page_builder& into) {
  sqlite_statement::run run(load_task_);
  if (!run.number(sequence).next())
    connection_.fail_damaged("an index names the task with sequence " + std::to_string(sequence) +
                             ", which is not there");
  const int64_t channel = run.number_at(task_row_column_count);
  if (filter.channel && channels_.count(channel) == 0)
    return true;
  return into.offer(read_task_row(connection_, run, name_of(channel)));
}

void sqlite_listing::merge(const task_filter& filter, const std::vector<stream>& streams, int64_t after,
                           bool ascends, page_builder& into) {
  // The heads of all streams, the next one on top.
  const int64_t sign = ascends ? -1 : 1;
  std::priority_queue<std::pair<int64_t, size_t>> heads;
  for (size_t i = 0; i < streams.size(); ++i)
    if (const int64_t sequence = next_of(streams[i], after); sequence != 0)
      heads.push({sign * sequence, i});
  while (!heads.empty()) {
    const auto [key, from] = heads.top();
    const int64_t sequence = sign * key;
    heads.pop();
    if (!into.look_at(sequence) || !offer_named(filter, sequence, into))
      return;
    if (const int64_t following = next_of(streams[from], sequence); following != 0)
      heads.push({sign * following, from});
  }
}

void sqlite_listing::read_ahead(end_stream& from, end_place after, bool ascends) {
  const auto take = [&](sqlite_statement::run& run) {
    while (run.next())
      from.ahead.emplace_back(run.number_at(0), run.number_at(1));
  };
  {
    sqlite_statement::run same(ascends ? same_end_.forth : same_end_.back);
    take(same.number(from.state).number(after.first).number(after.second).number(ends_ahead));
  }
  const auto missing = ends_ahead - static_cast<int64_t>(from.ahead.size());
  if (missing > 0) {
    sqlite_statement::run other(ascends ? other_end_.forth : other_end_.back);
    take(other.number(from.state).number(after.first).number(missing));
  }
  from.at_end = static_cast<int64_t>(from.ahead.size()) < ends_ahead;
}

void sqlite_listing::list_ends(const task_filter& filter, listing_place after, page_builder& into) {
  const bool ascends = after.order == task_order::first_ended_first;
  end_place at{after.ended_at_ms, static_cast<int64_t>(std::min(after.sequence, uint64_t{INT64_MAX}))};
  if (after.is_beginning())
    at = ascends ? end_place{std::numeric_limits<wall_time_ms>::min(), 0} : end_place{newest, newest};
  // No end outside of what the filter says is looked at.
  if (ascends && filter.ended_from_ms != 0)
    at = std::max(at, end_place{filter.ended_from_ms, 0});
  if (!ascends && filter.ended_until_ms != 0)
    at = std::min(at, end_place{filter.ended_until_ms, 0});
  std::vector<end_stream> streams;
  for (const auto state : {task_state::finished, task_state::dead, task_state::cancelled})
    if (filter.states.empty() || asks_for(filter, state))
      streams.push_back({static_cast<int64_t>(state), {}, false});
  for (;;) {
    end_stream* next = nullptr;
    for (auto& one : streams) {
      if (one.ahead.empty() && !one.at_end)
        read_ahead(one, at, ascends);
      if (one.ahead.empty())
        continue;
      if (next == nullptr ||
          (ascends ? one.ahead.front() < next->ahead.front() : next->ahead.front() < one.ahead.front()))
        next = &one;
    }
    if (next == nullptr)
      return;
    at = next->ahead.front();
    next->ahead.pop_front();
    const bool is_outside = ascends ? filter.ended_until_ms != 0 && at.first >= filter.ended_until_ms
                                    : filter.ended_from_ms != 0 && at.first < filter.ended_from_ms;
    if (is_outside || !into.look_at(at.second, at.first) || !offer_named(filter, at.second, into))
      return;
  }
}

void sqlite_listing::scan(const task_filter& filter, int64_t after, bool ascends, page_builder& into) {
  sqlite_statement::run run(ascends ? scan_.forth : scan_.back);
  run.number(after);
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
