// The contract of every store, operation by operation.
// Each case runs on the store in memory and on the embedded one and demands the same.
#include "test/contract/store_support.hpp"

using namespace task_runner;
using namespace task_runner::test;

using kind = insert_answer::kind;

STORE_TEST("a task comes back as it was put in") {
  TestType backend;
  auto store = backend.open();
  task value;
  value.id = "0190-a";
  value.channel = "biz";
  value.name = "naïve 名前 name";
  value.command.argv = {"/bin/echo", "", "two words", std::string(300, 'x'), "quote ' and \" and \\ and \n"};
  value.distinct_key = "key";
  value.state = task_state::running;
  value.attempt = 1;
  value.priority = -1'000;
  value.concurrency_key = "one at a time";
  value.concurrency_max = 1'024;
  value.expires_at_ms = 1'800'000'000'000;
  value.delay_is_relative = true;
  value.output_bytes = 77;
  task_options options;
  options.priority = -1'000;
  options.jitter = 0.1;
  options.retry_on = {1, 75, 255};
  options.timeout_ms = 90'061'001;
  options.delivery = delivery_kind::at_most_once;
  options.environment.variables = {{"NAME", "naïve \"value\"\n"}, {"EMPTY", ""}};
  options.environment.input = std::string("two\nlines\n");
  options.environment.file_mask = 022;
  options.environment.limits.memory_bytes = 1ULL << 33;
  value.options = std::make_shared<const task_options>(options);
  value.created_at_ms = 1'700'000'000'123;
  value.not_before_ms = 1'600'000'000'000;
  value.started_at_ms = 1'700'000'000'456;
  const auto answer = insert(*store, value);
  REQUIRE(answer.what == kind::inserted);
  REQUIRE(answer.sequence == 1);
  value.sequence = 1;
  const auto found = require_value(store->find_task("0190-a"));
  REQUIRE(found);
  REQUIRE(render(*found) == render(value));
  REQUIRE(found->options);
  REQUIRE(*found->options == options);

  task with_line = make_task("0190-b");
  with_line.name = "";
  with_line.command.line = "echo 'a  b' \"c\" | cat";
  with_line.options = std::make_shared<const task_options>();
  insert(*store, with_line);
  with_line.sequence = 2;
  with_line.options = nullptr; // Options that say nothing are none.
  REQUIRE(render(*require_value(store->find_task("0190-b"))) == render(with_line));
  REQUIRE_FALSE(require_value(store->find_task("0190-")));
}

STORE_TEST("an id is taken for ever") {
  TestType backend;
  auto store = backend.open();
  REQUIRE(insert(*store, make_task("a")).what == kind::inserted);
  const auto again = insert(*store, make_task("a", "other"));
  REQUIRE(again.what == kind::duplicate_id);
  REQUIRE_FALSE(again.same_definition);
  REQUIRE(insert(*store, make_task("a")).same_definition);
  auto renamed = make_task("a");
  renamed.name += " more";
  REQUIRE_FALSE(insert(*store, renamed).same_definition);
  auto with_argv = make_task("a");
  with_argv.command.argv = {"date"};
  REQUIRE_FALSE(insert(*store, with_argv).same_definition);
  REQUIRE(again.holder_id == "a");
  REQUIRE(again.sequence == 0);
  REQUIRE(change(*store, lease_task{"a", 1, 5}));
  REQUIRE(insert(*store, make_task("a")).what == kind::duplicate_id);
  REQUIRE(change(*store, settled("a", 1, task_state::finished)));
  REQUIRE(insert(*store, make_task("a")).what == kind::duplicate_id);
  const auto sums = require_value(store->totals());
  REQUIRE(sums.pending + sums.running + sums.delayed == 0);
  REQUIRE(sums.ended == 1);
}

STORE_TEST("a distinct key is held until its task ends") {
  TestType backend;
  auto store = backend.open();
  REQUIRE(insert(*store, make_distinct_task("a", "biz", "k")).what == kind::inserted);
  const auto while_pending = insert(*store, make_distinct_task("b", "biz", "k"));
  REQUIRE(while_pending.what == kind::duplicate_key);
  REQUIRE(while_pending.holder_id == "a");
  // Another channel, another key, or none, is another matter.
  REQUIRE(insert(*store, make_distinct_task("c", "cron", "k")).what == kind::inserted);
  REQUIRE(insert(*store, make_distinct_task("d", "biz", "K")).what == kind::inserted);
  REQUIRE(insert(*store, make_task("e", "biz")).what == kind::inserted);
  REQUIRE(insert(*store, make_task("f", "biz")).what == kind::inserted);

  REQUIRE(change(*store, lease_task{"a", 1, 1}));
  REQUIRE(insert(*store, make_distinct_task("g", "biz", "k")).holder_id == "a");
  // A lost attempt goes back and holds on.
  REQUIRE(change(*store, settle_task{"a", 1, task_state::pending, {outcome_kind::lost, 0, ""}, 0, 2, 1}));
  REQUIRE(insert(*store, make_distinct_task("h", "biz", "k")).holder_id == "a");
  REQUIRE(change(*store, lease_task{"a", 2, 3}));
  const auto ending = GENERATE(task_state::finished, task_state::dead, task_state::cancelled);
  REQUIRE(change(*store, settle_task{"a", 2, ending, {}, 0, 4, 1}));
  REQUIRE(insert(*store, make_distinct_task("i", "biz", "k")).what == kind::inserted);
  REQUIRE(insert(*store, make_distinct_task("j", "biz", "k")).holder_id == "i");
  REQUIRE(require_value(store->find_task("a"))->distinct_key == "k");
}

STORE_TEST("a delayed task holds its distinct key") {
  TestType backend;
  auto store = backend.open();
  auto value = make_delayed_task("a", "biz", 100);
  value.distinct_key = "k";
  insert(*store, value);
  REQUIRE(insert(*store, make_distinct_task("b", "biz", "k")).holder_id == "a");
}

STORE_TEST("the id is looked at before the key") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_distinct_task("a", "biz", "k"));
  const auto both = insert(*store, make_distinct_task("a", "biz", "k"));
  REQUIRE(both.what == kind::duplicate_id);
}

STORE_TEST("a message is decided once") {
  TestType backend;
  auto store = backend.open();
  REQUIRE(insert(*store, make_distinct_task("a", "biz", "k"), push_origin{7, 0}).what == kind::inserted);
  REQUIRE(insert(*store, make_distinct_task("b", "biz", "k"), push_origin{7, 2}).what == kind::duplicate_key);
  // Taken in again after a crash, with fresh ids: neither runs twice.
  const auto again = insert(*store, make_distinct_task("x", "biz", "other"), push_origin{7, 0});
  REQUIRE(again.what == kind::duplicate_origin);
  REQUIRE(again.holder_id.empty());
  REQUIRE(insert(*store, make_distinct_task("y", "biz", "k2"), push_origin{7, 2}).what ==
          kind::duplicate_origin);
  REQUIRE_FALSE(require_value(store->find_task("x")));
  // A taken id writes nothing, not even the mark.
  REQUIRE(insert(*store, make_task("a"), push_origin{7, 1}).what == kind::duplicate_id);
  REQUIRE(require_value(store->load_marks(7)) == std::vector<uint32_t>{0, 2});
  REQUIRE(change(*store, mark_origin{{7, 1}}));
  REQUIRE_FALSE(change(*store, mark_origin{{7, 1}}));
  REQUIRE(change(*store, mark_origin{{0, 4'294'967'295}}));
  REQUIRE(change(*store, mark_origin{{4'611'686'018'427'387'904U, 3}}));
  REQUIRE(require_value(store->load_marked_batches()) ==
          std::vector<uint64_t>{0, 7, 4'611'686'018'427'387'904U});
  REQUIRE(require_value(store->load_marks(7)) == std::vector<uint32_t>{0, 1, 2});
  REQUIRE(require_value(store->load_marks(0)) == std::vector<uint32_t>{4'294'967'295});
  REQUIRE(require_value(store->load_marks(1)).empty());
  REQUIRE(change(*store, forget_batch{7}));
  REQUIRE_FALSE(change(*store, forget_batch{7}));
  REQUIRE(require_value(store->load_marks(7)).empty());
  REQUIRE(insert(*store, make_task("z"), push_origin{7, 0}).what == kind::inserted);
}

STORE_TEST("a lease is given once and only to a pending task") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_task("a"));
  insert(*store, make_delayed_task("late", "default", 50));
  REQUIRE_FALSE(change(*store, lease_task{"nobody", 1, 10}));
  REQUIRE_FALSE(change(*store, lease_task{"late", 1, 10}));
  REQUIRE(change(*store, lease_task{"a", 1, 10}));
  REQUIRE_FALSE(change(*store, lease_task{"a", 1, 11}));
  REQUIRE_FALSE(change(*store, lease_task{"a", 2, 11}));
  const auto leased = require_value(store->find_task("a"));
  REQUIRE(leased->state == task_state::running);
  REQUIRE(leased->attempt == 1);
  REQUIRE(leased->started_at_ms == 10);
  const auto recovery = require_value(store->recover_channel("default"));
  REQUIRE(ids_of(recovery.running) == std::vector<std::string>{"a"});
  REQUIRE(recovery.pending_count == 0);
  REQUIRE(recovery.delayed_count == 1);
}

STORE_TEST("a first lease that was not handed out is taken back, as if it had never been") {
  TestType backend;
  auto store = backend.open();
  for (const char* id : {"a", "b"})
    insert(*store, make_task(id));
  const auto before = require_value(store->find_task("a"));
  REQUIRE_FALSE(change(*store, return_lease{"a", "default"}));
  REQUIRE_FALSE(change(*store, return_lease{"nobody", "default"}));
  REQUIRE(change(*store, lease_task{"a", 1, 10, 7}));
  REQUIRE_FALSE(change(*store, return_lease{"a", "other"}));
  REQUIRE(change(*store, return_lease{"a", "default"}));
  const auto back = require_value(store->find_task("a"));
  REQUIRE(back->state == task_state::pending);
  REQUIRE(back->attempt == 0);
  REQUIRE(back->started_at_ms == 0);
  REQUIRE(back->launcher_id == 0);
  REQUIRE(back->sequence == before->sequence);
  REQUIRE(ids_of(require_value(store->load_pending("default", order_front, {}))) ==
          std::vector<std::string>{"a", "b"});
  const auto recovery = require_value(store->recover_channel("default"));
  REQUIRE(recovery.pending_count == 2);
  REQUIRE(recovery.running.empty());
  // The same attempt is leased again, and is another's to end.
  REQUIRE(change(*store, lease_task{"a", 1, 20, 7}));
  REQUIRE(change(*store, settled("a", 1, task_state::finished)));
  REQUIRE_FALSE(change(*store, return_lease{"a", "default"}));
}

STORE_TEST("a lease is not taken back where something else depended on it") {
  TestType backend;
  auto store = backend.open();
  auto keyed = make_task("keyed");
  keyed.concurrency_key = "key";
  keyed.concurrency_max = 1;
  auto released = make_task("released");
  released.distinct_key = "what";
  released.distinct_while_pending = true;
  for (const auto& one : {keyed, released, make_task("cancelled"), make_task("second")})
    insert(*store, one);
  for (const char* id : {"keyed", "released", "cancelled", "second"})
    REQUIRE(change(*store, lease_task{id, 1, 10}));
  change(*store, cancel_task{"cancelled", 11});
  REQUIRE(
      change(*store, settle_task{"second", 1, task_state::pending, {outcome_kind::lost, 0, ""}, 12, 20, 1}));
  REQUIRE(change(*store, lease_task{"second", 2, 30}));
  for (const char* id : {"keyed", "released", "cancelled", "second"}) {
    INFO(id);
    const auto answer = changed(*store, return_lease{id, "default"});
    CHECK_FALSE(answer.applied);
    REQUIRE(answer.after);
    CHECK(answer.after->state == task_state::running);
  }
}

STORE_TEST("settling is fenced by the attempt") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_task("a"));
  REQUIRE_FALSE(change(*store, settled("a", 0, task_state::finished)));
  REQUIRE(change(*store, lease_task{"a", 1, 10}));
  REQUIRE_FALSE(change(*store, settled("a", 2, task_state::finished)));
  REQUIRE(change(*store, settle_task{"a", 1, task_state::pending, {outcome_kind::lost, 0, ""}, 12, 20, 1}));
  const auto back = require_value(store->find_task("a"));
  REQUIRE(back->state == task_state::pending);
  REQUIRE(back->last_outcome == outcome{outcome_kind::lost, 0, ""});
  REQUIRE(back->started_at_ms == 12);
  REQUIRE(back->ended_at_ms == 20);
  REQUIRE(back->recoveries == 1);
  // The attempt that was given up cannot be had again, and whoever still speaks for it is not heard.
  REQUIRE_FALSE(change(*store, lease_task{"a", 1, 30}));
  REQUIRE(change(*store, lease_task{"a", 2, 30}));
  REQUIRE_FALSE(require_value(store->find_task("a"))->last_outcome);
  REQUIRE(require_value(store->find_task("a"))->ended_at_ms == 0);
  REQUIRE_FALSE(change(*store, settled("a", 1, task_state::finished)));
  REQUIRE(change(
      *store,
      settle_task{"a", 2, task_state::dead, {outcome_kind::spawn_failed, 0, "no such file"}, 0, 40, 1}));
  const auto dead = require_value(store->find_task("a"));
  REQUIRE(dead->last_outcome == outcome{outcome_kind::spawn_failed, 0, "no such file"});
  REQUIRE(dead->started_at_ms == 30);
  REQUIRE_FALSE(change(*store, settled("a", 2, task_state::finished)));
  REQUIRE(require_value(store->find_task("a"))->state == task_state::dead);
}

STORE_TEST("pending tasks come in the order of acceptance") {
  TestType backend;
  auto store = backend.open();
  for (const char* id : {"c", "a", "b", "e", "d"})
    insert(*store, make_task(id));
  insert(*store, make_task("elsewhere", "other"));
  const auto all = require_value(store->load_pending("default", order_front, {}));
  REQUIRE(ids_of(all) == std::vector<std::string>{"c", "a", "b", "e", "d"});
  const auto behind = require_value(store->load_pending("default", order_of(all[1]), {2, 1'000'000}));
  REQUIRE(ids_of(behind) == std::vector<std::string>{"b", "e"});
  // One that comes back takes its old place.
  REQUIRE(change(*store, lease_task{"a", 1, 1}));
  REQUIRE(ids_of(require_value(store->load_pending("default", order_front, {}))) ==
          std::vector<std::string>{"c", "b", "e", "d"});
  REQUIRE(change(*store, settle_task{"a", 1, task_state::pending, {outcome_kind::lost, 0, ""}, 0, 2, 1}));
  REQUIRE(ids_of(require_value(store->load_pending("default", order_front, {}))) ==
          std::vector<std::string>{"c", "a", "b", "e", "d"});
  REQUIRE(require_value(store->load_pending("default", order_of(all.back()), {})).empty());
  REQUIRE(require_value(store->load_pending("default", order_key{0, UINT64_MAX}, {})).empty());
  REQUIRE(require_value(store->load_pending("unknown", order_front, {})).empty());
}

STORE_TEST("a window ends at either bound and has at least one task") {
  TestType backend;
  auto store = backend.open();
  for (int i = 0; i < 4; ++i) {
    auto value = make_task("t" + std::to_string(i));
    value.command.line = std::string(10'000, 'x');
    insert(*store, value);
  }
  REQUIRE(require_value(store->load_pending("default", order_front, {3, 1'000'000})).size() == 3);
  REQUIRE(require_value(store->load_pending("default", order_front, {100, 25'000})).size() == 2);
  REQUIRE(require_value(store->load_pending("default", order_front, {100, 1})).size() == 1);
  REQUIRE(require_value(store->load_pending("default", order_front, {0, 0})).size() == 1);
  REQUIRE(require_value(store->load_pending("default", order_front, {100, UINT64_MAX})).size() == 4);
}

STORE_TEST("delayed tasks become pending when their moment comes") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_delayed_task("c", "biz", 300));
  insert(*store, make_delayed_task("a", "biz", 100));
  insert(*store, make_delayed_task("b2", "biz", 200));
  insert(*store, make_delayed_task("b1", "biz", 200));
  insert(*store, make_delayed_task("x", "other", 1));
  REQUIRE(ids_of(require_value(store->load_delayed("biz", 3))) == std::vector<std::string>{"a", "b2", "b1"});
  REQUIRE(require_value(store->load_delayed("biz", 0)).empty());
  REQUIRE(require_value(store->recover_channel("biz")).next_due_ms == 100);
  REQUIRE(require_value(store->load_pending("biz", order_front, {})).empty());

  auto answer = std::get<promote_answer>(apply_one(*store, promote_due{"biz", 99, 10}));
  REQUIRE(answer.promoted.empty());
  REQUIRE(answer.next_due_ms == 100);
  answer = std::get<promote_answer>(apply_one(*store, promote_due{"biz", 200, 2}));
  REQUIRE(ids_of(answer.promoted) == std::vector<std::string>{"a", "b2"});
  REQUIRE(answer.promoted[0].state == task_state::pending);
  REQUIRE(answer.promoted[0].not_before_ms == 100);
  REQUIRE(answer.next_due_ms == 200);
  answer = std::get<promote_answer>(apply_one(*store, promote_due{"biz", 5'000, 0}));
  REQUIRE(answer.promoted.empty());
  REQUIRE(answer.next_due_ms == 200);
  answer = std::get<promote_answer>(apply_one(*store, promote_due{"biz", 5'000, 10}));
  REQUIRE(ids_of(answer.promoted) == std::vector<std::string>{"b1", "c"});
  REQUIRE(answer.next_due_ms == 0);
  const auto recovery = require_value(store->recover_channel("biz"));
  REQUIRE(recovery.pending_count == 4);
  REQUIRE(recovery.delayed_count == 0);
  REQUIRE(recovery.next_due_ms == 0);
  // Due together, they run in the order in which they were accepted.
  REQUIRE(ids_of(require_value(store->load_pending("biz", order_front, {}))) ==
          std::vector<std::string>{"c", "a", "b2", "b1"});
  REQUIRE(std::get<promote_answer>(apply_one(*store, promote_due{"unknown", 1, 1})).next_due_ms == 0);
}

STORE_TEST("operations of one apply see each other") {
  TestType backend;
  auto store = backend.open();
  auto delayed = make_delayed_task("d", "biz", 10);
  const auto answers = require_value(store->apply({
      insert_task{make_distinct_task("a", "biz", "k"), push_origin{1, 0}},
      insert_task{make_distinct_task("b", "biz", "k"), push_origin{1, 1}},
      insert_task{make_task("a"), push_origin{1, 2}},
      insert_task{make_task("c", "biz"), push_origin{1, 0}},
      lease_task{"a", 1, 5},
      settled("a", 1, task_state::finished),
      insert_task{make_distinct_task("b", "biz", "k"), std::nullopt},
      insert_task{delayed, std::nullopt},
      promote_due{"biz", 10, 5},
      lease_task{"d", 1, 11},
      forget_batch{1},
  }));
  std::vector<std::string> rendered;
  for (const auto& answer : answers)
    rendered.push_back(render(answer));
  REQUIRE(rendered[0] == "insert 0 #1 ");
  REQUIRE(rendered[1] == "insert 2 #0 a");
  REQUIRE(rendered[2] == "insert 1 #0 a");
  REQUIRE(rendered[3] == "insert 3 #0 ");
  REQUIRE(rendered[4] == "change 1");
  REQUIRE(rendered[5] == "change 1");
  REQUIRE(rendered[6] == "insert 0 #2 ");
  REQUIRE(rendered[7] == "insert 0 #3 ");
  REQUIRE(std::get<promote_answer>(answers[8]).promoted.size() == 1);
  REQUIRE(rendered[9] == "change 1");
  REQUIRE(rendered[10] == "change 1");
  const auto sums = require_value(store->totals());
  REQUIRE(sums.pending == 1);
  REQUIRE(sums.delayed == 0);
  REQUIRE(sums.running == 1);
  REQUIRE(sums.ended == 1);
}

STORE_TEST("nothing to do is answered with nothing") {
  TestType backend;
  auto store = backend.open();
  REQUIRE(require_value(store->apply({})).empty());
}

STORE_TEST("one wrong operation undoes them all") {
  TestType backend;
  auto store = backend.open();
  insert(*store, make_task("before"));
  auto ended = make_task("ended");
  ended.state = task_state::finished;
  auto without_moment = make_delayed_task("d", "biz", 0);
  auto without_attempt = make_task("r");
  without_attempt.state = task_state::running;
  const std::vector<store_operation> wrong = {
      insert_task{ended, std::nullopt},
      insert_task{without_moment, std::nullopt},
      insert_task{without_attempt, std::nullopt},
      insert_task{make_task(""), std::nullopt},
      insert_task{make_task("x", ""), std::nullopt},
      insert_task{make_task("x"), push_origin{UINT64_MAX, 0}},
      lease_task{"before", 0, 1},
      settle_task{"before", 1, task_state::running, {}, 0, 0, 0},
      settle_task{"before", 1, task_state::delayed, {}, 0, 0, 0},
      settle_task{"before", 1, task_state::delayed, {}, 0, 0, 0, INT64_MAX},
      settle_task{"before", 1, task_state::dead, {}, 0, 0, 0, 0, UINT64_MAX},
      insert_task{make_delayed_task("far", "biz", INT64_MAX), std::nullopt},
      insert_task{make_keyed_task("none", "biz", "k", 0), std::nullopt},
      purge_ended{0, 0, UINT64_MAX, 0, 0, 1},
      purge_ended{0, 0, 0, 1, uint64_t{1} << 41, 1},
      adjust_clock{INT64_MIN, {"boot", 0}},
      remove_channel{""},
      mark_origin{{UINT64_MAX, 1}},
      forget_batch{UINT64_MAX},
      save_channel{channel_record{}},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    INFO("wrong operation " << i);
    const auto refused = store->apply({insert_task{make_task("fine"), std::nullopt}, wrong[i]});
    REQUIRE_FALSE(refused);
    REQUIRE(refused.failure().code == error_code::invalid_argument);
    REQUIRE_THAT(refused.failure().message, Catch::Contains("operation 2 of 2"));
    REQUIRE_FALSE(require_value(store->find_task("fine")));
  }
  REQUIRE(require_value(store->totals()).pending == 1);
  REQUIRE(insert(*store, make_task("after")).sequence == 2);
}

STORE_TEST("channels are kept by name and overwritten") {
  TestType backend;
  auto store = backend.open();
  channel_record biz;
  biz.name = "biz";
  biz.distinct = distinct_mode::while_pending;
  biz.created_at_ms = 5;
  channel_record cron;
  cron.name = "cron";
  cron.worker = 7;
  cron.weight = 1'000;
  cron.tasks_max = 12;
  cron.paused = true;
  cron.defaults.max_attempts = 5;
  cron.defaults.environment.variables = {{"A", "1"}, {"B", "two words"}};
  cron.from_ini.distinct = distinct_mode::off;
  cron.from_ini.worker = 1024;
  cron.from_ini.weight = 3;
  cron.from_ini.tasks_max = 9'000'000'000;
  cron.from_ini.defaults.timeout_ms = 1'500;
  cron.created_at_ms = 6;
  REQUIRE(require_value(store->load_channels()).empty());
  REQUIRE(change(*store, save_channel{cron}));
  REQUIRE(change(*store, save_channel{biz}));
  auto records = require_value(store->load_channels());
  REQUIRE(records.size() == 2);
  REQUIRE(render(records[0]) == render(biz));
  REQUIRE(render(records[1]) == render(cron));
  REQUIRE(records[1].defaults == cron.defaults);
  REQUIRE(records[1].from_ini == cron.from_ini);
  biz.distinct = distinct_mode::off;
  biz.worker = 1;
  biz.from_ini.distinct = distinct_mode::until_finished;
  cron.worker.reset();
  cron.from_ini = {};
  REQUIRE(change(*store, save_channel{biz}));
  REQUIRE(change(*store, save_channel{cron}));
  records = require_value(store->load_channels());
  REQUIRE(records.size() == 2);
  REQUIRE(render(records[0]) == render(biz));
  REQUIRE(render(records[1]) == render(cron));
}

STORE_TEST("an unknown channel recovers empty") {
  TestType backend;
  auto store = backend.open();
  const auto recovery = require_value(store->recover_channel("nobody"));
  REQUIRE(recovery.running.empty());
  REQUIRE(recovery.pending_count + recovery.delayed_count == 0);
  REQUIRE(recovery.next_due_ms == 0);
}

STORE_TEST("the largest task the intake lets through is kept") {
  TestType backend;
  auto store = backend.open();
  auto value = make_task("big");
  for (int i = 0; i < 8; ++i)
    value.command.argv.push_back(std::string(131'071, static_cast<char>('a' + i)));
  REQUIRE(insert(*store, value).what == kind::inserted);
  REQUIRE(change(*store, lease_task{"big", 1, 1}));
  REQUIRE(
      change(*store, settle_task{"big", 1, task_state::finished, {outcome_kind::exited, 0, ""}, 1, 2, 0}));
  REQUIRE(require_value(store->find_task("big"))->command.argv == value.command.argv);
}
