// One verb on one task or on many: cancel in every state, signal, retry, delete, release.
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

std::string push_one(actor_fixture& actors, push_item item) {
  const auto reply = actors.push(std::move(item));
  actors.settle();
  REQUIRE(reply->has_value());
  REQUIRE_FALSE((*reply)->failure);
  return (*reply)->task_id;
}

std::shared_ptr<std::optional<tasks_reply>> act_on_all(actor_fixture& actors, task_verb verb,
                                                       task_filter filter = {}, bool dry_run = false,
                                                       uint32_t limit = 0) {
  act_on_tasks request;
  request.what.verb = verb;
  request.filter = std::move(filter);
  request.dry_run = dry_run;
  request.limit = limit;
  auto answer = actors.request<tasks_reply>(std::move(request));
  actors.settle();
  return answer;
}

/// Runs commands that fail, so many.
void make_dead(actor_fixture& actors, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    push_one(actors, actor_fixture::item("false " + std::to_string(i)));
    actors.runner.end(actors.runner.started.back().key, 1);
    actors.settle();
  }
}

} // namespace

TEST_CASE("cancel ends a pending, a delayed and a running task, and answers with the final state") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto running = push_one(actors, actors.item("running"));
  const auto pending = push_one(actors, actors.item("pending"));
  auto later = actors.item("later");
  later.delay_s = 600;
  const auto delayed = push_one(actors, std::move(later));
  for (const auto& id : {pending, delayed, running}) {
    const auto answer = actors.act(task_verb::cancel, id);
    REQUIRE(answer->has_value());
    REQUIRE_FALSE((*answer)->failure);
    CHECK((*answer)->value->state == task_state::cancelled);
    CHECK(actors.stored(id).state == task_state::cancelled);
    CHECK(actors.stored(id).last_outcome->kind == outcome_kind::cancelled);
  }
  REQUIRE(actors.runner.stopped.size() == 1);
  CHECK(actors.runner.stopped[0].grace_ms == grace_ms_default);
  CHECK(actors.history.ended >= 3);
  const auto counts = actors.status("default").counts;
  CHECK(counts.running + counts.pending + counts.delayed == 0);
  CHECK(counts.credit == 1);
}

TEST_CASE("cancel of a command that will not die answers when patience is over, with the wish noted") {
  actor_fixture actors;
  actors.runner.obedient = false;
  const auto id = push_one(actors, actors.item("stubborn"));
  act_on_task what;
  what.id = id;
  what.grace_ms = 3'000;
  const auto answer = actors.request<task_reply>(what);
  actors.settle();
  REQUIRE(actors.runner.stopped.size() == 1);
  CHECK(actors.runner.stopped[0].grace_ms == 3'000);
  actors.pass(std::chrono::seconds(7));
  CHECK_FALSE(answer->has_value());
  actors.pass(std::chrono::seconds(2)); // the grace and 5 s
  REQUIRE(answer->has_value());
  REQUIRE((*answer)->value);
  CHECK((*answer)->value->state == task_state::running);
  CHECK((*answer)->value->cancel_requested);
  actors.runner.end(actors.runner.started.at(0).key, outcome{outcome_kind::signalled, 9, {}});
  actors.settle();
  CHECK(actors.stored(id).state == task_state::cancelled);
}

TEST_CASE("cancel is answered as unavailable at once when the queue dies meanwhile") {
  actor_fixture actors;
  actors.runner.obedient = false;
  const auto id = push_one(actors, actors.item("stubborn"));
  const auto answer = actors.act(task_verb::cancel, id);
  CHECK_FALSE(answer->has_value());
  actors.break_executor("default");
  REQUIRE(answer->has_value());
  REQUIRE((*answer)->failure);
  CHECK((*answer)->failure->code == error_code::unavailable);
}

TEST_CASE("a push whose queue dies before the commit is answered as unavailable at once") {
  actor_fixture actors;
  const auto reply = actors.push(actors.item("date"));
  CHECK_FALSE(reply->has_value());
  caf::anon_send_exit(actors.bridge.executor_of("default"), caf::exit_reason::unhandled_exception);
  actors.run_actors(); // the store has not worked yet
  REQUIRE(reply->has_value());
  REQUIRE((*reply)->failure);
  CHECK((*reply)->failure->code == error_code::unavailable);
  actors.settle();
  CHECK(actors.runner.started.size() == 1); // it had been handed to the store: accepted, and run once
}

TEST_CASE("a task of several channels' batch whose queue dies is unavailable, not late") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  const auto replies = actors.push_all({actors.item("one"), actors.item("two", "mail")});
  caf::anon_send_exit(actors.bridge.executor_of("mail"), caf::exit_reason::unhandled_exception);
  actors.settle();
  REQUIRE(replies->has_value());
  CHECK((*replies)->replies.at(0).accepted);
  REQUIRE((*replies)->replies.at(1).failure);
  CHECK((*replies)->replies.at(1).failure->code == error_code::unavailable);
}

TEST_CASE("a signal reaches a running command, and a task that does not run refuses it") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto running = push_one(actors, actors.item("running"));
  const auto pending = push_one(actors, actors.item("pending"));
  act_on_task what;
  what.verb = task_verb::signal;
  what.signal_number = 10;
  what.id = running;
  const auto sent = actors.request<task_reply>(what);
  actors.settle();
  REQUIRE((sent->has_value() && (*sent)->value));
  CHECK((*sent)->value->state == task_state::running);
  CHECK(actors.runner.signals ==
        std::vector<std::pair<attempt_key, int>>{{actors.runner.started.at(0).key, 10}});
  what.id = pending;
  const auto refused = actors.request<task_reply>(what);
  actors.settle();
  REQUIRE((refused->has_value() && (*refused)->failure));
  CHECK((*refused)->failure->code == error_code::conflict);
}

TEST_CASE("a signal that the launcher's client cannot pass on is answered with its reason") {
  actor_fixture actors;
  const auto id = push_one(actors, actors.item("running"));
  actors.runner.known.clear(); // it is ending at this very moment
  act_on_task what;
  what.verb = task_verb::signal;
  what.signal_number = 10;
  what.id = id;
  const auto answer = actors.request<task_reply>(what);
  actors.settle();
  REQUIRE((answer->has_value() && (*answer)->failure));
  CHECK((*answer)->failure->code == error_code::not_found);
}

TEST_CASE("a dead task is tried again on request, and keeps the attempts it had") {
  actor_fixture actors;
  const auto id = push_one(actors, actors.item("false"));
  actors.runner.end(actors.runner.started.at(0).key, 1);
  actors.settle();
  const auto answer = actors.act(task_verb::retry, id);
  REQUIRE((answer->has_value() && (*answer)->value));
  REQUIRE(actors.runner.started.size() == 2);
  CHECK(actors.runner.started[1].key.attempt == 2);
  const auto shown = actors.request<task_reply>(get_task{id});
  actors.settle();
  REQUIRE((shown->has_value() && (*shown)->value));
  REQUIRE((*shown)->attempts.size() == 1);
  CHECK((*shown)->attempts[0].attempt == 1);
  CHECK((*shown)->attempts[0].how.code == 1);
  const auto twice = actors.act(task_verb::retry, id);
  REQUIRE((twice->has_value() && (*twice)->failure));
  CHECK((*twice)->failure->code == error_code::conflict);
}

TEST_CASE("an ended task is deleted with the output of all its attempts, a running one is not") {
  actor_fixture actors;
  const auto id = push_one(actors, actors.item("false"));
  const auto refused = actors.act(task_verb::remove, id);
  REQUIRE((refused->has_value() && (*refused)->failure));
  CHECK((*refused)->failure->code == error_code::conflict);
  actors.runner.end(actors.runner.started.at(0).key, 1);
  actors.settle();
  actors.act(task_verb::retry, id);
  actors.runner.end(actors.runner.started.at(1).key, 0);
  actors.settle();
  const auto deleted = actors.act(task_verb::remove, id);
  REQUIRE((deleted->has_value() && (*deleted)->value));
  CHECK(actors.history.discarded == std::vector<attempt_key>{{id, 1}, {id, 2}});
  const auto gone = actors.act(task_verb::remove, id);
  REQUIRE((gone->has_value() && (*gone)->failure));
  CHECK((*gone)->failure->code == error_code::not_found);
}

TEST_CASE("an ended task whose channel is gone can be deleted, but not tried again") {
  actor_fixture actors(
      {actor_fixture::make_channel("default", false, 1), actor_fixture::make_channel("mail", false, 1)});
  const auto id = push_one(actors, actors.item("false", "mail"));
  actors.runner.end(actors.runner.started.at(0).key, 1);
  actors.settle();
  CHECK_FALSE(actors.remove("mail", false).failure);
  const auto retry = actors.act(task_verb::retry, id);
  REQUIRE((retry->has_value() && (*retry)->failure));
  CHECK((*retry)->failure->code == error_code::conflict);
  const auto cancel = actors.act(task_verb::cancel, id);
  REQUIRE((cancel->has_value() && (*cancel)->value));
  CHECK((*cancel)->value->state == task_state::dead);
  const auto deleted = actors.act(task_verb::remove, id);
  REQUIRE((deleted->has_value() && (*deleted)->value));
  CHECK(actors.history.discarded == std::vector<attempt_key>{{id, 1}});
}

TEST_CASE("a released distinct record lets another task with the same command in") {
  actor_fixture actors({actor_fixture::make_channel("default", true, 1)});
  const auto id = push_one(actors, actors.item("date"));
  const auto released = actors.act(task_verb::release, id);
  REQUIRE((released->has_value() && (*released)->value));
  CHECK((*released)->value->distinct_key.empty());
  const auto again = actors.push(actors.item("date"));
  actors.settle();
  CHECK((*again)->accepted);
}

TEST_CASE("a dry run counts what matches and changes nothing; the run itself does it to all") {
  actor_fixture actors;
  make_dead(actors, 7);
  const auto dry = act_on_all(actors, task_verb::retry, {}, true);
  REQUIRE(dry->has_value());
  CHECK((*dry)->matched == 7);
  CHECK((*dry)->done == 0);
  CHECK_FALSE((*dry)->more);
  CHECK(actors.runner.started.size() == 7);
  const auto some = act_on_all(actors, task_verb::retry, {}, false, 3);
  REQUIRE(some->has_value());
  CHECK((*some)->matched == 3);
  CHECK((*some)->done == 3);
  CHECK((*some)->more);
  const auto rest = act_on_all(actors, task_verb::retry);
  REQUIRE(rest->has_value());
  CHECK((*rest)->done == 4);
  CHECK_FALSE((*rest)->more);
  CHECK((*rest)->refused.empty());
}

TEST_CASE("many tasks over several pages are cancelled by one request") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 0)});
  std::vector<push_item> items;
  for (int i = 0; i < 1'300; ++i)
    items.push_back(actors.item("command " + std::to_string(i)));
  actors.push_all(std::move(items));
  actors.settle();
  const auto answer = act_on_all(actors, task_verb::cancel);
  REQUIRE(answer->has_value());
  CHECK((*answer)->matched == 1'300);
  CHECK((*answer)->done == 1'300);
  CHECK(actors.status("default").counts.pending == 0);
}

TEST_CASE("refusals of a bulk request are named, the first twenty of them") {
  actor_fixture actors;
  make_dead(actors, 25);
  task_filter finished;
  finished.states = {task_state::dead};
  const auto answer = act_on_all(actors, task_verb::signal, finished);
  REQUIRE(answer->has_value());
  CHECK((*answer)->matched == 25);
  CHECK((*answer)->done == 0);
  CHECK((*answer)->refused.size() == 20);
}

TEST_CASE("tasks that are named are acted on, and every other one is answered with a reason") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 0)});
  std::vector<std::string> ids;
  for (int i = 0; i < 150; ++i)
    ids.push_back(push_one(actors, actors.item("command " + std::to_string(i))));
  const auto untouched = push_one(actors, actors.item("another"));
  act_on_tasks request;
  request.ids = ids;
  request.ids.insert(request.ids.begin() + 3, "nowhere");
  request.ids.push_back("not there either");
  request.dry_run = true;
  const auto dry = actors.request<tasks_reply>(act_on_tasks(request));
  actors.settle();
  REQUIRE(dry->has_value());
  CHECK((*dry)->matched == 150);
  CHECK((*dry)->done == 0);
  CHECK((*dry)->refused.size() == 2);
  CHECK(actors.status("default").counts.pending == 151);
  request.dry_run = false;
  const auto answer = actors.request<tasks_reply>(act_on_tasks(request));
  actors.settle();
  REQUIRE(answer->has_value());
  CHECK_FALSE((*answer)->failure);
  CHECK((*answer)->matched == 150);
  CHECK((*answer)->done == 150);
  CHECK_FALSE((*answer)->more);
  REQUIRE((*answer)->refused.size() == 2);
  CHECK((*answer)->refused[0].first == "nowhere");
  CHECK((*answer)->refused[0].second.code == error_code::not_found);
  CHECK(actors.status("default").counts.pending == 1);
  CHECK(actors.stored(untouched).state == task_state::pending);
  // All refusals of named tasks are told, for whatever state they are in.
  request.what.verb = task_verb::signal;
  const auto refused = actors.request<tasks_reply>(act_on_tasks(request));
  actors.settle();
  REQUIRE(refused->has_value());
  CHECK((*refused)->done == 0);
  CHECK((*refused)->refused.size() == 152);
}

TEST_CASE("named tasks that there was no time for are named in the answer") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 0)});
  act_on_tasks request;
  for (int i = 0; i < 70; ++i)
    request.ids.push_back(push_one(actors, actors.item("command " + std::to_string(i))));
  const auto answer = actors.request<tasks_reply>(act_on_tasks(request));
  actors.run_actors(); // the store does not work
  CHECK_FALSE(answer->has_value());
  actors.wait(bulk_patience + std::chrono::seconds(1));
  REQUIRE(answer->has_value());
  CHECK((*answer)->more);
  CHECK((*answer)->done == 0);
  REQUIRE((*answer)->refused.size() == 70);
  CHECK((*answer)->refused[69].second.code == error_code::timeout);
}

TEST_CASE("what was done is told also when the rest of the tasks cannot be read") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 0)});
  const bool by_name = GENERATE(true, false);
  const uint64_t tasks = bulk_page + 50;
  act_on_tasks request;
  for (uint64_t i = 0; i < tasks; ++i) {
    auto id = push_one(actors, actors.item("command " + std::to_string(i)));
    if (by_name)
      request.ids.push_back(std::move(id));
  }
  // The first cancel that is committed is the last thing the store does well.
  actors.writer.refuses = [&actors](const store_operation& operation) {
    actors.writer.unreadable |= std::holds_alternative<cancel_task>(operation);
    return false;
  };
  const auto answer = actors.request<tasks_reply>(act_on_tasks(request));
  actors.settle();
  REQUIRE(answer->has_value());
  CHECK_FALSE((*answer)->failure);
  const auto done = (*answer)->done;
  CHECK(done > 0);
  CHECK(done < tasks);
  CHECK(actors.status("default").counts.pending == tasks - done);
  if (by_name) {
    CHECK((*answer)->refused.size() == tasks - done);
    CHECK((*answer)->refused.back().second.code == error_code::unavailable);
  } else {
    CHECK((*answer)->more);
  }
  // Where nothing was begun it is the request that has failed.
  const auto failed = actors.request<tasks_reply>(act_on_tasks(request));
  actors.settle();
  REQUIRE(failed->has_value());
  REQUIRE((*failed)->failure);
  CHECK((*failed)->failure->code == error_code::unavailable);
  CHECK((*failed)->done == 0);
}

TEST_CASE("a bulk cancel does not wait for running commands to end") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 5)});
  actors.runner.obedient = false;
  for (int i = 0; i < 5; ++i)
    push_one(actors, actors.item("stubborn " + std::to_string(i)));
  const auto answer = act_on_all(actors, task_verb::cancel);
  REQUIRE(answer->has_value());
  CHECK((*answer)->done == 5);
  CHECK(actors.runner.stopped.size() == 5);
}

TEST_CASE("tasks are listed newest first, page by page") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 0)});
  for (int i = 0; i < 5; ++i)
    push_one(actors, actors.item("command " + std::to_string(i)));
  const auto first = actors.request<task_page_reply>(list_tasks{{}, {}, 3});
  actors.settle();
  REQUIRE((first->has_value() && !(*first)->failure));
  REQUIRE((*first)->page.tasks.size() == 3);
  CHECK((*first)->page.tasks[0].name == "command 4");
  const auto second = actors.request<task_page_reply>(list_tasks{{}, (*first)->page.next, 3});
  actors.settle();
  REQUIRE((*second)->page.tasks.size() == 2);
  CHECK((*second)->page.tasks[1].name == "command 0");
}

TEST_CASE("an unknown task is not found, whatever is wanted of it") {
  actor_fixture actors;
  for (const auto verb :
       {task_verb::cancel, task_verb::signal, task_verb::retry, task_verb::remove, task_verb::release}) {
    const auto answer = actors.act(verb, "nowhere");
    REQUIRE((answer->has_value() && (*answer)->failure));
    CHECK((*answer)->failure->code == error_code::not_found);
  }
}
