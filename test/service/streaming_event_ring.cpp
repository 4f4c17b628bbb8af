// The ring of events: numbers, what is forgotten and who notices, and what a later event overtakes.
#include "services/streaming/event_ring.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <vector>

using namespace task_runner;

namespace {

const event_filter everything;

/// The numbers of the events in a stretch, and their data.
std::vector<std::pair<uint64_t, std::string>> events_of(const std::string& text) {
  std::vector<std::pair<uint64_t, std::string>> events;
  for (size_t at = 0; (at = text.find("id: E-", at)) != std::string::npos; ++at) {
    const auto data = text.find("\ndata: ", at) + 7;
    events.emplace_back(std::stoull(text.substr(at + 6)), text.substr(data, text.find('\n', data) - data));
  }
  return events;
}

} // namespace

TEST_CASE("events are numbered, and told from any place that is there") {
  event_ring ring("E");
  CHECK(ring.last() == 0);
  CHECK(ring.reaches(0));
  CHECK_FALSE(ring.reaches(1));
  ring.add(event_kind::task, "a", "mail", "1");
  ring.add(event_kind::channel, "mail", "mail", "2");
  CHECK(ring.last() == 2);
  CHECK(ring.id_of(2) == "E-2");
  const auto all = ring.collect(0, 2, everything, 1'000);
  CHECK(all.text == "id: E-1\nevent: task\ndata: 1\n\nid: E-2\nevent: channel\ndata: 2\n\n");
  CHECK(all.up_to == 2);
  CHECK(events_of(ring.collect(1, 2, everything, 1'000).text) ==
        std::vector<std::pair<uint64_t, std::string>>{{2, "2"}});
  CHECK(ring.collect(2, 2, everything, 1'000).text.empty());
  // Not more than has been let out.
  CHECK(ring.collect(0, 1, everything, 1'000).up_to == 1);
}

TEST_CASE("of several events about the same the last one is told, and others keep their order") {
  event_ring ring("E");
  ring.add(event_kind::task, "a", "mail", "1");
  ring.add(event_kind::task, "b", "mail", "2");
  ring.add(event_kind::task, "a", "mail", "3");
  ring.add(event_kind::channel, "a", "a", "4");
  const auto all = events_of(ring.collect(0, 4, everything, 1'000).text);
  CHECK(all == std::vector<std::pair<uint64_t, std::string>>{{2, "2"}, {3, "3"}, {4, "4"}});
  // What overtakes it is not out yet.
  CHECK(events_of(ring.collect(0, 2, everything, 1'000).text) ==
        std::vector<std::pair<uint64_t, std::string>>{{1, "1"}, {2, "2"}});
}

TEST_CASE("a filter names channels and kinds") {
  event_ring ring("E");
  ring.add(event_kind::task, "a", "mail", "1");
  ring.add(event_kind::task, "b", "video", "2");
  ring.add(event_kind::channel, "mail", "mail", "3");
  event_filter filter;
  filter.channels = {"mail", "other"};
  auto found = ring.collect(0, 3, filter, 1'000);
  CHECK(events_of(found.text) == std::vector<std::pair<uint64_t, std::string>>{{1, "1"}, {3, "3"}});
  filter.tasks = false;
  CHECK(events_of(ring.collect(0, 3, filter, 1'000).text) ==
        std::vector<std::pair<uint64_t, std::string>>{{3, "3"}});
  filter.channels = {"video"};
  found = ring.collect(0, 3, filter, 1'000);
  CHECK(found.text.empty());
  CHECK(found.up_to == 3);
}

TEST_CASE("a stretch ends where it is long enough, and has one event at least") {
  event_ring ring("E");
  for (int i = 1; i <= 10; ++i)
    ring.add(event_kind::task, std::to_string(i), "mail", std::string(100, 'x'));
  uint64_t place = 0;
  size_t stretches = 0;
  size_t events = 0;
  while (place < ring.last()) {
    const auto found = ring.collect(place, ring.last(), everything, 300);
    REQUIRE(found.up_to > place);
    CHECK(found.text.size() <= 300);
    place = found.up_to;
    events += events_of(found.text).size();
    ++stretches;
  }
  CHECK(events == 10);
  CHECK(stretches == 5);
  CHECK(events_of(ring.collect(0, 10, everything, 1).text).size() == 1);
}

TEST_CASE("the oldest events go first, by number and by bytes") {
  event_ring ring("E", {4, 1'000});
  for (int i = 1; i <= 6; ++i)
    ring.add(event_kind::task, std::to_string(i % 3), "mail", std::to_string(i));
  CHECK_FALSE(ring.reaches(0));
  CHECK_FALSE(ring.reaches(1));
  CHECK(ring.reaches(2));
  CHECK(events_of(ring.collect(2, 6, everything, 1'000).text).size() == 3);
  ring.add(event_kind::task, "long", "mail", std::string(2'000, 'x'));
  CHECK(ring.reaches(6));
  CHECK_FALSE(ring.reaches(5));
  CHECK(events_of(ring.collect(6, 7, everything, 1).text).size() == 1);
}

TEST_CASE("whoever has not seen what was lost is out of reach") {
  event_ring ring("E");
  ring.add(event_kind::task, "a", "mail", "1");
  ring.lose();
  CHECK_FALSE(ring.reaches(0));
  CHECK_FALSE(ring.reaches(1));
  CHECK(ring.reaches(ring.last()));
  const auto place = ring.last();
  ring.add(event_kind::task, "a", "mail", "2");
  CHECK_FALSE(ring.reaches(1));
  CHECK(events_of(ring.collect(place, ring.last(), everything, 1'000).text) ==
        std::vector<std::pair<uint64_t, std::string>>{{ring.last(), "2"}});
}

TEST_CASE("whoever reads on, in whatever stretches, ends with what was said last of everything") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    event_ring ring("E", {200, 100'000});
    std::map<std::string, std::string> truth;
    std::map<std::string, std::string> seen;
    uint64_t place = 0;
    uint64_t number_seen = 0;
    for (int i = 0; i < 300; ++i) {
      const auto subject = std::to_string(random() % 10);
      const auto data = "\"" + subject + ":" + std::to_string(i) + "\"";
      ring.add(event_kind::task, subject, "mail", data);
      truth[subject] = data;
      if (random() % 20 == 0 || i == 299)
        while (place < ring.last()) {
          REQUIRE(ring.reaches(place));
          const auto found = ring.collect(place, ring.last(), everything, random() % 200 + 1);
          for (const auto& [number, content] : events_of(found.text)) {
            CHECK(number > number_seen);
            number_seen = number;
            seen[content.substr(1, content.find(':') - 1)] = content;
          }
          place = found.up_to;
        }
    }
    CHECK(seen == truth);
  }
}
