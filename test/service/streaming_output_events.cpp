// The places that followers name, when an attempt is over, and what the events look like.
#include "services/http/http_server.hpp"
#include "services/streaming/output_events.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;

namespace {

task task_in(task_state state, uint32_t attempt, std::optional<outcome> how = std::nullopt) {
  task value;
  value.id = "t";
  value.state = state;
  value.attempt = attempt;
  value.last_outcome = std::move(how);
  return value;
}

outcome exited(int code) {
  return {outcome_kind::exited, code, {}};
}

} // namespace

TEST_CASE("places are read as events have them, and as bare offsets") {
  const auto whole = parse_output_place("120-3");
  REQUIRE(whole);
  CHECK(whole->offset == 120);
  CHECK(whole->attempt == 3U);
  CHECK_FALSE(whole->is_end);
  const auto end = parse_output_place("0-1-end");
  REQUIRE(end);
  CHECK(end->offset == 0);
  CHECK(end->attempt == 1U);
  CHECK(end->is_end);
  const auto bare = parse_output_place("9223372036854775807");
  REQUIRE(bare);
  CHECK(bare->offset == 9'223'372'036'854'775'807U);
  CHECK_FALSE(bare->attempt);
  for (const auto* text : {"", "-", "-1", "1-", "1-0", "1-2-3", "1-2-", "1-2-End", "1-end", "end", "-end",
                           "x", "1x", "1-2x", " 1", "+1", "9223372036854775808", "1-4294967296"}) {
    CAPTURE(text);
    const auto place = parse_output_place(text);
    REQUIRE_FALSE(place);
    CHECK(place.failure().code == error_code::invalid_argument);
  }
}

TEST_CASE("an attempt is over when it has ended, and when it never comes") {
  CHECK_FALSE(find_output_end(task_in(task_state::running, 2), {}, 2));
  CHECK_FALSE(find_output_end(task_in(task_state::pending, 0), {}, 1));
  CHECK_FALSE(find_output_end(task_in(task_state::delayed, 1, exited(1)), {}, 2));
  CHECK_FALSE(find_output_end(task_in(task_state::running, 1), {}, 2));

  const auto last = find_output_end(task_in(task_state::finished, 2, exited(0)), {}, 2);
  REQUIRE(last);
  CHECK(last->how == exited(0));
  CHECK(last->state == task_state::finished);
  // Failed, and another one follows.
  const auto failed = find_output_end(task_in(task_state::delayed, 1, exited(4)), {}, 1);
  REQUIRE(failed);
  CHECK(failed->how == exited(4));
  CHECK(failed->state == task_state::delayed);
  const std::vector<attempt_record> earlier{{1, 0, 0, exited(7), 0}};
  const auto first = find_output_end(task_in(task_state::running, 2), earlier, 1);
  REQUIRE(first);
  CHECK(first->how == exited(7));
  CHECK(first->state == task_state::running);
  const auto forgotten = find_output_end(task_in(task_state::running, 3), earlier, 2);
  REQUIRE(forgotten);
  CHECK_FALSE(forgotten->how);
  const outcome cancelled{outcome_kind::cancelled, 0, {}};
  const auto never = find_output_end(task_in(task_state::cancelled, 0, cancelled), {}, 1);
  REQUIRE(never);
  CHECK(never->how == cancelled);
  CHECK(never->state == task_state::cancelled);
}

TEST_CASE("events of output name the place behind them") {
  CHECK(render_output_event(2, 10, "a\n\"\xc3\xa4") ==
        "id: 15-2\nevent: output\ndata: {\"offset\":10,\"text\":\"a\\n\\\"\xc3\xa4\"}\n\n");
  CHECK(render_output_event(1, 0, "\xff") ==
        "id: 1-1\nevent: output\ndata: {\"offset\":0,\"base64\":\"/w==\"}\n\n");
  CHECK(render_gap_event(1, 5, 9) == "id: 9-1\nevent: gap\ndata: {\"from\":5,\"to\":9}\n\n");
  CHECK(render_reset_event(4) == "id: 0-4\nevent: reset\ndata: {\"offset\":0}\n\n");
  CHECK(render_end_event({"t", 3}, 12, {exited(1), task_state::dead}) ==
        "id: 12-3-end\nevent: end\ndata: {\"task_id\":\"t\",\"attempt\":3,\"offset\":12,\"state\":\"dead\","
        "\"outcome\":{\"kind\":\"exited\",\"code\":1}}\n\n");
  CHECK(render_end_event({"t", 1}, 0, {}) ==
        "id: 0-1-end\nevent: end\ndata: {\"task_id\":\"t\",\"attempt\":1,\"offset\":0,\"state\":null,"
        "\"outcome\":null}\n\n");
  CHECK(render_failure_event({error_code::unavailable, "no disk"}) ==
        "event: failure\ndata: {\"code\":\"unavailable\",\"message\":\"no disk\"}\n\n");
}

TEST_CASE("the largest event fits what may wait for a client, whatever its bytes are") {
  const http_server_options defaults;
  for (const char byte : {'\x01', '\xff', 'x', '"'})
    CHECK(render_output_event(UINT32_MAX, INT64_MAX, std::string(output_event_max, byte)).size() <
          defaults.stream_unsent_max);
}
