// The same random operations on both stores, with equal answers demanded at every step.
// The seed is printed on failure; TASK_RUNNER_TEST_SEED repeats a run.
#include "test/contract/store_support.hpp"

#include <cstdlib>
#include <map>
#include <random>

using namespace task_runner;
using namespace task_runner::test;

namespace {

const std::vector<std::string> channels = {"default", "biz", "cron", "never:used"};
const std::vector<uint64_t> batches = {0, 1, 2, 99, request_batches_begin + 1, request_batches_begin + 2};

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

  /// A filter of any kind.
  task_filter filter() {
    task_filter made;
    if (below(2) == 0)
      made.channel = channels[below(channels.size())];
    for (uint64_t i = below(4); i > 0; --i)
      made.states.push_back(static_cast<task_state>(below(6)));
    if (below(4) == 0)
      made.name_contains = std::string(below(150), 'n');
    if (below(6) == 0)
      made.distinct_key = "key-" + std::to_string(below(8));
    if (below(6) == 0)
      made.outcome = static_cast<outcome_kind>(below(7));
    if (below(8) == 0)
      made.exit_code = static_cast<int>(below(3));
    if (below(6) == 0)
      made.created_from_ms = moment();
    if (below(6) == 0)
      made.created_until_ms = moment();
    if (below(6) == 0)
      made.ended_from_ms = moment();
    if (below(6) == 0)
      made.ended_until_ms = moment();
    return made;
  }

private:
  store_operation operation() {
    switch (below(44)) {
    case 0:
      return mark_origin{origin()};
    case 1:
      return forget_batch{batches[below(batches.size())]};
    case 2:
      return channel_record_change();
    case 3:
    case 4:
      return promote_due{channel(), moment(), static_cast<uint32_t>(below(4))};
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
      return lease_task{id(), static_cast<uint32_t>(1 + below(3)), moment(), below(3)};
    case 11:
    case 12:
    case 13:
    case 14:
    case 15:
    case 16:
      return settle();
    case 17:
      return expire_due{channel(), moment(), static_cast<uint32_t>(below(4))};
    case 18:
    case 19:
      return cancel_task{id(), moment()};
    case 20:
      return below(2) == 0 ? store_operation{cancel_task{id(), moment()}}
                           : cancel_channel_tasks{channel(), moment(), static_cast<uint32_t>(below(3))};
    case 21:
    case 22:
      return retry_task{id(), moment()};
    case 23:
      return delete_task{id()};
    case 24:
      return release_distinct{id()};
    case 25:
      return release_held{channel(), static_cast<uint32_t>(below(3))};
    case 26:
      return purge();
    case 27:
      return adjust_clock{static_cast<int64_t>(below(41)) - 20,
                          {"boot-" + std::to_string(below(3)), static_cast<int64_t>(below(100)) - 50}};
    case 28:
    case 29:
    case 30:
    case 31:
      return return_lease{id(), channel()};
    case 32:
    case 33: {
      begin_request begin;
      begin.key = "key-" + std::to_string(below(6));
      begin.fingerprint = "print-" + std::to_string(below(5) == 0);
      begin.task_id = id();
      begin.now_ms = moment();
      begin.forget_before_ms = below(3) == 0 ? moment() : 0;
      begin.records_max = 1 + below(8);
      begin.bytes_max = below(200);
      return begin;
    }
    case 34:
    case 35:
      return finish_request{request_batches_begin + 1 + below(40),
                            {200, "text", std::string(below(90), 'b')}};
    default:
      return insertion();
    }
  }

  store_operation insertion() {
    task value;
    value.id = id();
    value.channel = channel();
    value.name = std::string(below(200), 'n');
    if (below(3) == 0)
      value.command.line = "echo " + std::to_string(below(1'000));
    else if (below(3) == 0)
      value.command.argv = {"printf", "", std::string(below(500), 'w')};
    if (below(2) == 0) {
      value.distinct_key = "key-" + std::to_string(below(8));
      value.distinct_while_pending = below(2) == 0;
    }
    if (below(2) == 0) {
      value.concurrency_key = "shared-" + std::to_string(below(2));
      value.concurrency_max = static_cast<uint32_t>(1 + below(3));
    }
    if (below(3) == 0)
      value.expires_at_ms = moment();
    if (below(3) == 0) {
      task_options options;
      if (below(2) == 0)
        options.max_attempts = static_cast<uint32_t>(1 + below(1'000));
      if (below(2) == 0)
        options.environment.input = std::string(below(100), 'i');
      value.options = std::make_shared<const task_options>(options);
    }
    value.priority = static_cast<int32_t>(below(5)) - 2;
    value.created_at_ms = moment();
    switch (below(4)) {
    case 0:
      value.state = task_state::delayed;
      value.not_before_ms = moment();
      value.delay_is_relative = below(2) == 0;
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
                                     task_state::pending, task_state::delayed};
    settle_task made;
    made.id = id();
    made.attempt = static_cast<uint32_t>(1 + below(3));
    made.state = states[below(5)];
    made.how.kind = static_cast<outcome_kind>(below(7));
    made.how.code = static_cast<int>(below(3));
    if (below(4) == 0)
      made.how.error = "why it failed";
    made.started_at_ms = below(2) == 0 ? 0 : moment();
    made.ended_at_ms = moment();
    made.recoveries = static_cast<uint32_t>(below(3));
    made.not_before_ms = moment();
    made.output_bytes = below(100);
    return made;
  }

  store_operation purge() {
    purge_ended made;
    if (below(2) == 0)
      made.ended_before_ms = moment() / 2;
    if (below(2) == 0)
      made.dead_before_ms = moment() / 4;
    if (below(3) == 0)
      made.tasks_max = 1 + below(30);
    if (below(3) == 0)
      made.output_bytes_max = 1 + below(1'000);
    made.kept_bytes_max = 40 * below(3);
    made.limit = static_cast<uint32_t>(below(6));
    return made;
  }

  store_operation channel_record_change() {
    if (below(3) == 0)
      return remove_channel{channels[below(channels.size())]};
    channel_record record;
    record.name = channels[below(channels.size())];
    record.distinct = static_cast<distinct_mode>(below(3));
    if (below(2) == 0)
      record.worker = static_cast<uint32_t>(below(1'025));
    record.weight = static_cast<uint32_t>(1 + below(1'000));
    if (below(2) == 0)
      record.tasks_max = 1 + below(1'000'000);
    record.paused = below(2) == 0;
    if (below(2) == 0)
      record.defaults.max_attempts = static_cast<uint32_t>(1 + below(1'000));
    if (below(2) == 0)
      record.from_ini.distinct = static_cast<distinct_mode>(below(3));
    if (below(2) == 0)
      record.from_ini.worker = static_cast<uint32_t>(below(1'025));
    if (below(2) == 0)
      record.from_ini.weight = static_cast<uint32_t>(1 + below(1'000));
    if (below(2) == 0)
      record.from_ini.tasks_max = 1 + below(1'000'000);
    if (below(2) == 0)
      record.from_ini.defaults.environment.directory = "/tmp";
    record.created_at_ms = moment();
    return save_channel{std::move(record)};
  }

  const std::string& channel() { return channels[below(3)]; }
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

/// Counts what the operation has done.
void note_what_happened(const store_operation& operation, const store_answer& answer,
                        std::map<std::string, uint64_t>& seen) {
  if (const auto* inserted = std::get_if<insert_answer>(&answer)) {
    if (inserted->what == insert_answer::kind::inserted)
      ++seen[inserted->held ? "inserted as held" : "inserted"];
  } else if (const auto* changed = std::get_if<change_answer>(&answer)) {
    seen["released"] += changed->released.size();
    if (!changed->holder_id.empty())
      ++seen["retry met a holder"];
    if (!changed->applied)
      return;
    if (std::get_if<lease_task>(&operation) != nullptr)
      ++seen["applied by lease"];
    if (std::get_if<return_lease>(&operation) != nullptr)
      ++seen["applied by return"];
    if (std::get_if<settle_task>(&operation) != nullptr)
      ++seen["applied by settle"];
    if (std::get_if<cancel_task>(&operation) != nullptr)
      ++seen["applied by cancel"];
    if (std::get_if<retry_task>(&operation) != nullptr)
      ++seen["applied by retry"];
    if (std::get_if<delete_task>(&operation) != nullptr)
      ++seen["applied by delete"];
    if (std::get_if<release_distinct>(&operation) != nullptr)
      ++seen["distinct released"];
    if (std::get_if<remove_channel>(&operation) != nullptr)
      ++seen["channel removed"];
  } else if (const auto* promoted = std::get_if<promote_answer>(&answer)) {
    seen["promoted"] += promoted->promoted.size();
    seen["promoted as held"] += promoted->held_count;
  } else if (const auto* swept = std::get_if<sweep_answer>(&answer)) {
    seen["swept"] += swept->cancelled.size();
    seen["released"] += swept->released.size();
    // Every operation releases for the keys it touches, so nothing is ever left to release.
    if (std::get_if<release_held>(&operation) != nullptr)
      REQUIRE(swept->released.empty());
  } else if (const auto* purged = std::get_if<purge_answer>(&answer)) {
    seen["purged"] += purged->tasks;
    seen["purge has more"] += purged->more ? 1 : 0;
  } else if (const auto* request = std::get_if<request_answer>(&answer)) {
    ++seen["request " + std::to_string(static_cast<int>(request->what))];
  }
}

} // namespace

TEST_CASE("store: both stores answer random operations alike") {
  const uint64_t first_seed = chosen_seed();
  uint64_t ended = 0;
  // What has happened, by the beginning of its answer: the generator must not degenerate into misses.
  std::map<std::string, uint64_t> seen;
  for (uint64_t round = 0; round < 6; ++round) {
    const uint64_t seed = first_seed + round;
    INFO("TASK_RUNNER_TEST_SEED=" << seed);
    operation_generator generator(seed);
    memory_backend memory;
    sqlite_backend sqlite;
    auto expected_store = memory.open();
    auto store = sqlite.open();
    for (int step = 0; step < 400; ++step) {
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
        note_what_happened(operations[i], answers[i], seen);
      }
      if (step % 100 == 99)
        store = nullptr, store = sqlite.open();
      if (step % 10 == 9) {
        REQUIRE(render_all(*store, channels, generator.ids(), batches) ==
                render_all(*expected_store, channels, generator.ids(), batches));
        REQUIRE(render(require_value(store->find_tasks(generator.ids()))) ==
                render(require_value(expected_store->find_tasks(generator.ids()))));
      }
      for (int i = 0; i < 3; ++i) {
        const auto filter = generator.filter();
        const auto limit = static_cast<uint32_t>(1 + generator.below(20));
        const auto order = static_cast<task_order>(generator.below(4));
        const auto listed = list_all(*store, filter, limit, order);
        const auto wanted = list_all(*expected_store, filter, limit, order);
        if (render(listed) != render(wanted))
          REQUIRE(render(listed) == render(wanted));
        seen["listed"] += listed.size();
      }
      if (step % 50 == 49)
        generator.renew_ids();
    }
    ended += require_value(store->totals()).ended;
    store = nullptr;
    require_sound_file(sqlite.path());
  }
  for (const auto& [what, least] : std::map<std::string, uint64_t>{{"inserted", 300},
                                                                   {"inserted as held", 50},
                                                                   {"ended", 100},
                                                                   {"applied by lease", 50},
                                                                   {"applied by return", 5},
                                                                   {"applied by settle", 50},
                                                                   {"applied by cancel", 20},
                                                                   {"applied by retry", 20},
                                                                   {"retry met a holder", 1},
                                                                   {"applied by delete", 5},
                                                                   {"distinct released", 5},
                                                                   {"released", 5},
                                                                   {"promoted", 20},
                                                                   {"promoted as held", 5},
                                                                   {"swept", 20},
                                                                   {"purged", 20},
                                                                   {"purge has more", 5},
                                                                   {"channel removed", 1},
                                                                   {"request 0", 20},
                                                                   {"request 1", 20},
                                                                   {"request 2", 1},
                                                                   {"request 3", 1},
                                                                   {"listed", 1'000}}) {
    INFO(what << ": " << seen[what]);
    REQUIRE((what == "ended" ? ended : seen[what]) >= least);
  }
}
