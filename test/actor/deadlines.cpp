// The deadlines of requests: one alarm for all of them, each told once, late replies dropped.
// Time passes by hand.
#include "actors/gateway/ask.hpp"
#include "actors/gateway/request_deadlines.hpp"
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;
using std::chrono::seconds;

namespace {

using owed_replies = std::vector<caf::typed_response_promise<push_replies>>;

/// Keeps everybody waiting, until a drain has it answer the oldest request.
intake_actor::behavior_type silent_intake(intake_actor::pointer self, std::shared_ptr<owed_replies> owed) {
  return {
      [self, owed](const push_batch&) -> caf::result<push_replies> {
        owed->push_back(self->make_response_promise<push_replies>());
        return owed->back();
      },
      [owed](const drain&) {
        owed->front().deliver(push_replies{});
        owed->erase(owed->begin());
      },
  };
}

struct silence {
  ~silence() { owed->clear(); }

  /// What comes of a request, and how often.
  struct fate {
    int replies = 0;
    std::vector<error_code> failures;
  };

  std::shared_ptr<fate> request(std::chrono::milliseconds timeout) {
    auto what = std::make_shared<fate>();
    ask<push_replies>(
        actors.via, intake, push_batch{}, timeout, [what](push_replies&) { ++what->replies; },
        [what](const error& why) { what->failures.push_back(why.code); }, ask_origin::http);
    actors.run_actors();
    return what;
  }

  void answer() {
    caf::anon_send(intake, drain{});
    actors.run_actors();
  }

  actor_fixture actors{{actor_fixture::make_channel("default", false, 0)}};
  std::shared_ptr<owed_replies> owed = std::make_shared<owed_replies>();
  intake_actor intake = actors.system->spawn(silent_intake, owed);
};

} // namespace

TEST_CASE("requests fail at their own deadlines, whatever the order in which they were made") {
  silence s;
  const auto late = s.request(seconds(57));
  const auto middle = s.request(seconds(30));
  s.actors.wait(seconds(1));
  const auto early = s.request(seconds(5));
  const auto middle_too = s.request(seconds(30));
  s.actors.wait(seconds(4));
  CHECK(early->failures.empty());
  s.actors.wait(seconds(1));
  CHECK(early->failures == std::vector{error_code::timeout});
  s.actors.wait(seconds(23));
  CHECK(middle->failures.empty());
  s.actors.wait(seconds(1));
  CHECK(middle->failures == std::vector{error_code::timeout});
  CHECK(middle_too->failures.empty());
  s.actors.wait(seconds(1));
  CHECK(middle_too->failures == std::vector{error_code::timeout});
  CHECK(late->failures.empty());
  s.actors.wait(seconds(26));
  CHECK(late->failures == std::vector{error_code::timeout});
}

TEST_CASE("a reply in time ends its deadline, a late one is dropped") {
  silence s;
  const auto answered = s.request(seconds(30));
  const auto overdue = s.request(seconds(30));
  s.answer();
  CHECK(answered->replies == 1);
  s.actors.wait(seconds(60));
  CHECK(answered->replies == 1);
  CHECK(answered->failures.empty());
  CHECK(overdue->failures == std::vector{error_code::timeout});
  s.answer();
  s.actors.wait(seconds(60));
  CHECK(overdue->replies == 0);
  CHECK(overdue->failures.size() == 1);
}

TEST_CASE("all deadlines have one alarm, and an earlier one gets its own") {
  request_deadlines deadlines;
  const request_deadlines::time_point start{};
  const auto id = [](uint64_t number) { return caf::make_message_id(number); };
  const auto first = deadlines.add(start, seconds(30), id(1));
  CHECK(deadlines.next_alarm() == start + seconds(30));
  const auto second = deadlines.add(start + seconds(2), seconds(30), id(2));
  CHECK_FALSE(deadlines.next_alarm());
  const auto short_one = deadlines.add(start + seconds(3), seconds(1), id(3));
  CHECK(deadlines.next_alarm() == start + seconds(4));
  CHECK_FALSE(deadlines.next_alarm());

  deadlines.alarm_rang(start + seconds(4));
  CHECK(deadlines.take_due(start + seconds(4)) == std::vector{id(3)});
  CHECK(deadlines.take_due(start + seconds(4)).empty());
  deadlines.remove(short_one);
  deadlines.remove(first);
  CHECK(deadlines.next_alarm() == start + seconds(32));

  deadlines.alarm_rang(start + seconds(30));
  CHECK(deadlines.take_due(start + seconds(30)).empty());
  CHECK_FALSE(deadlines.next_alarm());
  deadlines.alarm_rang(start + seconds(32));
  CHECK(deadlines.take_due(start + seconds(32)) == std::vector{id(2)});
  deadlines.remove(second);
  CHECK_FALSE(deadlines.next_alarm());
}
