// How server-sent events are written, field by field.
#include "services/http/event_stream.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;

TEST_CASE("an event has its id, its name and a line for each line of its data") {
  CHECK(render_event({"7", "output", R"({"a":1})"}) == "id: 7\nevent: output\ndata: {\"a\":1}\n\n");
  CHECK(render_event({"", "", "text"}) == "data: text\n\n");
  CHECK(render_event({"7", "", ""}) == "id: 7\ndata: \n\n");
  CHECK(render_event({"", "", "one\ntwo\r\nthree\rfour\n"}) ==
        "data: one\ndata: two\ndata: three\ndata: four\ndata: \n\n");
  CHECK(render_event({"", "", "\n\r\n\r"}) == "data: \ndata: \ndata: \ndata: \n\n");
}

TEST_CASE("no id or name of an event can begin a field of its own") {
  using namespace std::string_view_literals;
  for (const auto bad : {"1\ndata: evil"sv, "1\revent: evil"sv, "1\0002"sv}) {
    CHECK(render_event({bad, "name", "text"}) == "event: name\ndata: text\n\n");
    CHECK(render_event({"1", bad, "text"}) == "id: 1\ndata: text\n\n");
  }
}

TEST_CASE("pauses, signs of life and the head of a stream of events") {
  CHECK(render_retry(std::chrono::milliseconds(1'500)) == "retry: 1500\n\n");
  CHECK(heartbeat_text() == ": heartbeat\n\n");
  CHECK(event_stream_content_type == "text/event-stream; charset=utf-8");
  REQUIRE(event_stream_headers().size() == 2);
  CHECK(event_stream_headers()[0].name == "Cache-Control");
  CHECK(event_stream_headers()[0].value == "no-store");
  CHECK(event_stream_headers()[1].name == "X-Accel-Buffering");
  CHECK(event_stream_headers()[1].value == "no");
  http_request request;
  CHECK(last_event_id(request).empty());
  request.headers.push_back({"last-event-id", "12-3"});
  CHECK(last_event_id(request) == "12-3");
}
