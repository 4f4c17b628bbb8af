// The parts of the Redis source that need no server: names of taken lists, rejected entries, bookkeeping.
// They are pure, so every edge can be tried.
#include "services/source/completion_box.hpp"
#include "services/source/rejected_entry.hpp"
#include "services/source/taken_batch.hpp"
#include "services/source/taken_lists.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <thread>

using namespace task_runner;

TEST_CASE("names of taken lists are made and read") {
  CHECK(taken_list_name("task:prepare:queue", "n-1", 42) == "{task:prepare:queue}:taken:n-1:42");
  const auto read = parse_taken_list("{task:prepare:queue}:taken:n-1:42", "n-1");
  REQUIRE(read);
  CHECK(read->intake_key == "task:prepare:queue");
  CHECK(read->batch == 42);
  for (const char* key : {"a", "a}:taken:n-1:7", "{a}", "a b*?[]"})
    CHECK(parse_taken_list(taken_list_name(key, "n-1", 9), "n-1")->intake_key == key);
  for (const char* name : {"", "{a}", "{a}:taken:n-1:", "{a}:taken:n-1:x", "{a}:taken:n-1:-1",
                           "{a}:taken:n-1:007", "{a}:taken:n-1:0", "{a}:taken:n-1:1x",
                           "{a}:taken:n-1:99999999999999999999", "{a}:taken:n-1:18446744073709551615",
                           "{a}:taken:n-2:1", "a}:taken:n-1:1", "{}:taken:n-1:1", "{a}:taken:n-1:1 "}) {
    INFO(name);
    CHECK_FALSE(parse_taken_list(name, "n-1"));
  }
}

TEST_CASE("rejected entries are valid JSON whatever the message") {
  using nlohmann::json;
  const auto plain = json::parse(make_rejected_entry("why \"so\"", 1'700'000'000'123, "a\nb", 3));
  CHECK(plain == json{{"reason", "why \"so\""}, {"at", "2023-11-14T22:13:20.123Z"}, {"message", "a\nb"}});
  const auto bytes = json::parse(make_rejected_entry("r", 0, "\xff", 1));
  CHECK(bytes["message_base64"] == "/w==");
  CHECK_FALSE(bytes.contains("message"));
  // Cut within a character: it is left out rather than taken for bytes that are no text.
  for (const std::string& cut :
       {std::string("a\xc3"), std::string("a\xe2\x82"), std::string("a\xf0\x9f\x98")}) {
    const auto entry = json::parse(make_rejected_entry("r", 0, cut, 100));
    CHECK(entry["message"] == "a");
    CHECK(entry["truncated"] == true);
    CHECK(entry["bytes"] == 100);
  }
  CHECK(json::parse(make_rejected_entry("r", 0, "a\xc3\xbc", 100))["message"] == "a\xc3\xbc");
  CHECK(json::parse(make_rejected_entry("r", 0,
                                        "\xff"
                                        "abc",
                                        100))
            .contains("message_base64"));
}

TEST_CASE("a completion comes once, from whatever thread, or as nothing when it is dropped") {
  auto box = std::make_shared<completion_box>();
  {
    auto done = make_completion(box, 7);
    auto copy = done;
    std::thread other([copy] {
      copy({push_reply{"a", "b", true, std::nullopt}});
      copy({});
    });
    other.join();
  }
  REQUIRE(test::wait_readable(box->fd()));
  auto found = box->take();
  REQUIRE(found.size() == 1);
  CHECK(found[0].submission == 7);
  CHECK(found[0].replies.size() == 1);
  CHECK_FALSE(test::wait_readable(box->fd(), std::chrono::milliseconds(0)));
  { auto dropped = make_completion(box, 8); }
  found = box->take();
  REQUIRE(found.size() == 1);
  CHECK(found[0].submission == 8);
  CHECK(found[0].replies.empty());
}
