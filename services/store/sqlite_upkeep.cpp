// Purging what has ended, following the clock, keeping channels.
// How many tasks have ended and how much output they keep is counted along, never by looking at them all.
#include "services/store/sqlite_writer.hpp"
#include "services/store/store_rules.hpp"
#include "services/store/task_row.hpp"

#include <utility>

namespace task_runner {

namespace {

/// Pages given back to the file system at most by one purge, when more than a quarter of the file is free.
constexpr int shrink_pages = 256;

} // namespace

// -- purging ------------------------------------------------------------------------

int64_t sqlite_writer::kept_bytes_of(int64_t sequence) {
  sqlite_statement::run run(kept_bytes_of_);
  return run.number(kept_bytes_max_).number(sequence).next() ? run.number_at(0) : 0;
}

void sqlite_writer::recount_kept_bytes(int64_t kept_bytes_max) {
  // Looks at every ended task, which is why it happens only when the setting has changed.
  kept_bytes_max_ = kept_bytes_max;
  connection_.execute("UPDATE store_state SET value = " + std::to_string(kept_bytes_max) +
                      " WHERE name = 'kept_bytes_max'; UPDATE channel_counts SET kept_bytes = 0");
  for (auto& [number, change] : count_changes_)
    change.kept_bytes = 0;
  for (const char* const sql :
       {"SELECT t.channel, min(t.output_bytes, ?) FROM tasks t WHERE t.state > 2 AND t.output_bytes > 0 "
        "AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.sequence AND a.attempt = t.attempt)",
        "SELECT t.channel, min(a.output_bytes, ?) FROM attempts a JOIN tasks t ON t.sequence = a.task "
        "WHERE t.state > 2"}) {
    sqlite_statement rows(connection_, sql);
    sqlite_statement::run run(rows);
    run.number(kept_bytes_max);
    while (run.next())
      count_changes_[run.number_at(0)].kept_bytes += run.number_at(1);
  }
}

std::optional<sqlite_writer::purge_candidate> sqlite_writer::oldest(task_state state) {
  sqlite_statement::run run(oldest_);
  if (!run.number(static_cast<int64_t>(state)).next())
    return std::nullopt;
  purge_candidate found;
  found.sequence = run.number_at(0);
  found.channel_number = run.number_at(1);
  found.ended_at_ms = run.number_at(2);
  found.attempt = static_cast<uint32_t>(run.number_at(3));
  found.state = state;
  found.id = run.text_at(4);
  return found;
}

std::optional<sqlite_writer::purge_candidate>
sqlite_writer::next_to_purge(const purge_ended& rule, int64_t ended, int64_t kept_bytes) {
  const auto older = [](const std::optional<purge_candidate>& one,
                        const std::optional<purge_candidate>& two) {
    return !two || (one && one->before(*two)) ? one : two;
  };
  auto other = older(oldest(task_state::finished), oldest(task_state::cancelled));
  if (rule.ended_before_ms > 0 && other && other->ended_at_ms < rule.ended_before_ms)
    return other;
  auto dead = oldest(task_state::dead);
  if (rule.dead_before_ms > 0 && dead && dead->ended_at_ms < rule.dead_before_ms)
    return dead;
  const bool too_many = rule.tasks_max > 0 && ended > static_cast<int64_t>(rule.tasks_max);
  const bool too_large =
      rule.output_bytes_max > 0 && kept_bytes > static_cast<int64_t>(rule.output_bytes_max);
  return too_many || too_large ? older(other, dead) : std::nullopt;
}

void sqlite_writer::erase(int64_t channel_number, int64_t sequence, task_state state, int64_t kept_bytes) {
  sqlite_statement::run(delete_attempts_).number(sequence).finish();
  sqlite_statement::run(delete_task_).number(sequence).finish();
  auto& change = count_changes_[channel_number];
  change.count(state, false, -1);
  change.kept_bytes -= kept_bytes;
}

void sqlite_writer::shrink_file() {
  if (connection_.query_number("PRAGMA freelist_count") > connection_.query_number("PRAGMA page_count") / 4)
    connection_.execute("PRAGMA incremental_vacuum(" + std::to_string(shrink_pages) + ")");
}

store_answer sqlite_writer::apply_one(const purge_ended& operation) {
  purge_answer answer;
  if (operation.output_bytes_max > 0 && static_cast<int64_t>(operation.kept_bytes_max) != kept_bytes_max_)
    recount_kept_bytes(static_cast<int64_t>(operation.kept_bytes_max));
  int64_t ended = 0;
  int64_t kept_bytes = 0;
  if (operation.tasks_max > 0 || operation.output_bytes_max > 0) {
    sqlite_statement::run run(sum_ended_);
    if (run.next()) {
      ended = run.number_at(0);
      kept_bytes = run.number_at(1);
    }
    for (const auto& [number, change] : count_changes_) {
      ended += change.ended;
      kept_bytes += change.kept_bytes;
    }
  }
  while (auto oldest_task = next_to_purge(operation, ended, kept_bytes)) {
    if (answer.tasks >= operation.limit) {
      answer.more = true;
      break;
    }
    bool last_is_recorded = oldest_task->attempt == 0;
    {
      sqlite_statement::run run(attempt_numbers_);
      run.number(oldest_task->sequence);
      while (run.next()) {
        const auto number = static_cast<uint32_t>(run.number_at(0));
        last_is_recorded = last_is_recorded || number == oldest_task->attempt;
        answer.purged.push_back({oldest_task->id, number});
      }
    }
    if (!last_is_recorded)
      answer.purged.push_back({oldest_task->id, oldest_task->attempt});
    const int64_t bytes = kept_bytes_of(oldest_task->sequence);
    erase(oldest_task->channel_number, oldest_task->sequence, oldest_task->state, bytes);
    --ended;
    kept_bytes -= bytes;
    ++answer.tasks;
  }
  if (answer.tasks > 0)
    shrink_file();
  return answer;
}

store_answer sqlite_writer::apply_one(const delete_task& operation) {
  change_answer answer;
  auto found = find_whole(operation.id);
  if (!found)
    return answer;
  answer.applied = is_terminal(found->value.state);
  if (answer.applied) {
    const auto sequence = static_cast<int64_t>(found->value.sequence);
    erase(found->channel_number, sequence, found->value.state, kept_bytes_of(sequence));
  }
  answer.after = std::move(found->value);
  return answer;
}

// -- the clock ------------------------------------------------------------------------

store_answer sqlite_writer::apply_one(const adjust_clock& operation) {
  // The bounds are those of shifted_moment.
  if (operation.shift_ms != 0)
    for (auto* shift : {&shift_delays_, &shift_expiries_})
      sqlite_statement::run(*shift).number(1).number(moment_max_ms).number(operation.shift_ms).finish();
  sqlite_statement::run(write_clock_).text(operation.mark.boot_id).number(operation.mark.offset_ms).finish();
  change_answer answer;
  answer.applied = true;
  return answer;
}

// -- channels -------------------------------------------------------------------------

store_answer sqlite_writer::apply_one(const save_channel& operation) {
  const channel_record& record = *operation.record;
  const auto number_or_null = [](sqlite_statement::run& run, const auto& value) {
    if (value)
      run.number(static_cast<int64_t>(*value));
    else
      run.null();
  };
  const std::string defaults = encode_stored_options(record.defaults);
  const std::string ini_defaults = encode_stored_options(record.from_ini.defaults);
  sqlite_statement::run run(save_channel_);
  run.text(record.name).number(static_cast<int64_t>(record.distinct));
  number_or_null(run, record.worker);
  run.number(record.weight);
  number_or_null(run, record.tasks_max);
  run.number(record.paused ? 1 : 0).text_or_null(defaults);
  number_or_null(run, record.from_ini.distinct);
  number_or_null(run, record.from_ini.worker);
  number_or_null(run, record.from_ini.weight);
  number_or_null(run, record.from_ini.tasks_max);
  run.text_or_null(ini_defaults).number(record.created_at_ms).finish();
  change_answer answer;
  answer.applied = true;
  return answer;
}

store_answer sqlite_writer::apply_one(const remove_channel& operation) {
  change_answer answer;
  if (const int64_t number = channel_number(operation.name, false); number != 0) {
    sqlite_statement::run run(count_unfinished_);
    const int64_t before = run.number(number).next() ? run.number_at(0) : 0;
    const auto change = count_changes_.find(number);
    if (before + (change == count_changes_.end() ? 0 : change->second.unfinished()) > 0)
      return answer;
  }
  sqlite_statement::run(remove_channel_).text(operation.name).finish();
  answer.applied = sqlite3_changes64(connection_.raw()) > 0;
  return answer;
}

} // namespace task_runner
