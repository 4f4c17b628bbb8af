// Splitting of texts at commas: nothing is left out, and nothing is added.
#include "services/wire/comma_list.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;

TEST_CASE("a text is split at each comma, and has one entry more than commas") {
  using entries = std::vector<std::string_view>;
  CHECK(split_at_commas("a") == entries{"a"});
  CHECK(split_at_commas("a,bc,d") == entries{"a", "bc", "d"});
  CHECK(split_at_commas(" a , b") == entries{" a ", " b"});
  CHECK(split_at_commas("") == entries{""});
  CHECK(split_at_commas(",") == entries{"", ""});
  CHECK(split_at_commas(",a,,b,") == entries{"", "a", "", "b", ""});
}
