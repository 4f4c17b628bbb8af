// The same random operations on both stores, with equal answers demanded at every step.
// The seed is printed on failure; TASK_RUNNER_TEST_SEED repeats a run.
#include "test/contract/store_support.hpp"

#include <cstdlib>
#include <random>

using namespace task_runner;
using namespace task_runner::test;

namespace {

const std::vector<std::string> channels = {"default", "biz", "cron", "never:used"};
const std::vector<uint64_t> batches = {0, 1, 2, 99};

/// Few ids, keys and places, so that collisions are the rule.
class operation_generator {
public:
  explicit operation_generator(uint64_t seed)
      : random_(seed) {
    for (int i = 0; i < 40; ++i)
      ids_.push_back("task-" + std::to_string(i));
  }

  const std::vector<std::string>& ids() const { return ids_; }

  std::vector<store_operation> batch() {
    std::vector<store_operation> operations(below(24));
    for (auto& one : operations)
      one = operation();
    return operations;
  }

  uint64_t below(uint64_t bound) { return std::uniform_int_distribution<uint64_t>(0, bound - 1)(random_); }

  /// Begins another generation of ids, so that inserts go on succeeding.
  void renew_ids() {
    ++generation_;
    for (size_t i = 0; i < ids_.size(); i += 2)
      ids_[i] = "task-" + std::to_string(i) + "." + std::to_string(generation_);
  }

private:
  store_operation operation() {
    switch (below(20)) {
    case 0:
      return mark_origin{origin()};
    case 1:
      return forget_batch{batches[below(batches.size())]};
    case 2:
      return channel();
    case 3:
    case 4:
      return promote_due{channels[below(3)], moment(), static_cast<uint32_t>(below(4))};
    case 5:
    case 6:
    case 7:
    case 8:
      return lease_task{id(), static_cast<uint32_t>(1 + below(2)), moment()};
    case 9:
    case 10:
    case 11:
    case 12:
      return settle();
    default:
      return insertion();
    }
  }

  store_operation insertion() {
    task value;
    value.id = id();
    value.channel = channels[below(3)];
    value.name = std::string(below(200), 'n');
    if (below(3) == 0)
      value.command.line = "echo " + std::to_string(below(1'000));
    else if (below(3) == 0)
      value.command.argv = {"printf", "", std::string(below(500), 'w')};
    if (below(2) == 0)
      value.distinct_key = "key-" + std::to_string(below(8));
    value.created_at_ms = moment();
    switch (below(4)) {
    case 0:
      value.state = task_state::delayed;
      value.not_before_ms = moment();
      break;
    case 1:
      value.state = task_state::running;
      value.attempt = 1;
      value.started_at_ms = moment();
      break;
    default:
      break;
    }
    insert_task made{std::move(value), std::nullopt};
    if (below(3) == 0)
      made.origin = origin();
    return made;
  }

  store_operation settle() {
    constexpr task_state states[] = {task_state::finished, task_state::dead, task_state::cancelled,
                                     task_state::pending};
    settle_task made;
    made.id = id();
    made.attempt = static_cast<uint32_t>(1 + below(2));
    made.state = states[below(4)];
    made.how.kind = static_cast<outcome_kind>(below(7));
    made.how.code = static_cast<int>(below(256));
    if (below(4) == 0)
      made.how.error = "why it failed";
    made.started_at_ms = below(2) == 0 ? 0 : moment();
    made.ended_at_ms = moment();
    made.recoveries = static_cast<uint32_t>(below(3));
    return made;
  }

  store_operation channel() {
    channel_record record;
    record.name = channels[below(channels.size())];
    record.distinct = below(2) == 0;
    if (below(2) == 0)
      record.worker = static_cast<uint32_t>(1 + below(1'024));
    if (below(2) == 0)
      record.from_ini.distinct = below(2) == 0;
    if (below(2) == 0)
      record.from_ini.worker = static_cast<uint32_t>(1 + below(1'024));
    record.created_at_ms = moment();
    return save_channel{std::move(record)};
  }

  const std::string& id() { return ids_[below(ids_.size())]; }
  push_origin origin() { return {batches[below(batches.size())], static_cast<uint32_t>(below(6))}; }
  wall_time_ms moment() { return static_cast<wall_time_ms>(1 + below(50)); }

  std::mt19937_64 random_;
  std::vector<std::string> ids_;
  int generation_ = 0;
};

uint64_t chosen_seed() {
  const char* const given = std::getenv("TASK_RUNNER_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

} // namespace

TEST_CASE("store: both stores answer random operations alike") {
  const uint64_t first_seed = chosen_seed();
  uint64_t inserted = 0;
  uint64_t ended = 0;
  for (uint64_t round = 0; round < 6; ++round) {
    const uint64_t seed = first_seed + round;
    INFO("TASK_RUNNER_TEST_SEED=" << seed);
    operation_generator generator(seed);
    memory_backend memory;
    sqlite_backend sqlite;
    auto expected_store = memory.open();
    auto store = sqlite.open();
    for (int step = 0; step < 300; ++step) {
      INFO("step " << step);
      const auto operations = generator.batch();
      const auto expected = require_value(expected_store->apply(operations));
      const auto answers = require_value(store->apply(operations));
      REQUIRE(answers.size() == operations.size());
      REQUIRE(expected.size() == operations.size());
      for (size_t i = 0; i < operations.size(); ++i) {
        INFO("operation " << i << ", alternative " << operations[i].index());
        const std::string text = render(answers[i]);
        if (text != render(expected[i]))
          REQUIRE(text == render(expected[i]));
        if (text.compare(0, 8, "insert 0") == 0)
          ++inserted;
      }
      if (step % 100 == 99)
        store = nullptr, store = sqlite.open();
      if (step % 10 == 9)
        REQUIRE(render_all(*store, channels, generator.ids(), batches) ==
                render_all(*expected_store, channels, generator.ids(), batches));
      if (step % 50 == 49)
        generator.renew_ids();
    }
    ended += require_value(store->totals()).ended;
    store = nullptr;
    require_sound_file(sqlite.path());
  }
  // The generator must not degenerate into operations that all miss.
  INFO(inserted << " inserted, " << ended << " ended");
  REQUIRE(inserted > 300);
  REQUIRE(ended > 100);
}
