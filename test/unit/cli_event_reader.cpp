// Server-sent events out of bytes that were cut anywhere.
#include "services/cli/event_reader.hpp"

#include <catch2/catch.hpp>

#include <tuple>
#include <vector>

using namespace task_runner;
using namespace task_runner::cli;

namespace {

using plain_event = std::tuple<std::string, std::string, std::string>;

/// The events of a text that comes in pieces of so many bytes: id, name, data.
std::vector<plain_event> events_of(const std::string& text, size_t piece = SIZE_MAX) {
  event_reader reader;
  std::vector<plain_event> events;
  for (size_t at = 0; at < text.size(); at += std::min(piece, text.size() - at)) {
    const auto read = reader.read(std::string_view(text).substr(at, piece), [&](const server_event& event) {
      events.emplace_back(event.id, event.name, event.data);
      return true;
    });
    REQUIRE(read);
  }
  return events;
}

} // namespace

TEST_CASE("cli: events are read wherever the bytes are cut, and however lines end") {
  const std::vector<plain_event> expected{
      {"5-1", "output", "{\"a\":1}"}, {"5-1", "message", "one\ntwo"}, {"9-1-end", "end", ""}};
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    std::string text = "\xef\xbb\xbfretry: 1000##: a comment##id: 5-1#event: output#data: {\"a\":1}##"
                       "data:one#data:two#unknown: x##id:9-1-end#event:end#data##";
    for (auto at = text.find('#'); at != std::string::npos; at = text.find('#', at + end.size()))
      text.replace(at, 1, end);
    for (const size_t piece : {SIZE_MAX, size_t(1), size_t(2), size_t(7)}) {
      CAPTURE(end, piece);
      CHECK(events_of(text, piece) == expected);
    }
  }
}

TEST_CASE("cli: what is no event is none, and an id counts for those behind it") {
  CHECK(events_of(": comment\n\nid: 3\n\nevent: x\n\n").empty());
  CHECK(events_of("data: begun").empty());
  CHECK(events_of("data: begun\n").empty());
  CHECK(events_of("id: 3\n\ndata: x\n\n") == std::vector<plain_event>{{"3", "message", "x"}});
  CHECK(events_of(std::string("id: 3\nid: a\0b\ndata:  x\n\n", 24)) ==
        std::vector<plain_event>{{"3", "message", " x"}});
}

TEST_CASE("cli: nothing is read behind the event after which no more is wanted") {
  event_reader reader;
  int count = 0;
  CHECK(reader.read("data: 1\n\ndata: 2\n\n", [&](const server_event&) {
    ++count;
    return false;
  }));
  CHECK(count == 1);
}

TEST_CASE("cli: an event may be large, but not without a bound") {
  const auto never = [](const server_event&) { return true; };
  const std::string large(event_bytes_max - 100, 'x');
  CHECK(events_of("data: " + large + "\n\n", 65'536).size() == 1);
  event_reader one_line;
  CHECK(one_line.read("data: " + large, never));
  const auto refused = one_line.read(std::string(200, 'x'), never);
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == error_code::too_large);
  event_reader many_lines;
  auto read = many_lines.read("data: " + large + "\n", never);
  CHECK(read);
  CHECK_FALSE(many_lines.read("data: " + std::string(200, 'x') + "\n", never));
}
