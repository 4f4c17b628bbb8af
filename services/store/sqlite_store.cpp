// The embedded store: the read side, and the edge where exceptions become error values.
// Reads are searches in partial indexes that hold unfinished tasks only, and the kept counts of each channel.
#include "services/store/sqlite_store.hpp"

#include "services/store/sqlite_connection.hpp"
#include "services/store/sqlite_file.hpp"
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
      , load_channels_(connection_,
                       "SELECT name, is_distinct, worker, ini_distinct, ini_worker, created_at_ms "
                       "FROM channels ORDER BY name")
      , load_counts_(connection_, "SELECT number, pending, delayed FROM channel_counts WHERE name = ?")
      , load_running_(connection_, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_running "
                                   "WHERE state = 2 AND channel = ? ORDER BY sequence")
      , load_pending_(connection_, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_pending "
                                   "WHERE state = 0 AND channel = ? AND sequence > ? ORDER BY sequence")
      , load_delayed_(connection_, "SELECT " TASK_ROW_COLUMNS " FROM tasks INDEXED BY tasks_delayed "
                                   "WHERE state = 1 AND channel = ? ORDER BY not_before_ms, sequence LIMIT ?")
      , next_due_(connection_, "SELECT not_before_ms FROM tasks INDEXED BY tasks_delayed "
                               "WHERE state = 1 AND channel = ? ORDER BY not_before_ms LIMIT 1")
      , find_task_(connection_, "SELECT " TASK_ROW_COLUMNS ", (SELECT c.name FROM channel_counts c WHERE "
                                "c.number = channel) FROM tasks WHERE id = ?")
      , load_marks_(connection_, "SELECT position FROM origin_marks WHERE batch = ? ORDER BY position")
      , next_marked_batch_(connection_,
                           "SELECT batch FROM origin_marks WHERE batch > ? ORDER BY batch LIMIT 1")
      , totals_(connection_, "SELECT coalesce(sum(pending), 0), coalesce(sum(delayed), 0), "
                             "coalesce(sum(running), 0), coalesce(sum(ended), 0) FROM channel_counts") {}

  result<std::vector<store_answer>> apply(const std::vector<store_operation>& operations) override {
    if (auto checked = check_operations(operations); !checked)
      return checked.failure();
    return guarded([&] {
      sqlite_transaction transaction(connection_);
      auto answers = writer_.apply(operations);
      transaction.commit();
      return answers;
    });
  }

  result<std::vector<channel_record>> load_channels() override {
    return guarded([&] {
      std::vector<channel_record> records;
      sqlite_statement::run run(load_channels_);
      while (run.next()) {
        channel_record record;
        record.name = run.text_at(0);
        record.distinct = run.number_at(1) != 0;
        if (!run.is_null_at(2))
          record.worker = static_cast<uint32_t>(run.number_at(2));
        if (!run.is_null_at(3))
          record.from_ini.distinct = run.number_at(3) != 0;
        if (!run.is_null_at(4))
          record.from_ini.worker = static_cast<uint32_t>(run.number_at(4));
        record.created_at_ms = run.number_at(5);
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
        recovery.delayed_count = static_cast<uint64_t>(run.number_at(2));
      }
      {
        sqlite_statement::run run(load_running_);
        run.number(number);
        while (run.next())
          recovery.running.push_back(read_task_row(connection_, run, channel));
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
      constexpr auto last = static_cast<order_key>(std::numeric_limits<int64_t>::max());
      sqlite_statement::run run(load_pending_);
      run.number(number).number(static_cast<int64_t>(std::min(after, last)));
      window_meter meter(limits);
      while (number != 0 && meter.open() && run.next()) {
        task row = read_task_row(connection_, run, channel);
        if (!meter.admit(row))
          break;
        window.push_back(std::move(row));
      }
      return window;
    });
  }

  result<std::vector<task>> load_delayed(const std::string& channel, uint32_t limit) override {
    return guarded([&] {
      std::vector<task> rows;
      const int64_t number = channel_number(channel);
      sqlite_statement::run run(load_delayed_);
      run.number(number).number(limit);
      while (number != 0 && run.next())
        rows.push_back(read_task_row(connection_, run, channel));
      return rows;
    });
  }

  result<std::optional<task>> find_task(const std::string& id) override {
    return guarded([&] {
      std::optional<task> found;
      sqlite_statement::run run(find_task_);
      if (run.text(id).next())
        found = read_task_row(connection_, run, run.text_at(task_row_column_count));
      return found;
    });
  }

  result<std::vector<uint32_t>> load_marks(uint64_t batch) override {
    return guarded([&] {
      std::vector<uint32_t> positions;
      sqlite_statement::run run(load_marks_);
      run.number(static_cast<int64_t>(batch));
      while (run.next())
        positions.push_back(static_cast<uint32_t>(run.number_at(0)));
      return positions;
    });
  }

  result<std::vector<uint64_t>> load_marked_batches() override {
    return guarded([&] {
      // From batch to batch by search: DISTINCT would walk over every mark.
      std::vector<uint64_t> batches;
      for (int64_t last = -1;;) {
        sqlite_statement::run run(next_marked_batch_);
        if (!run.number(last).next())
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

private:
  /// The channel's number, or 0 when no task was ever pushed to it.
  int64_t channel_number(const std::string& channel) {
    sqlite_statement::run run(load_counts_);
    return run.text(channel).next() ? run.number_at(0) : 0;
  }

  // The connection stands first: the statements go before it.
  sqlite_connection connection_;
  sqlite_writer writer_;
  sqlite_statement load_channels_;
  sqlite_statement load_counts_;
  sqlite_statement load_running_;
  sqlite_statement load_pending_;
  sqlite_statement load_delayed_;
  sqlite_statement next_due_;
  sqlite_statement find_task_;
  sqlite_statement load_marks_;
  sqlite_statement next_marked_batch_;
  sqlite_statement totals_;
};

} // namespace

result<std::unique_ptr<queue_store>> open_sqlite_store(const std::string& path) {
  return guarded([&]() -> std::unique_ptr<queue_store> {
    return std::make_unique<sqlite_store>(open_store_file(path));
  });
}

} // namespace task_runner
