// The status of many channels at once, some of whose queues are silent.
// What is known comes in time, and what is not says why.
#include "test/actor/actor_fixture.hpp"

#include <caf/all.hpp>
#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::test;

namespace {

constexpr size_t channels_count = 200;

std::string name_of(size_t number) {
  return "channel-" + std::to_string(1'000 + number);
}

std::vector<channel_record> many_channels() {
  std::vector<channel_record> channels;
  for (size_t i = 0; i < channels_count; ++i)
    channels.push_back(actor_fixture::make_channel(name_of(i), false, 1));
  return channels;
}

/// The queues of the first channels start again, and wait for a store that does not work.
void silence(actor_fixture& actors, size_t count) {
  for (size_t i = 0; i < count; ++i)
    caf::anon_send_exit(actors.bridge.executor_of(name_of(i)), caf::exit_reason::unhandled_exception);
  actors.run_actors();
}

} // namespace

TEST_CASE("all channels are in a status, in the order of their names") {
  actor_fixture actors(many_channels());
  const auto answer = actors.request<status_reply>(get_status{"", 10});
  REQUIRE(answer->has_value());
  REQUIRE_FALSE((*answer)->failure);
  REQUIRE((*answer)->channels.size() == channels_count);
  for (size_t i = 0; i < channels_count; ++i) {
    CHECK((*answer)->channels[i].channel == name_of(i));
    CHECK((*answer)->channels[i].worker == 1);
    CHECK_FALSE((*answer)->channels[i].failure);
  }
}

TEST_CASE("queues that are silent keep a status back for five seconds, and no other queue") {
  // As many as are asked at a time, and more.
  const size_t silent = GENERATE(size_t{1}, size_t{63}, size_t{64}, size_t{150}, channels_count);
  actor_fixture actors(many_channels());
  silence(actors, silent);
  const auto answer = actors.request<status_reply>(get_status{"", 10});
  CHECK_FALSE(answer->has_value());
  actors.wait(std::chrono::milliseconds(4'900));
  CHECK_FALSE(answer->has_value());
  actors.wait(std::chrono::milliseconds(200));
  REQUIRE(answer->has_value());
  REQUIRE((*answer)->channels.size() == channels_count);
  for (size_t i = 0; i < channels_count; ++i) {
    const auto& one = (*answer)->channels[i];
    CHECK(one.channel == name_of(i));
    CHECK(one.failure.has_value() == (i < silent));
    if (i < silent)
      CHECK(one.failure->code == error_code::timeout);
  }
  // Their late answers change nothing, and they are well from then on.
  actors.settle();
  const auto again = actors.request<status_reply>(get_status{"", 10});
  REQUIRE(again->has_value());
  for (const auto& one : (*again)->channels)
    CHECK_FALSE(one.failure);
}

TEST_CASE("a queue that dies while it is asked for a status is told of at once") {
  actor_fixture actors(many_channels());
  silence(actors, 100);
  const auto answer = actors.request<status_reply>(get_status{"", 10});
  actors.wait(std::chrono::milliseconds(300)); // all others have been asked by now
  silence(actors, 100);
  REQUIRE(answer->has_value());
  for (size_t i = 0; i < channels_count; ++i)
    CHECK((*answer)->channels[i].failure.has_value() == (i < 100));
  CHECK((*answer)->channels[0].failure->code == error_code::unavailable);
}

TEST_CASE("a channel that goes while others are asked is left out") {
  actor_fixture actors(many_channels());
  const auto gone = actors.request<action_reply>(remove_channel_request{name_of(channels_count - 1), false});
  actors.writer.work();
  actors.run_actors(); // it is empty; that it is gone is on its way to the store
  silence(actors, 64);
  const auto answer = actors.request<status_reply>(get_status{"", 10});
  CHECK_FALSE(gone->has_value());
  CHECK_FALSE(answer->has_value());
  actors.settle(); // the store works, and the rest is asked
  REQUIRE(gone->has_value());
  CHECK_FALSE((*gone)->failure);
  REQUIRE(answer->has_value());
  REQUIRE((*answer)->channels.size() == channels_count - 1);
  for (size_t i = 0; i < channels_count - 1; ++i) {
    CHECK((*answer)->channels[i].channel == name_of(i));
    CHECK_FALSE((*answer)->channels[i].failure);
  }
  const auto named = actors.request<status_reply>(get_status{name_of(channels_count - 1), 10});
  REQUIRE((named->has_value() && (*named)->failure));
  CHECK((*named)->failure->code == error_code::not_found);
}
