// json_line_reader: where lines begin and end, what counts as blank, and how they are numbered.
// The random part prints its seed through Catch2, so that a failure can be repeated.
#include "services/wire/json_lines.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace task_runner;

namespace {

using numbered = std::vector<std::pair<uint64_t, std::string>>;

/// Those that are not blank.
numbered lines(std::string_view text) {
  numbered found;
  uint64_t all = 0;
  json_line_reader reader(text);
  while (const auto line = reader.next()) {
    CHECK(line->number == ++all);
    if (!line->is_blank())
      found.emplace_back(line->number, std::string(line->text));
  }
  CHECK_FALSE(reader.next());
  const auto counts = count_json_lines(text, all);
  CHECK(counts.all == all);
  CHECK(counts.not_blank == found.size());
  return found;
}

} // namespace

TEST_CASE("lines end with a line feed, the last one with the text") {
  CHECK(lines("").empty());
  CHECK(lines("a") == numbered{{1, "a"}});
  CHECK(lines("a\n") == numbered{{1, "a"}});
  CHECK(lines("a\nb") == numbered{{1, "a"}, {2, "b"}});
  CHECK(lines("a\nb\n") == numbered{{1, "a"}, {2, "b"}});
  CHECK(lines("a\r\nb\r\n") == numbered{{1, "a\r"}, {2, "b\r"}});
  CHECK(lines("a\rb") == numbered{{1, "a\rb"}});
  CHECK(lines(std::string_view("a\0b\nc", 5)) == numbered{{1, std::string("a\0b", 3)}, {2, "c"}});
}

TEST_CASE("blank lines are passed over, and counted in the numbers") {
  CHECK(lines("\n").empty());
  CHECK(lines("\r\n \t\r\n\n").empty());
  CHECK(lines("   ").empty());
  CHECK(lines("\n\na\n\r\n  \nb\n\n") == numbered{{3, "a"}, {6, "b"}});
  CHECK(lines(" a ") == numbered{{1, " a "}});
  CHECK(lines("\v\n") == numbered{{1, "\v"}}); // no blank that JSON knows
}

TEST_CASE("any text comes apart into its lines") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    numbered expected;
    std::string text;
    const auto count = random() % 20;
    for (uint64_t number = 1; number <= count; ++number) {
      const auto kind = random() % 3;
      const std::string line = kind == 0 ? "" : kind == 1 ? " \r" : std::string(1 + random() % 30, 'x');
      if (kind == 2)
        expected.emplace_back(number, line);
      text += line;
      if (number < count || random() % 2 == 0)
        text += '\n';
    }
    CHECK(lines(text) == expected);
  }
}

TEST_CASE("counting ends soon after its bound") {
  const std::string text = "a\nb\n\nc\n";
  const std::vector<uint64_t> not_blank{1, 2, 2, 3};
  for (uint64_t lines_max = 0; lines_max < not_blank.size(); ++lines_max) {
    const auto counts = count_json_lines(text, lines_max);
    CHECK(counts.all == lines_max + 1);
    CHECK(counts.not_blank == not_blank[lines_max]);
  }
  CHECK(count_json_lines(text, 4).all == 4);
  CHECK(count_json_lines(text, UINT64_MAX).not_blank == 3);
}

TEST_CASE("a line that is too long to be looked into is not blank") {
  const std::string longest(json_line_bytes_max, ' ');
  CHECK(lines(longest).empty());
  CHECK(lines(longest + " ").size() == 1);
}
