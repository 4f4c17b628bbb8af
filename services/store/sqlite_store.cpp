// The embedded store: the read side, and the edge where exceptions become error values.
// Reads are searches in partial indexes that hold unfinished tasks only, and the kept counts of each channel.
#include "services/store/sqlite_store.hpp"

#include "services/observability/log.hpp"
#include "services/store/origin_bits.hpp"
#include "services/store/sqlite_connection.hpp"
#include "services/store/sqlite_file.hpp"
#include "services/store/sqlite_listing.hpp"
#include "services/store/sqlite_writer.hpp"
#include "services/store/store_rules.hpp"
#include "services/store/task_row.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace task_runner {

namespace {

class sqlite_store final : public queue_store {
public:
  explicit sqlite_store(sqlite_connection connection)
      : connection_(std::move(connection))
      , writer_(connection_)
      , listing_(connection_)
      , load_channels_(connection_,
                       "SELECT name, distinct_mode, worker, weight, tasks_max, paused, defaults, "
                       "ini_distinct, ini_worker, ini_weight, ini_tasks_max, ini_defaults, created_at_ms "
                       "FROM channels ORDER BY name")
      , load_counts_(connection_, "SELECT number, pending, held, delayed FROM channel_counts WHERE name = ?")
      , load_running_(connection_,
                      "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_by_state "
                      "WHERE (state = 1 OR state = 2 OR state = 4 OR held = 1) AND channel = ? AND state = 2 "
                      "ORDER BY sequence")
      , load_equal_(connection_, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_pending "
                                 "WHERE state = 0 AND held = 0 AND channel = ? AND priority = ? "
                                 "AND sequence > ? ORDER BY sequence")
      , load_lower_(connection_, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_pending "
                                 "WHERE state = 0 AND held = 0 AND channel = ? AND priority < ? "
                                 "ORDER BY priority DESC, sequence")
      , load_held_(connection_,
                   "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_by_state "
                   "WHERE (state = 1 OR state = 2 OR state = 4 OR held = 1) AND channel = ? AND state = 0 "
                   "ORDER BY sequence LIMIT ?")
      , load_delayed_(connection_, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_delayed "
                                   "WHERE state = 1 AND channel = ? ORDER BY not_before_ms, sequence LIMIT ?")
      , next_due_(connection_, "SELECT not_before_ms FROM tasks INDEXED BY tasks_delayed "
                               "WHERE state = 1 AND channel = ? ORDER BY not_before_ms LIMIT 1")
      , next_expiry_(connection_,
                     "SELECT expires_at_ms FROM tasks INDEXED BY tasks_expiring "
                     "WHERE channel = ? AND expires_at_ms > 0 AND state < 2 AND attempt = attempts_before "
                     "ORDER BY expires_at_ms LIMIT 1")
      , load_attempts_(connection_,
                       "SELECT a.attempt, a.started_at_ms, a.ended_at_ms, a.outcome_kind, a.outcome_code, "
                       "a.outcome_error, a.output_bytes FROM attempts a WHERE a.task = "
                       "(SELECT t.sequence FROM tasks t WHERE t.id = ?) ORDER BY a.attempt")
      , load_clock_(connection_, "SELECT boot_id, offset_ms FROM clock_mark WHERE only = 1")
      , find_task_(connection_, "SELECT " TASK_ROW_COLUMNS ", (SELECT c.name FROM channel_counts c WHERE "
                                "c.number = channel) FROM tasks WHERE id = ?")
      , load_marks_(connection_, "SELECT block, bits FROM origin_marks WHERE batch = ? ORDER BY block")
      , next_marked_batch_(
            connection_,
            "SELECT batch FROM origin_marks WHERE batch > ?1 AND batch < ?2 ORDER BY batch LIMIT 1")
      , totals_(connection_, "SELECT coalesce(sum(pending + held), 0), coalesce(sum(delayed), 0), "
                             "coalesce(sum(running), 0), coalesce(sum(ended), 0) FROM channel_counts")
      // A row that stays as it is would not be written.
      , count_trial_(connection_, "INSERT INTO store_state (name, value) VALUES ('trials', 1) "
                                  "ON CONFLICT (name) DO UPDATE SET value = value + 1")
      , count_dead_letters_(connection_, "SELECT name, dead FROM channel_counts WHERE dead <> 0") {}

  ~sqlite_store() override {
    if (!writer_.has_spare_sequences())
      return;
    const auto given_back = guarded([&] {
      sqlite_transaction transaction(connection_);
      writer_.give_back_sequences();
      transaction.commit();
    });
    if (!given_back)
      log_event(log_level::warning, "the store was closed with a gap in the order of acceptance",
                {{"error", given_back.failure().message}});
  }
  sqlite_store(const sqlite_store&) = delete;
  sqlite_store& operator=(const sqlite_store&) = delete;

  result<std::vector<store_answer>> apply(const std::vector<store_operation>& operations) override {
    if (auto checked = check_operations(operations); !checked)
      return checked.failure();
    // A commit that is told to have failed may have happened: then only the store itself knows the counts.
    const bool knows_dead_letters = std::exchange(knows_dead_letters_, false);
    return guarded([&] {
      sqlite_transaction transaction(connection_);
      auto answers = writer_.apply(operations);
      if (dead_letters_ == nullptr) {
        transaction.commit();
      } else if (knows_dead_letters) {
        const auto changes = writer_.dead_letter_changes();
        transaction.commit();
        for (const auto& [channel, change] : changes)
          dead_letters_->add(channel, change);
      } else {
        auto counts = count_dead_letters();
        transaction.commit();
        dead_letters_->set(std::move(counts));
      }
      knows_dead_letters_ = true;
      writer_.committed();
      return answers;
    });
  }

  result<std::vector<channel_record>> load_channels() override {
    return guarded([&] {
      std::vector<channel_record> records;
      sqlite_statement::run run(load_channels_);
      while (run.next()) {
        channel_record record;
        int column = 0;
        record.name = run.text_at(column++);
        record.distinct = read_distinct(run.number_at(column++), record.name);
        read_number(run, column++, record.worker);
        record.weight = static_cast<uint32_t>(run.number_at(column++));
        read_number(run, column++, record.tasks_max);
        record.paused = run.number_at(column++) != 0;
        const std::string whose = "channel " + record.name;
        record.defaults = decode_stored_options(connection_, run.bytes_at(column++), whose);
        auto& from_ini = record.from_ini;
        if (!run.is_null_at(column))
          from_ini.distinct = read_distinct(run.number_at(column), record.name);
        ++column;
        read_number(run, column++, from_ini.worker);
        read_number(run, column++, from_ini.weight);
        read_number(run, column++, from_ini.tasks_max);
        from_ini.defaults = decode_stored_options(connection_, run.bytes_at(column++), whose);
        record.created_at_ms = run.number_at(column);
        records.push_back(std::move(record));
      }
      return records;
    });
  }

  result<channel_recovery> recover_channel(const std::string& channel) override {
    return guarded([&] {
      channel_recovery recovery;
      int64_t number = 0;
      {
        sqlite_statement::run run(load_counts_);
        if (!run.text(channel).next())
          return recovery;
        number = run.number_at(0);
        recovery.pending_count = static_cast<uint64_t>(run.number_at(1));
        recovery.held_count = static_cast<uint64_t>(run.number_at(2));
        recovery.delayed_count = static_cast<uint64_t>(run.number_at(3));
      }
      {
        sqlite_statement::run run(load_running_);
        run.number(number);
        while (run.next())
          recovery.running.push_back(read_task_row(connection_, run, channel));
      }
      {
        sqlite_statement::run run(next_expiry_);
        if (run.number(number).next())
          recovery.next_expiry_ms = run.number_at(0);
      }
      sqlite_statement::run run(next_due_);
      if (run.number(number).next())
        recovery.next_due_ms = run.number_at(0);
      return recovery;
    });
  }

  result<std::vector<task>> load_pending(const std::string& channel, order_key after,
                                         window_limits limits) override {
    return guarded([&] {
      std::vector<task> window;
      const int64_t number = channel_number(channel);
      window_meter meter(limits);
      // False when the window is at its end.
      const auto take = [&](sqlite_statement::run& run) {
        while (meter.open() && run.next()) {
          task row = read_task_row(connection_, run, channel);
          if (!meter.admit(row))
            break;
          writer_.note_place(row.id, static_cast<int64_t>(row.sequence), number);
          window.push_back(std::move(row));
        }
        return meter.open();
      };
      // First the rest of the same priority, then the lower ones: both are searches, one condition for both
      // would not be.
      constexpr auto last = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      sqlite_statement::run equal(load_equal_);
      equal.number(number)
          .number(after.priority)
          .number(static_cast<int64_t>(std::min(after.sequence, last)));
      if (number == 0 || !take(equal))
        return window;
      sqlite_statement::run lower(load_lower_);
      lower.number(number).number(after.priority);
      take(lower);
      return window;
    });
  }

  result<std::vector<task>> load_held(const std::string& channel, uint32_t limit) override {
    return guarded([&] { return first_rows(load_held_, channel, limit); });
  }

  result<std::vector<task>> load_delayed(const std::string& channel, uint32_t limit) override {
    return guarded([&] { return first_rows(load_delayed_, channel, limit); });
  }

  result<std::optional<task>> find_task(const std::string& id) override {
    return guarded([&] { return find(id); });
  }

  result<std::vector<task>> find_tasks(const std::vector<std::string>& ids) override {
    return guarded([&] {
      std::vector<task> tasks;
      for (const auto& id : ids)
        if (auto found = find(id))
          tasks.push_back(*std::move(found));
      return tasks;
    });
  }

  result<std::vector<attempt_record>> load_attempts(const std::string& id) override {
    return guarded([&] {
      std::vector<attempt_record> attempts;
      sqlite_statement::run run(load_attempts_);
      run.text(id);
      while (run.next()) {
        attempt_record one;
        one.attempt = static_cast<uint32_t>(run.number_at(0));
        one.started_at_ms = run.number_at(1);
        one.ended_at_ms = run.number_at(2);
        one.how = read_outcome(connection_, run, 3, 4, 5, id);
        one.output_bytes = static_cast<uint64_t>(run.number_at(6));
        attempts.push_back(std::move(one));
      }
      return attempts;
    });
  }

  result<task_page> list_tasks(const task_filter& filter, listing_place after, uint32_t limit) override {
    return guarded([&] { return listing_.page(filter, after, limit); });
  }

  result<std::optional<clock_mark>> load_clock() override {
    return guarded([&] {
      std::optional<clock_mark> mark;
      sqlite_statement::run run(load_clock_);
      if (run.next())
        mark = clock_mark{run.text_at(0), run.number_at(1)};
      return mark;
    });
  }

  result<std::vector<uint32_t>> load_marks(uint64_t batch) override {
    return guarded([&] {
      std::vector<uint32_t> positions;
      sqlite_statement::run run(load_marks_);
      run.number(static_cast<int64_t>(batch));
      while (run.next())
        append_marked_positions(run.number_at(0), run.number_at(1), positions);
      return positions;
    });
  }

  result<std::vector<uint64_t>> load_marked_batches() override {
    return guarded([&] {
      // From batch to batch by search: DISTINCT would walk over every mark.
      std::vector<uint64_t> batches;
      for (int64_t last = -1;;) {
        sqlite_statement::run run(next_marked_batch_);
        if (!run.number(last).number(static_cast<int64_t>(request_batches_begin)).next())
          return batches;
        last = run.number_at(0);
        batches.push_back(static_cast<uint64_t>(last));
      }
    });
  }

  result<store_totals> totals() override {
    return guarded([&] {
      store_totals sums;
      sqlite_statement::run run(totals_);
      if (run.next()) {
        sums.pending = static_cast<uint64_t>(run.number_at(0));
        sums.delayed = static_cast<uint64_t>(run.number_at(1));
        sums.running = static_cast<uint64_t>(run.number_at(2));
        sums.ended = static_cast<uint64_t>(run.number_at(3));
      }
      return sums;
    });
  }

  result<void> try_commit() override {
    auto tried = guarded([&] {
      sqlite_transaction transaction(connection_);
      sqlite_statement::run(count_trial_).finish();
      transaction.commit();
    });
    return tried && dead_letters_ != nullptr && !knows_dead_letters_ ? keep_dead_letters(dead_letters_)
                                                                     : tried;
  }

  result<void> keep_dead_letters(std::shared_ptr<dead_letter_counts> counts) override {
    auto counted = guarded([&] { return count_dead_letters(); });
    if (!counted)
      return counted.failure();
    counts->set(std::move(*counted));
    dead_letters_ = std::move(counts);
    knows_dead_letters_ = true;
    return {};
  }

private:
  std::map<std::string, int64_t> count_dead_letters() {
    std::map<std::string, int64_t> counts;
    sqlite_statement::run run(count_dead_letters_);
    while (run.next())
      counts.emplace(run.text_at(0), run.number_at(1));
    return counts;
  }

  std::optional<task> find(const std::string& id) {
    std::optional<task> found;
    sqlite_statement::run run(find_task_);
    if (run.text(id).next())
      found = read_task_row(connection_, run, run.text_at(task_row_column_count));
    return found;
  }

  distinct_mode read_distinct(int64_t stored, const std::string& channel) const {
    if (stored < 0 || stored > static_cast<int64_t>(distinct_mode::while_pending))
      connection_.fail_damaged("channel " + channel + " has the unknown distinct mode " +
                               std::to_string(stored));
    return static_cast<distinct_mode>(stored);
  }

  template <class Number>
  static void read_number(const sqlite_statement::run& run, int column, std::optional<Number>& into) {
    if (!run.is_null_at(column))
      into = static_cast<Number>(run.number_at(column));
  }

  /// The first rows of a search by channel, at most `limit`.
  std::vector<task> first_rows(sqlite_statement& search, const std::string& channel, uint32_t limit) {
    std::vector<task> rows;
    const int64_t number = channel_number(channel);
    sqlite_statement::run run(search);
    run.number(number).number(limit);
    while (number != 0 && run.next())
      rows.push_back(read_task_row(connection_, run, channel));
    return rows;
  }

  /// The channel's number, or 0 when no task was ever pushed to it.
  int64_t channel_number(const std::string& channel) {
    sqlite_statement::run run(load_counts_);
    return run.text(channel).next() ? run.number_at(0) : 0;
  }

  // The connection stands first: the statements go before it.
  sqlite_connection connection_;
  sqlite_writer writer_;
  sqlite_listing listing_;
  sqlite_statement load_channels_;
  sqlite_statement load_counts_;
  sqlite_statement load_running_;
  sqlite_statement load_equal_;
  sqlite_statement load_lower_;
  sqlite_statement load_held_;
  sqlite_statement load_delayed_;
  sqlite_statement next_due_;
  sqlite_statement next_expiry_;
  sqlite_statement load_attempts_;
  sqlite_statement load_clock_;
  sqlite_statement find_task_;
  sqlite_statement load_marks_;
  sqlite_statement next_marked_batch_;
  sqlite_statement totals_;
  sqlite_statement count_trial_;
  sqlite_statement count_dead_letters_;
  /// Null: nobody wants to know.
  std::shared_ptr<dead_letter_counts> dead_letters_;
  /// Whether they are as the store is.
  bool knows_dead_letters_ = false;
};

} // namespace

result<std::unique_ptr<queue_store>> open_sqlite_store(const std::string& path) {
  return guarded([&]() -> std::unique_ptr<queue_store> {
    return std::make_unique<sqlite_store>(open_store_file(path));
  });
}

} // namespace task_runner
