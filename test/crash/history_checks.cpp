// Forged histories, one for every rule: a check of the crash harness that could not fail would prove nothing.
// The first one breaks no rule, and the others differ from it by one line.
#include "test/crash/command_history.hpp"

#include <catch2/catch.hpp>

using namespace task_runner::test;

namespace {

const std::map<std::string, int> two_workers{{"c", 2}};

/// Facts of tasks a, b and c, all ended with these attempts.
std::map<std::string, task_facts> facts_of(uint32_t a, uint32_t b, uint32_t c) {
  return {{"a", {"c", "", a, false}}, {"b", {"c", "", b, false}}, {"c", {"c", "", c, false}}};
}

std::vector<std::string> offences(const std::vector<std::string>& lines,
                                  const std::map<std::string, task_facts>& facts) {
  command_history history;
  for (const auto& line : lines)
    history.take(line);
  return history.offences(facts, two_workers);
}

void check_offence(const std::vector<std::string>& lines, const std::map<std::string, task_facts>& facts,
                   const std::string& expected) {
  const auto found = offences(lines, facts);
  REQUIRE(found.size() == 1);
  CHECK_THAT(found.front(), Catch::Contains(expected));
}

} // namespace

TEST_CASE("a history that keeps every rule has no offences, and its figures are counted") {
  const std::vector<std::string> lines{
      "launcher 10", "S a 1 100 10", "S b 1 101 10", "daemon-killed 5", "E b 1",        "launcher-killed 10",
      "B b 1",       "launcher 11",  "S a 2 102 11", "E a 2",           "S c 2 103 11", "E c 2"};
  const auto facts = facts_of(2, 1, 2);
  CHECK(offences(lines, facts) == std::vector<std::string>{});
  command_history history;
  for (const auto& line : lines)
    history.take(line);
  CHECK(history.figures(facts).starts == 4);
  CHECK(history.figures(facts).lost_attempts == 1);
  CHECK(history.figures(facts).unstarted_leases == 1);
}

TEST_CASE("a command that its launcher's death overtakes is lost with it") {
  // The first line comes after the kill: from the dead launcher's child, or from one that was adopted
  // already.
  CHECK(offences({"launcher-killed 10", "S a 1 100 10", "launcher 11", "S a 2 101 11", "E a 2"},
                 facts_of(2, 0, 0)) == std::vector<std::string>{});
  CHECK(offences({"launcher-killed 10", "S a 1 100 1", "launcher 11", "S a 2 101 11", "E a 2"},
                 facts_of(2, 0, 0)) == std::vector<std::string>{});
}

TEST_CASE("offence: a line makes no sense") {
  check_offence({"S a 1 100 10", "E a 1", "E a"}, facts_of(1, 0, 0), "makes no sense");
}

TEST_CASE("offence: a task that nobody pushed") {
  check_offence({"S x 1 100 10", "E x 1"}, facts_of(0, 0, 0), "nobody had pushed it");
}

TEST_CASE("offence: one attempt started twice") {
  check_offence({"S a 1 100 10", "S a 1 101 10", "E a 1"}, facts_of(1, 0, 0), "started twice");
}

TEST_CASE("offence: a second attempt after the daemon alone was killed") {
  check_offence({"launcher 10", "S a 1 100 10", "daemon-killed 5", "E a 1", "S a 2 101 10", "E a 2"},
                facts_of(2, 0, 0), "was not killed");
}

TEST_CASE("offence: a second attempt after another launcher was killed") {
  check_offence(
      {"launcher 10", "launcher-killed 10", "launcher 11", "S a 1 100 11", "E a 1", "S a 2 101 11", "E a 2"},
      facts_of(2, 0, 0), "whose launcher 11 was not killed");
}

TEST_CASE("offence: a second attempt of what had ended long before its launcher was killed") {
  const auto lines = [](const std::string& kill_time) {
    return std::vector<std::string>{"launcher 10",  "S a 1 100 10",
                                    "E a 1 50.25",  "launcher-killed 10 " + kill_time,
                                    "S a 2 101 11", "E a 2 70.00"};
  };
  check_offence(lines("60.00"), facts_of(2, 0, 0), "seconds before its launcher was killed");
  CHECK(offences(lines("50.50"), facts_of(2, 0, 0)) == std::vector<std::string>{});
}

TEST_CASE("an attempt that fails as it was meant to is followed by another, and by no more than that") {
  auto facts = facts_of(2, 0, 0);
  facts.at("a").fails_first = 1;
  const std::vector<std::string> lines{"launcher 10", "S a 1 100 10", "E a 1", "S a 2 101 10", "E a 2"};
  CHECK(offences(lines, facts) == std::vector<std::string>{});
  command_history history;
  for (const auto& line : lines)
    history.take(line);
  CHECK(history.figures(facts).retried_attempts == 1);
  CHECK(history.figures(facts).lost_attempts == 0);
  auto more = lines;
  more.insert(more.end(), {"S a 3 102 10", "E a 3"});
  facts.at("a").final_attempt = 3;
  check_offence(more, facts, "attempt 3 of task a ran after attempt 2, whose launcher 10 was not killed");
}

TEST_CASE("offence: a command that starts before its delay is over") {
  auto facts = facts_of(1, 0, 0);
  facts.at("a").earliest_start_s = 50.0;
  CHECK(offences({"S a 1 100 10 50.00", "E a 1"}, facts) == std::vector<std::string>{});
  check_offence({"S a 1 100 10 49.80", "E a 1"}, facts, "before its delay was over");
}

TEST_CASE("offence: more tasks of one concurrency key side by side than it allows") {
  auto facts = facts_of(1, 1, 0);
  for (auto* task : {"a", "b"}) {
    facts.at(task).concurrency_key = "k";
    facts.at(task).concurrency_max = 1;
  }
  CHECK(offences({"S a 1 100 10", "E a 1", "S b 1 101 10", "E b 1"}, facts) == std::vector<std::string>{});
  check_offence({"S a 1 100 10", "S b 1 101 10", "E a 1", "E b 1"}, facts, "others of the concurrency key k");
  facts.at("a").concurrency_max = facts.at("b").concurrency_max = 2;
  CHECK(offences({"S a 1 100 10", "S b 1 101 10", "E a 1", "E b 1"}, facts) == std::vector<std::string>{});
}

TEST_CASE("offence: a second attempt without a first, and nothing killed") {
  check_offence({"S a 2 100 10", "E a 2"}, facts_of(2, 0, 0), "nothing had been killed");
}

TEST_CASE("offence: two attempts of one task side by side") {
  check_offence({"launcher 10", "S a 1 100 10", "launcher-killed 10", "S a 2 101 11", "E a 1", "E a 2"},
                facts_of(2, 0, 0), "still ran when attempt 2 had started");
  check_offence({"launcher 10", "S a 1 100 10", "launcher-killed 10", "S a 2 101 11", "E a 2", "B a 1"},
                facts_of(2, 0, 0), "the background process of attempt 1");
}

TEST_CASE("offence: an attempt after the task's end") {
  const auto found =
      offences({"launcher 10", "S a 1 100 10", "E a 1", "launcher-killed 10", "S a 2 101 11", "E a 2"},
               facts_of(1, 0, 0));
  REQUIRE(found.size() == 2);
  CHECK_THAT(found[0], Catch::Contains("although the task had ended with attempt 1"));
}

TEST_CASE("offence: an exit code of an attempt that never ran to its end") {
  check_offence({"launcher 10", "S a 1 100 10", "launcher-killed 10"}, facts_of(1, 0, 0),
                "did not run to its end");
  check_offence({"launcher 10", "S a 1 100 10", "launcher-killed 10"}, facts_of(2, 0, 0),
                "did not run to its end");
}

TEST_CASE("offence: an attempt called lost whose launcher lived") {
  auto facts = facts_of(1, 0, 0);
  facts["a"].final_lost = true;
  check_offence({"launcher 10", "S a 1 100 10", "daemon-killed 5", "E a 1"}, facts, "is called lost");
  CHECK(offences({"launcher 10", "S a 1 100 10", "launcher-killed 10"}, facts) == std::vector<std::string>{});
}

TEST_CASE("offence: more at once than workers") {
  check_offence({"S a 1 100 10", "S b 1 101 10", "S c 1 102 10", "E a 1", "E b 1", "E c 1"},
                facts_of(1, 1, 1), "ran 3 commands at once with 2 workers");
  // What the launcher took with it does not count any more.
  CHECK(offences({"launcher 10", "S a 1 100 10", "S b 1 101 10", "launcher-killed 10", "S c 1 102 11",
                  "E c 1", "S a 2 103 11", "S b 2 104 11", "E a 2", "E b 2"},
                 facts_of(2, 2, 1)) == std::vector<std::string>{});
}

TEST_CASE("offence: one distinct key twice at once") {
  auto facts = facts_of(1, 1, 0);
  facts["a"].distinct_key = facts["b"].distinct_key = "same";
  check_offence({"S a 1 100 10", "S b 1 101 10", "E a 1", "E b 1"}, facts, "distinct key same");
}

TEST_CASE("offence: an attempt that simply stopped") {
  check_offence({"launcher 10", "S a 1 100 10"}, facts_of(0, 0, 0), "neither ended nor");
}
