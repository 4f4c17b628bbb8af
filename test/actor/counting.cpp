// What the actors of a channel count, and show: the same in /status and in the metrics, also over the death
// of a pair.
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace task_runner;
using namespace task_runner::test;

namespace {

uint64_t attempts_ended(const channel_tally& counted) {
  uint64_t sum = 0;
  for (const auto count : counted.attempts_ended)
    sum += count;
  return sum;
}

/// Pushes a task and answers its id.
std::string pushed(actor_fixture& actors, push_item item) {
  const auto reply = actors.push(std::move(item));
  actors.settle();
  if (!reply->has_value() || (*reply)->failure)
    throw std::runtime_error("the push was refused");
  return (*reply)->task_id;
}

push_item with_retry(push_item item) {
  item.options.max_attempts = 2;
  item.options.backoff = backoff_kind::constant;
  item.options.backoff_ms = 600'000;
  return item;
}

} // namespace

TEST_CASE("metrics count what /status counts, each thing once, also over the death of a pair") {
  actor_fixture actors({actor_fixture::make_channel("default", true, 1)});
  const auto metrics = actors.metrics->of("default");
  const auto end_latest = [&actors](int code) {
    actors.runner.end(actors.runner.started.back().key, code);
    actors.settle();
  };
  pushed(actors, actors.item("finishes"));
  pushed(actors, actors.item("finishes")); // a duplicate
  end_latest(0);
  pushed(actors, actors.item("dies"));
  end_latest(1);
  const auto delayed = pushed(actors, with_retry(actors.item("is tried again")));
  end_latest(1);
  actors.act(task_verb::cancel, delayed); // between its attempts
  auto brief = actors.item("expires");
  brief.options.expires_ms = 1'000;
  pushed(actors, actors.item("runs"));
  pushed(actors, std::move(brief));
  actors.pass(std::chrono::seconds(2));
  auto given = actors.item("one");
  given.id = "given";
  pushed(actors, given);
  given.name = "another"; // no duplicate of it
  const auto conflict = actors.push(given);
  actors.settle();
  REQUIRE((conflict->has_value() && (*conflict)->failure));
  CHECK((*conflict)->failure->code == error_code::conflict);

  const auto counts = actors.status("default").counts;
  const auto counted = metrics->tally();
  CHECK(counted.pushed == 6);
  CHECK(counted.duplicates == 1);
  CHECK(counted.finished == 1);
  CHECK(counted.dead == 1);
  CHECK(counted.cancelled == 1);
  CHECK(counted.expired == 1);
  CHECK(counted.retried == 1);
  CHECK(counts.duplicates == counted.duplicates);
  CHECK(counts.finished == counted.finished);
  CHECK(counts.dead == counted.dead);
  CHECK(counts.cancelled == counted.cancelled);
  CHECK(counts.expired == counted.expired);
  CHECK(counts.retried == counted.retried);
  CHECK(counts.repairs == counted.repairs);
  // One succeeded and two failed; what was cancelled and what expired did not run.
  CHECK(attempts_ended(counted) == 3);
  CHECK(counted.run.count == 3);
  CHECK(counted.wait.count == 3);

  actors.break_executor("default");
  end_latest(0); // "runs", which the next pair has taken over
  CHECK(actors.status("default").counts.finished == 1);
  CHECK(metrics->tally().finished == 2);
  CHECK(metrics->tally().pushed == 6);
  CHECK(metrics->tally().duplicates == 1);
}

TEST_CASE("the metrics show what a channel held until its next pair has recovered") {
  actor_fixture actors({actor_fixture::make_channel("default", false, 1)});
  const auto metrics = actors.metrics->of("default");
  for (const char* name : {"runs", "waits", "waits too"})
    pushed(actors, actors.item(name));
  REQUIRE(metrics->counts().pending == 2);
  actors.writer.unreadable = true;
  actors.break_executor("default");
  CHECK(metrics->counts().pending == 2);
  CHECK(metrics->counts().running == 1);
  actors.writer.unreadable = false;
  actors.pass(std::chrono::seconds(2));
  actors.runner.end(actors.runner.started.at(0).key, 0);
  actors.settle();
  CHECK(metrics->counts().pending == 1);
}
