// The output of a task as the command line gets it: from a stream that breaks, over attempts, until the end.
#include "services/cli/follow.hpp"
#include "services/cli/output_feed.hpp"
#include "test/support/scripted_server.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace task_runner;
using namespace task_runner::cli;
using namespace task_runner::test;

namespace {

using kind = feed_news::kind;

std::string task_text(const std::string& state, int attempt) {
  return envelope_text(200, "ok",
                       R"({"id":"a","state":")" + state + R"(","attempt":)" + std::to_string(attempt) + "}");
}

std::string stream_text(const std::string& events) {
  return answer_text(200, "text/event-stream; charset=utf-8", "retry: 1000\n\n" + events);
}

std::string event_text(const std::string& id, const std::string& name, const std::string& data) {
  return "id: " + id + "\nevent: " + name + "\ndata: " + data + "\n\n";
}

daemon_api api_of(const scripted_server& server) {
  daemon_place place;
  place.host = "127.0.0.1";
  place.port = server.port();
  return daemon_api(place);
}

/// The next news that says something.
feed_news next_of(output_feed& feed) {
  feed_news found;
  REQUIRE(wait_until([&] {
    auto news = feed.take();
    if (news)
      found = std::move(*news);
    return news && found.what != kind::nothing;
  }));
  return found;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("cli: a stream of output that breaks is gone on with behind what has come") {
  const scripted_server server({
      task_text("running", 1),
      stream_text(event_text("3-1", "output", R"({"offset":0,"text":"abc"})")),
      stream_text(event_text("20-1", "gap", R"({"from":3,"to":20})") + event_text("", "later", "{}") +
                  event_text("22-1", "output", R"({"offset":20,"base64":"//4="})") +
                  event_text("22-1-end", "end", R"({"attempt":1})")),
      task_text("delayed", 1),
      stream_text(event_text("1-2", "output", R"({"offset":0,"text":"z"})") +
                  event_text("1-2-end", "end", R"({"attempt":2})")),
      task_text("finished", 2),
  });
  output_feed feed(api_of(server), "a", {});
  auto news = next_of(feed);
  CHECK(news.what == kind::output);
  CHECK(news.bytes == "abc");
  CHECK(feed.attempt() == 1);
  CHECK(feed.offset() == 3);
  CHECK(next_of(feed).what == kind::output_after_gap);
  news = next_of(feed);
  CHECK(news.what == kind::output);
  CHECK(news.bytes == "\xff\xfe");
  CHECK(feed.offset() == 22);
  CHECK(next_of(feed).what == kind::next_attempt);
  CHECK(feed.attempt() == 2);
  news = next_of(feed);
  CHECK(news.bytes == "z");
  CHECK(feed.offset() == 1);
  news = next_of(feed);
  CHECK(news.what == kind::ended);
  CHECK(news.task["state"].text() == "finished");

  const auto asked = server.requests();
  REQUIRE(asked.size() == 6);
  CHECK(asked[0].find("GET /api/v1/tasks/a HTTP") == 0);
  CHECK(asked[1].find("GET /api/v1/tasks/a/output?follow=1&attempt=1 HTTP") == 0);
  CHECK_FALSE(holds(asked[1], "Last-Event-ID"));
  CHECK(holds(asked[2], "Last-Event-ID: 3-1\r\n"));
  CHECK(asked[4].find("GET /api/v1/tasks/a/output?follow=1&attempt=2 HTTP") == 0);
  CHECK_FALSE(holds(asked[4], "Last-Event-ID"));
}

TEST_CASE("cli: output is followed from the place and the attempt that are asked for") {
  const scripted_server server({
      task_text("pending", 0),
      stream_text(event_text("0-1", "reset", R"({"offset":0})") +
                  event_text("1-1", "output", R"({"offset":0,"text":"a"})") +
                  event_text("1-1-end", "end", R"({"attempt":1})")),
      task_text("dead", 1),
  });
  output_feed feed(api_of(server), "a", {7, 0});
  CHECK(next_of(feed).what == kind::from_beginning);
  CHECK(next_of(feed).bytes == "a");
  CHECK(next_of(feed).what == kind::ended);
  CHECK(holds(server.requests().at(1), "/output?follow=1&attempt=1&offset=7 HTTP"));

  const scripted_server cancelled({task_text("cancelled", 0)});
  output_feed none(api_of(cancelled), "a", {});
  CHECK(next_of(none).what == kind::ended);
}

TEST_CASE("cli: what a feed cannot read is told, and tried again") {
  const scripted_server server({
      envelope_text(503, "starting"),
      task_text("running", 1),
      stream_text(event_text("", "failure", R"({"code":"unavailable","message":"the disk"})")),
      stream_text("data: no JSON\n\n"),
      envelope_text(404, "no such task"),
      answer_text(200, "text/html", "<p>"),
      stream_text(event_text("0-1-end", "end", R"({"attempt":1})")),
      task_text("running", 1),
      task_text("finished", 1),
  });
  output_feed feed(api_of(server), "a", {});
  for (const auto& [status, message] : std::vector<std::pair<int, std::string>>{{503, "starting"},
                                                                                {503, "the disk"},
                                                                                {500, "makes no sense"},
                                                                                {404, "no such task"},
                                                                                {0, "does not speak"}}) {
    const auto news = next_of(feed);
    CHECK(news.what == kind::failed);
    CHECK(news.failure.status == status);
    CHECK(holds(news.failure.message, message));
  }
  CHECK(next_of(feed).what == kind::ended);
}

TEST_CASE("cli: that a stream begins is no answer where the last ones have failed") {
  const auto failed =
      stream_text(event_text("", "failure", R"({"code":"unavailable","message":"the disk"})"));
  const scripted_server server({
      task_text("running", 1),
      failed,
      failed,
      failed,
      stream_text(event_text("1-1", "output", R"({"offset":0,"text":"a"})")),
      failed,
      stream_text(event_text("1-1-end", "end", R"({"attempt":1})")),
      task_text("finished", 1),
  });
  const auto began = std::chrono::steady_clock::now();
  output_feed feed(api_of(server), "a", {});
  std::vector<kind> all;
  REQUIRE(wait_until([&] {
    while (const auto news = feed.take())
      all.push_back(news->what);
    return !all.empty() && all.back() == kind::ended;
  }));
  CHECK(all == std::vector<kind>{kind::nothing, kind::nothing, kind::failed, kind::failed, kind::failed,
                                 kind::output, kind::nothing, kind::failed, kind::nothing, kind::ended});
  // The pauses grow: 100, 200 and 400 ms; behind the output another 100 each.
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(900));
}

TEST_CASE("cli: a stream that ends before it has begun is asked for again") {
  const scripted_server server({
      task_text("running", 1),
      answer_text(200, "text/event-stream; charset=utf-8", ""),
      stream_text(event_text("1-1", "output", R"({"offset":0,"text":"a"})") +
                  event_text("1-1-end", "end", R"({"attempt":1})")),
      task_text("finished", 1),
  });
  output_feed feed(api_of(server), "a", {});
  const auto news = next_of(feed);
  CHECK(news.what == kind::failed);
  CHECK(news.failure.status == 503);
  CHECK(holds(news.failure.message, "ended before it began"));
  console terminal;
  outage absence(terminal, true);
  CHECK(absence.bears(news.failure));
  CHECK(next_of(feed).bytes == "a");
  CHECK(next_of(feed).what == kind::ended);
}

TEST_CASE("cli: what is no daemon is quoted in plain characters") {
  const scripted_server server({answer_text(200, "text/html", "<p>\x1b[31m\x7f\x9b\xc3\xa4</p>")});
  auto api = api_of(server);
  const auto reply = api.get("/readyz");
  CHECK(reply.status == 0);
  CHECK(holds(reply.message, "<p> [31m    </p>"));
}

TEST_CASE("cli: a feed that nobody wants any more ends, whatever it waits for") {
  std::string events;
  for (int i = 0; i < 1'000; ++i)
    events += event_text(std::to_string(i + 1) + "-1", "output",
                         R"({"offset":)" + std::to_string(i) + R"(,"text":"x"})");
  const scripted_server silent({});
  const scripted_server talkative({task_text("running", 1), stream_text(events)});
  auto waits = std::make_unique<output_feed>(api_of(silent), "a", follow_start{});
  // Nothing is read beyond the bound: it waits for room.
  auto full = std::make_unique<output_feed>(api_of(talkative), "a", follow_start{});
  REQUIRE(wait_until([&] { return talkative.requests().size() == 2; }));
  CHECK(next_of(*full).bytes == "x");
  const auto began = std::chrono::steady_clock::now();
  waits.reset();
  full.reset();
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
}

TEST_CASE("cli: an absence of the daemon is borne once it was there, and not for a refusal") {
  console terminal;
  const auto reply = [](int status) {
    api_reply made;
    made.status = status;
    made.message = "said by a test";
    return made;
  };
  CHECK_FALSE(outage(terminal, false).bears(reply(0)));
  outage after_push(terminal, true);
  for (const int status : {0, 503, 504, 429})
    CHECK(after_push.bears(reply(status)));
  for (const int status : {400, 404, 409, 500})
    CHECK_FALSE(after_push.bears(reply(status)));
  outage answered(terminal, false);
  answered.over();
  CHECK_FALSE(answered.is_on());
  CHECK(answered.bears(reply(504)));
  CHECK(answered.is_on());
  answered.over();
  CHECK_FALSE(answered.is_on());
  outage beside(terminal, false);
  beside.note_daemon();
  CHECK(beside.bears(reply(0), true));
  CHECK(beside.is_on());
}
