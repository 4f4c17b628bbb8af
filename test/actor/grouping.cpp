// Groups of dead letters over a store and outputs that the test makes up: what is put together, and every
// bound.
#include "actors/gateway/grouping.hpp"

#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// Outputs by task, which are read when the test says so.
class hand_outputs final : public output_reader {
public:
  result<void> read(attempt_key key, output_range wanted, output_completion done) override {
    if (refusal)
      return *refusal;
    CHECK(wanted.from_end);
    CHECK(wanted.offset == error_tail_bytes);
    CHECK(wanted.length_max == error_tail_bytes);
    waiting.emplace_back(std::move(key), std::move(done));
    return {};
  }

  void answer_one() {
    auto [key, done] = std::move(waiting.front());
    waiting.pop_front();
    ++reads;
    if (broken.count(key.task_id) > 0) {
      done(broken.at(key.task_id));
      return;
    }
    const auto& text = written[key.task_id + "." + std::to_string(key.attempt)];
    done(output_piece{text, 0, text.size()});
  }
  void answer_all() {
    while (!waiting.empty())
      answer_one();
  }

  std::map<std::string, std::string> written;
  std::map<std::string, error> broken;
  std::optional<error> refusal;
  std::deque<std::pair<attempt_key, output_completion>> waiting;
  size_t reads = 0;
};

/// The gateway over the actors of a test.
struct grouped {
  grouped() {
    shared->via = actors.via;
    shared->router = actors.router_handle;
    shared->outputs = &outputs;
  }
  ~grouped() {
    shared->via = caf::actor{};
    shared->router = router_actor{};
  }

  /// A task that died, in its second attempt.
  void bury(const std::string& id, outcome how, const std::string& output,
            const std::string& channel = "default") {
    task dead;
    dead.id = id;
    dead.channel = channel;
    dead.name = "true";
    dead.state = task_state::running;
    dead.attempt = 1;
    dead.started_at_ms = dead.created_at_ms = now_ms;
    settle_task retried;
    retried.id = id;
    retried.attempt = 1;
    retried.state = task_state::pending;
    retried.how = how;
    retried.started_at_ms = retried.ended_at_ms = now_ms;
    lease_task again{id, 2, now_ms, 1};
    settle_task died;
    died.id = id;
    died.attempt = 2;
    died.state = task_state::dead;
    died.how = std::move(how);
    died.started_at_ms = died.ended_at_ms = now_ms += 1'000;
    died.output_bytes = output.size();
    const auto answers = actors.writer.store.apply({insert_task{dead, std::nullopt}, retried, again, died});
    REQUIRE(answers);
    REQUIRE(std::get<change_answer>(answers->back()).applied);
    outputs.written[id + ".2"] = output;
  }

  std::shared_ptr<std::optional<result<dead_groups>>> begin(task_filter filter = {},
                                                            grouping_limits limits = {}) {
    auto slot = std::make_shared<std::optional<result<dead_groups>>>();
    group_dead_letters(
        shared, std::move(filter),
        [slot](result<dead_groups> found) {
          CHECK_FALSE(*slot);
          slot->emplace(std::move(found));
        },
        limits);
    actors.settle();
    return slot;
  }
  dead_groups groups(task_filter filter = {}, grouping_limits limits = {}) {
    const auto slot = begin(std::move(filter), limits);
    outputs.answer_all();
    REQUIRE(*slot);
    REQUIRE(**slot);
    return std::move(***slot);
  }

  hand_outputs outputs;
  actor_fixture actors{
      {actor_fixture::make_channel("default", false, 0), actor_fixture::make_channel("mail", false, 0)}};
  std::shared_ptr<gateway> shared = std::make_shared<gateway>();
  wall_time_ms now_ms = 1'800'000'000'000;
};

const outcome exit_1{outcome_kind::exited, 1, {}};
const outcome exit_2{outcome_kind::exited, 2, {}};
const outcome killed{outcome_kind::signalled, 9, {}};

} // namespace

TEST_CASE("dead letters are grouped by how they ended and by their error") {
  grouped all;
  all.bury("a", exit_1, "ValueError: order 1\n");
  all.bury("b", exit_1, "ValueError: order 22\n", "mail");
  all.bury("c", exit_2, "ValueError: order 3\n");
  all.bury("d", killed, "");
  all.bury("e", exit_1, "KeyError: 'x'\n");
  all.bury("f", exit_1, "ValueError: order 333\n");
  all.bury("g", {outcome_kind::spawn_failed, 0, "cannot enter /nowhere: No such file or directory"}, "");
  const auto found = all.groups();
  CHECK(found.looked_at == 7);
  CHECK(found.unread == 0);
  CHECK_FALSE(found.truncated);
  REQUIRE(found.groups.size() == 5);
  const auto& first = found.groups[0];
  CHECK(first.count == 3);
  CHECK(first.how == exit_1);
  CHECK(first.fingerprint.line == "ValueError: order 333");
  CHECK(first.ids == std::vector<std::string>{"f", "b", "a"});
  CHECK(first.channels == std::set<std::string>{"default", "mail"});
  CHECK(first.newest_ended_at_ms - first.oldest_ended_at_ms == 5'000);
  // Of the same size, those that were hit last come first.
  CHECK(found.groups[1].ids == std::vector<std::string>{"g"});
  CHECK(found.groups[1].fingerprint.line == "cannot enter /nowhere: No such file or directory");
  CHECK(found.groups[2].ids == std::vector<std::string>{"e"});
  CHECK(found.groups[3].ids == std::vector<std::string>{"d"});
  CHECK(found.groups[3].fingerprint.hash.empty());
  CHECK(found.groups[4].how == exit_2);
}

TEST_CASE("only dead letters that the filter admits are grouped") {
  grouped all;
  all.bury("a", exit_1, "error: x\n");
  all.bury("b", exit_1, "error: x\n", "mail");
  all.bury("c", exit_1, "error: x\n", "mail");
  all.actors.push(actor_fixture::item("waits", "mail"));
  all.actors.settle();
  task_filter filter;
  filter.channel = "mail";
  CHECK(all.groups(filter).groups.at(0).ids == std::vector<std::string>{"c", "b"});
  filter.ended_until_ms = all.now_ms;
  CHECK(all.groups(filter).groups.at(0).ids == std::vector<std::string>{"b"});
  filter.channel = "none";
  const auto none = all.groups(filter);
  CHECK(none.groups.empty());
  CHECK(none.looked_at == 0);
  CHECK_FALSE(none.truncated);
}

TEST_CASE("the newest are looked at, as many as the bound allows") {
  grouped all;
  for (int i = 0; i < 2'500; ++i)
    all.bury("t" + std::to_string(i), exit_1, "error: x\n");
  grouping_limits limits;
  limits.ids_max = 10;
  auto found = all.groups({}, limits);
  CHECK(found.looked_at == 2'500);
  CHECK_FALSE(found.truncated);
  CHECK(found.groups.at(0).count == 2'500);
  CHECK(found.groups.at(0).ids.size() == 10);
  CHECK(found.groups.at(0).ids.front() == "t2499");
  for (const size_t tasks_max : {size_t{1'000}, size_t{1'001}}) { // at the end of a page, and behind it
    limits.tasks_max = tasks_max;
    found = all.groups({}, limits);
    CHECK(found.looked_at == tasks_max);
    CHECK(found.truncated);
    CHECK(found.groups.at(0).count == tasks_max);
  }
}

TEST_CASE("channels of a group are named up to a bound, and counted beyond it") {
  grouping_limits limits;
  limits.channels_max = 2;
  dead_letter_sorter sorter(limits);
  task dead;
  for (const auto* channel : {"c", "a", "b", "c"}) {
    dead.channel = channel;
    dead.id += 'x';
    sorter.add(dead, {});
  }
  const auto groups = sorter.take();
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].count == 4);
  CHECK(groups[0].channels == std::set<std::string>{"a", "c"});
}

TEST_CASE("an output that cannot be read is told as that") {
  grouped all;
  all.bury("a", exit_1, "error: x\n");
  all.bury("b", exit_1, "error: x\n");
  all.outputs.broken["b"] = {error_code::unavailable, "cannot read it"};
  const auto found = all.groups();
  CHECK(found.looked_at == 2);
  CHECK(found.unread == 1);
  CHECK(found.groups.size() == 2);
}

TEST_CASE("when the time is over what was found is answered") {
  grouped all;
  all.bury("a", exit_1, "error: x\n");
  grouping_limits limits;
  limits.time_max = std::chrono::milliseconds(0);
  const auto slot = all.begin({}, limits);
  REQUIRE(*slot);
  REQUIRE(**slot);
  CHECK((**slot)->truncated);
  CHECK((**slot)->looked_at == 0);
  CHECK(all.outputs.reads == 0);
}

TEST_CASE("one output is read at a time") {
  grouped all;
  for (int i = 0; i < 5; ++i)
    all.bury("t" + std::to_string(i), exit_1, "");
  const auto slot = all.begin();
  for (int i = 0; i < 5; ++i) {
    CHECK(all.outputs.waiting.size() == 1);
    CHECK_FALSE(*slot);
    all.outputs.answer_one();
  }
  CHECK(all.outputs.waiting.empty());
  CHECK(*slot);
}

TEST_CASE("too many groupings at once are refused, until one has ended") {
  grouped all;
  all.bury("a", exit_1, "error: x\n");
  const grouping_limits limits;
  std::vector<std::shared_ptr<std::optional<result<dead_groups>>>> running;
  for (uint32_t i = 0; i < limits.at_once_max; ++i)
    running.push_back(all.begin());
  const auto refused = all.begin();
  REQUIRE(*refused);
  REQUIRE_FALSE(**refused);
  CHECK((**refused).failure().code == error_code::overloaded);
  all.outputs.answer_one();
  CHECK(*running.front());
  CHECK_FALSE(*all.begin());
  all.outputs.answer_all();
  for (const auto& one : running)
    CHECK(*one);
  CHECK(all.shared->groupings == 0);
}

TEST_CASE("what stands in the way of a grouping is its answer") {
  grouped all;
  all.bury("a", exit_1, "error: x\n");
  SECTION("the list of tasks cannot be read") {
    all.actors.writer.unreadable = true;
    const auto slot = all.begin();
    REQUIRE(*slot);
    CHECK((**slot).failure().code == error_code::unavailable);
  }
  SECTION("the reader has no room") {
    all.outputs.refusal = {error_code::overloaded, "too many wait"};
    const auto slot = all.begin();
    REQUIRE(*slot);
    CHECK((**slot).failure().code == error_code::overloaded);
  }
  SECTION("the reader ends") {
    all.outputs.broken["a"] = {error_code::draining, "the daemon ends"};
    const auto slot = all.begin();
    all.outputs.answer_all();
    REQUIRE(*slot);
    CHECK((**slot).failure().code == error_code::draining);
  }
  CHECK(all.shared->groupings == 0);
}
