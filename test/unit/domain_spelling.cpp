// How near words are to others, and which one was meant.
#include "services/domain/spelling.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace task_runner;

TEST_CASE("domain: the distance of words counts changes, gaps and swaps") {
  CHECK(spelling_distance("status", "status", 2) == 0);
  CHECK(spelling_distance("staus", "status", 2) == 1);
  CHECK(spelling_distance("statsu", "status", 2) == 1);
  CHECK(spelling_distance("xtatuz", "status", 2) == 2);
  CHECK(spelling_distance("xtytuz", "status", 2) == 3);
  CHECK(spelling_distance("", "ab", 2) == 2);
  CHECK(spelling_distance("a", "abcd", 2) == 3);
  CHECK(spelling_distance(std::string(10'000, 'a'), "a", 2) == 3);
}

TEST_CASE("domain: the nearest name is guessed, and nothing far-fetched") {
  const std::vector<std::string_view> names{"status", "push", "pause", "why", "wait"};
  CHECK(nearest_name("staus", names) == "status");
  CHECK(nearest_name("pasue", names) == "pause");
  CHECK(nearest_name("psh", names) == "push");
  CHECK(nearest_name("pu", names).empty());
  CHECK(nearest_name("nonsense", names).empty());
  CHECK(nearest_name("", names).empty());
  CHECK(nearest_name(std::string(1'000, 's'), names).empty());
}
