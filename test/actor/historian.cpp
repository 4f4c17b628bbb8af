// The historian on the actors' clock: a sample for each step, none in between, and an end with the gateway.
#include "actors/historian.hpp"

#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>

using namespace task_runner;
using namespace task_runner::test;
using namespace std::chrono_literals;

namespace {

/// A history whose clock stands still unless it is asked, so that each sample makes a step.
struct sampled_history {
  explicit sampled_history(actor_fixture& actors)
      : probe(actors.probes.add(historian_shape()))
      , handle(actors.system->spawn(historian, historian_dependencies{&history, actors.via, probe})) {
    actors.run_actors();
  }

  size_t samples() { return history.read(history_span::hour, 1'000).points.size() - 1; }

  int64_t steady_ms = 0;
  statistics_history history{std::make_shared<channel_metrics_registry>(), {}, [this] {
                               return history_moment{++steady_ms, 1'800'000'000'000};
                             }};
  std::shared_ptr<actor_probe> probe;
  historian_actor handle;
};

} // namespace

TEST_CASE("the historian samples at the end of each step") {
  actor_fixture actors;
  sampled_history one(actors);
  CHECK(one.samples() == 0);
  actors.wait(4'999ms);
  CHECK(one.samples() == 0);
  actors.wait(1ms);
  CHECK(one.samples() == 1);
  for (int i = 0; i < 10; ++i)
    actors.wait(5s);
  CHECK(one.samples() == 11);
  CHECK(one.probe->handled(static_cast<size_t>(historian_message::sample)) == 11);
}

TEST_CASE("the historian leaves out the steps in which it did not get to work") {
  actor_fixture actors;
  sampled_history one(actors);
  actors.wait(60s);
  CHECK(one.samples() == 1);
  actors.wait(5s);
  CHECK(one.samples() == 2);
}

TEST_CASE("the historian ends with the gateway") {
  actor_fixture actors;
  sampled_history one(actors);
  CHECK(one.probe->is_alive());
  caf::anon_send_exit(actors.via, caf::exit_reason::user_shutdown);
  actors.run_actors();
  CHECK_FALSE(one.probe->is_alive());
  one.handle = historian_actor{};
}
