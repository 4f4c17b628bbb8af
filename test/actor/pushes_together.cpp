// Pushes that come in one turn of an HTTP worker: how they travel to the intake, and what each is answered.
// The test's own thread is the worker, and the intake decides as the test says.
#include "actors/gateway/push_gathering.hpp"
#include "services/http/worker_turn.hpp"
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <string>
#include <vector>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// What the intake has been given, and the answers that it still owes.
struct seen_batches {
  struct one {
    std::vector<push_item> items;
    caf::typed_response_promise<push_replies> owed;
  };
  std::vector<one> batches;
};

/// Accepts everything at once, with the name as the id, but for the channel "silent", of which it says
/// nothing, and "short", for which it has one reply too few.
intake_actor::behavior_type recording_intake(intake_actor::pointer self, std::shared_ptr<seen_batches> seen) {
  return {
      [self, seen](push_batch& batch) -> caf::result<push_replies> {
        auto promise = self->make_response_promise<push_replies>();
        push_replies answer;
        for (const auto& item : batch.items) {
          auto& reply = answer.replies.emplace_back();
          reply.task_id = item.name;
          reply.accepted = true;
        }
        const auto channel = batch.items.front().channel;
        seen->batches.push_back({std::move(batch.items), promise});
        if (channel == "short")
          answer.replies.pop_back();
        if (channel != "silent")
          promise.deliver(std::move(answer));
        return promise;
      },
      [](const drain&) {},
  };
}

struct pushes_together {
  using reply_pointer = std::shared_ptr<std::optional<push_reply>>;

  ~pushes_together() { seen->batches.clear(); }

  reply_pointer push(const std::string& name, const std::string& channel) {
    auto slot = std::make_shared<std::optional<push_reply>>();
    gathering->push(actors.via, intake, std::chrono::seconds(30),
                    {actor_fixture::item(name, channel), [slot](push_reply& reply) {
                       REQUIRE_FALSE(*slot);
                       *slot = std::move(reply);
                     }});
    return slot;
  }

  actor_fixture actors{{actor_fixture::make_channel("default", false, 0)}};
  std::shared_ptr<seen_batches> seen = std::make_shared<seen_batches>();
  intake_actor intake = actors.system->spawn(recording_intake, seen);
  std::shared_ptr<push_gathering> gathering = std::make_shared<push_gathering>();
};

} // namespace

TEST_CASE("pushes of one turn travel in one message for each channel, and each gets its own reply") {
  pushes_together t;
  std::vector<pushes_together::reply_pointer> replies;
  {
    const worker_turn turn;
    for (const auto* const name : {"a", "b", "c"})
      replies.push_back(t.push(name, "default"));
    replies.push_back(t.push("letter", "mail"));
    replies.push_back(t.push("d", "default"));
    t.actors.run_actors();
    CHECK(t.seen->batches.empty());
  }
  t.actors.run_actors();
  REQUIRE(t.seen->batches.size() == 2);
  std::string order;
  for (const auto& item : t.seen->batches[0].items)
    order += item.name;
  CHECK(order == "abcd");
  CHECK(t.seen->batches[1].items.size() == 1);
  const std::vector<std::string> ids{"a", "b", "c", "letter", "d"};
  for (size_t i = 0; i < ids.size(); ++i) {
    REQUIRE(*replies[i]);
    CHECK((*replies[i])->task_id == ids[i]);
    CHECK_FALSE((*replies[i])->failure);
  }
}

TEST_CASE("a push outside of a turn, and the first of the next turn, wait for nobody") {
  pushes_together t;
  const auto alone = t.push("alone", "default");
  t.actors.run_actors();
  CHECK((*alone).has_value());
  for (int i = 0; i < 2; ++i) {
    const auto next = [&] {
      const worker_turn turn;
      return t.push("next", "default");
    }();
    t.actors.run_actors();
    CHECK((*next).has_value());
  }
}

TEST_CASE("no more pushes travel together than is said") {
  pushes_together t;
  std::vector<pushes_together::reply_pointer> replies;
  {
    const worker_turn turn;
    for (size_t i = 0; i < 2 * gathered_pushes_max + 3; ++i)
      replies.push_back(t.push(std::to_string(i), "default"));
  }
  t.actors.run_actors();
  REQUIRE(t.seen->batches.size() == 3);
  CHECK(t.seen->batches[0].items.size() == gathered_pushes_max);
  CHECK(t.seen->batches[1].items.size() == gathered_pushes_max);
  CHECK(t.seen->batches[2].items.size() == 3);
  for (size_t i = 0; i < replies.size(); ++i) {
    REQUIRE(*replies[i]);
    CHECK((*replies[i])->task_id == std::to_string(i));
  }
}

TEST_CASE("a channel that is silent costs its own pushes alone, and those are answered in time") {
  pushes_together t;
  pushes_together::reply_pointer unheard;
  pushes_together::reply_pointer heard;
  {
    const worker_turn turn;
    unheard = t.push("a", "silent");
    heard = t.push("b", "default");
  }
  t.actors.run_actors();
  CHECK((*heard).has_value());
  CHECK_FALSE((*unheard).has_value());
  t.actors.wait(std::chrono::seconds(30));
  REQUIRE(*unheard);
  REQUIRE((*unheard)->failure);
  CHECK((*unheard)->failure->code == error_code::timeout);
}

TEST_CASE("pushes for which the intake has no reply, or which find it gone, are answered") {
  pushes_together t;
  std::vector<pushes_together::reply_pointer> replies;
  {
    const worker_turn turn;
    replies.push_back(t.push("a", "short"));
    replies.push_back(t.push("b", "short"));
  }
  t.actors.run_actors();
  REQUIRE(*replies[0]);
  CHECK_FALSE((*replies[0])->failure);
  REQUIRE(*replies[1]);
  REQUIRE((*replies[1])->failure);
  CHECK((*replies[1])->failure->code == error_code::internal);

  caf::anon_send_exit(t.intake, caf::exit_reason::kill);
  t.actors.run_actors();
  const auto late = t.push("c", "default");
  t.actors.run_actors();
  REQUIRE(*late);
  REQUIRE((*late)->failure);
  CHECK((*late)->failure->code == error_code::unavailable);
}

TEST_CASE("pushes that find the asking actor gone are let go of") {
  pushes_together t;
  const auto asking = t.actors.system->spawn(asker, t.actors.probes.add(asker_shape()));
  caf::anon_send_exit(asking, caf::exit_reason::kill);
  t.actors.run_actors();
  const auto kept = std::make_shared<int>(0);
  t.gathering->push(asking, t.intake, std::chrono::seconds(30),
                    {actor_fixture::item("a", "default"), [kept](push_reply&) { ++*kept; }});
  t.actors.run_actors();
  CHECK(kept.use_count() == 1);
  CHECK(*kept == 0);
}
