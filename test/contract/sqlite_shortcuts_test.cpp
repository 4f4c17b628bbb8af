// The embedded store's shortcuts: many inserts with one statement, places remembered, sequences reserved.
// Whatever they save, the answers are those of the long way.
#include "services/store/sqlite_connection.hpp"
#include "services/store/sqlite_store.hpp"
#include "test/contract/store_support.hpp"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>

using namespace task_runner;
using namespace task_runner::test;

using kind = insert_answer::kind;

namespace {

std::string numbered(uint64_t number) {
  return "task-" + std::to_string(number);
}

/// Draws transactions that are mostly plain inserts, some of them in conflict with one another.
class insert_generator {
public:
  explicit insert_generator(uint64_t seed)
      : random_(seed) {}

  std::vector<store_operation> batch() {
    std::vector<store_operation> operations;
    // Conflicts are rare, as they are in life, so that long runs of inserts go in together.
    const uint64_t count = 1 + below(60);
    for (uint64_t i = 0; i < count; ++i) {
      if (below(25) == 0)
        operations.emplace_back(lease_task{numbered(below(next_ + 1)), 1, 5, 1});
      else
        operations.emplace_back(insertion());
    }
    return operations;
  }

  uint64_t drawn() const { return next_; }

private:
  insert_task insertion() {
    auto value = make_task(numbered(below(40) == 0 ? below(next_ + 1) : next_++),
                           "channel-" + std::to_string(below(2)));
    value.priority = static_cast<int32_t>(below(3)) - 1;
    if (below(3) == 0) {
      value.distinct_key = "key-" + std::to_string(below(300));
      value.distinct_while_pending = below(2) == 0;
    }
    if (below(4) == 0) {
      value.state = task_state::running;
      value.attempt = 1;
      value.started_at_ms = 7;
      value.launcher_id = 1 + below(3);
    }
    if (below(30) == 0) {
      value.concurrency_key = "shared";
      value.concurrency_max = 2;
    }
    if (below(30) == 0)
      value.expires_at_ms = 1'000;
    if (below(8) == 0)
      value.command.argv = {"printf", "", "two words"};
    insert_task made{std::move(value), std::nullopt};
    // As messages are taken in: one after the other, of which few were decided before.
    if (below(3) > 0)
      made.origin = push_origin{1, next_position_++};
    else if (below(2) == 0)
      made.origin = push_origin{1 + below(3), static_cast<uint32_t>(below(2'000))};
    return made;
  }

  uint64_t below(uint64_t end) { return random_() % end; }

  std::mt19937_64 random_;
  uint64_t next_ = 0;
  uint32_t next_position_ = 0;
};

/// What a crash at this moment would leave.
void copy_files(const sqlite_backend& from, const sqlite_backend& to) {
  for (const char* suffix : {"", "-wal"})
    std::filesystem::copy_file(from.path() + suffix, to.path() + suffix);
}

std::string plan_of(sqlite_connection& connection, const std::string& sql) {
  sqlite_statement statement(connection, ("EXPLAIN QUERY PLAN " + sql).c_str());
  sqlite_statement::run run(statement);
  return run.next() ? run.text_at(3) : std::string();
}

} // namespace

TEST_CASE("sqlite: many inserts at once are answered as one after the other") {
  const char* const given = std::getenv("TASK_RUNNER_TEST_SEED");
  const uint64_t first_seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::map<kind, uint64_t> seen;
  for (uint64_t seed = first_seed; seed < first_seed + 4; ++seed) {
    INFO("TASK_RUNNER_TEST_SEED=" << seed);
    insert_generator generator(seed);
    memory_backend memory;
    sqlite_backend sqlite;
    auto expected_store = memory.open();
    auto store = sqlite.open();
    for (int step = 0; step < 40; ++step) {
      INFO("step " << step);
      const auto operations = generator.batch();
      const auto expected = require_value(expected_store->apply(operations));
      const auto answers = require_value(store->apply(operations));
      REQUIRE(answers.size() == operations.size());
      for (size_t i = 0; i < operations.size(); ++i) {
        INFO("operation " << i);
        REQUIRE(render(answers[i]) == render(expected[i]));
        if (const auto* inserted = std::get_if<insert_answer>(&answers[i]))
          ++seen[inserted->what];
      }
    }
    std::vector<std::string> ids;
    for (uint64_t number = 0; number < generator.drawn(); ++number)
      ids.push_back(numbered(number));
    REQUIRE(render_all(*store, {"channel-0", "channel-1"}, ids, {1, 2, 3}) ==
            render_all(*expected_store, {"channel-0", "channel-1"}, ids, {1, 2, 3}));
  }
  REQUIRE(seen[kind::inserted] > 1'000);
  REQUIRE(seen[kind::duplicate_id] > 10);
  REQUIRE(seen[kind::duplicate_key] > 10);
  REQUIRE(seen[kind::duplicate_origin] > 10);
}

TEST_CASE("sqlite: a crash leaves no sequence to be given twice, and closing no gap") {
  sqlite_backend backend;
  sqlite_backend crashed;
  auto store = backend.open();
  for (uint64_t number = 1; number <= 3; ++number)
    REQUIRE(insert(*store, make_task(numbered(number))).sequence == number);
  // The last one is gone without a trace in the table when it crashes.
  REQUIRE(change(*store, cancel_task{numbered(3), 5}));
  REQUIRE(change(*store, delete_task{numbered(3)}));
  copy_files(backend, crashed);
  {
    auto other = crashed.open();
    const auto after = insert(*other, make_task("after")).sequence;
    REQUIRE(after > 3);
    REQUIRE(insert(*other, make_task("later")).sequence == after + 1);
  }
  REQUIRE(insert(*store, make_task("next")).sequence == 4);
  store = nullptr;
  store = backend.open();
  REQUIRE(insert(*store, make_task("last")).sequence == 5);
  store = nullptr;
  require_sound_file(backend.path());
  require_sound_file(crashed.path());
}

TEST_CASE("sqlite: what a transaction that failed has taught is not believed") {
  sqlite_backend backend;
  auto store = backend.open();
  REQUIRE(insert(*store, make_task("before")).sequence == 1);
  const std::string log = backend.path() + "-wal";
  std::filesystem::rename(log, log + ".away");
  auto lost = make_task("lost", "new channel");
  const auto refused = store->apply({insert_task{lost, std::nullopt}});
  REQUIRE_FALSE(refused);
  REQUIRE(refused.failure().code == error_code::unavailable);
  REQUIRE_THAT(refused.failure().message, Catch::Contains("is not in its place"));
  std::filesystem::rename(log + ".away", log);

  // Neither the channel's number nor the task's place has come to be; both are another's now.
  const auto sequence = insert(*store, make_task("other", "other channel")).sequence;
  REQUIRE(sequence > 1);
  const auto answer = changed(*store, lease_task{"lost", 1, 5, 1});
  REQUIRE_FALSE(answer.applied);
  REQUIRE_FALSE(answer.after);
  REQUIRE(require_value(store->find_task("other"))->state == task_state::pending);
  REQUIRE(insert(*store, lost).what == kind::inserted);
  REQUIRE(change(*store, lease_task{"lost", 1, 5, 1}));
  REQUIRE(change(*store, settled("lost", 1, task_state::finished)));
  REQUIRE(require_value(store->recover_channel("other channel")).pending_count == 1);
  REQUIRE(require_value(store->recover_channel("new channel")).pending_count == 0);
  store = nullptr;
  require_sound_file(backend.path());
}

TEST_CASE("sqlite: more tasks than places are remembered all run") {
  sqlite_backend backend;
  auto store = backend.open();
  constexpr uint64_t count = 10'000;
  std::vector<store_operation> inserts;
  std::vector<store_operation> leases;
  std::vector<store_operation> ends;
  for (uint64_t number = 0; number < count; ++number) {
    inserts.emplace_back(insert_task{make_task(numbered(number)), std::nullopt});
    leases.emplace_back(lease_task{numbered(number), 1, 5, 1});
    ends.emplace_back(settled(numbered(number), 1, task_state::finished));
  }
  require_value(store->apply(inserts));
  for (const auto* operations : {&leases, &ends})
    for (const auto& answer : require_value(store->apply(*operations)))
      REQUIRE(std::get<change_answer>(answer).applied);
  // And none a second time.
  for (const auto* operations : {&leases, &ends})
    for (const auto& answer : require_value(store->apply(*operations)))
      REQUIRE_FALSE(std::get<change_answer>(answer).applied);
  REQUIRE(require_value(store->totals()).ended == count);
  store = nullptr;
  require_sound_file(backend.path());
}

TEST_CASE("sqlite: a remembered place is looked at without a search") {
  sqlite_backend backend;
  backend.open();
  sqlite_connection connection(backend.path());
  for (const char* const what : {"state = 2", "state = 3"})
    REQUIRE(plan_of(connection, std::string("UPDATE tasks NOT INDEXED SET ") + what +
                                    " WHERE sequence = ? AND id = ? AND channel = ? AND state = 0 AND "
                                    "held = 0") == "SEARCH tasks USING INTEGER PRIMARY KEY (rowid=?)");
}
