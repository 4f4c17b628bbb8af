// Characters of UTF-8 one by one, and those that would drive a terminal.
#include "services/domain/code_points.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;

TEST_CASE("characters are taken from UTF-8 one by one") {
  CHECK(next_point("a").point == U'a');
  CHECK(next_point("\xc3\xa4x").point == U'\u00e4');
  CHECK(next_point("\xe4\xb8\xadx").length == 3);
  CHECK(next_point("\xf0\x9f\x98\x80").point == U'\U0001f600');
  CHECK(next_point("\xf0\x9f").length == 1); // cut short
}

TEST_CASE("what a terminal would obey is known") {
  for (const char32_t point : {U'\0', U'\n', U'\x1b', U'\x7f', U'\x80', U'\x9b', U'\x9f', U'\u2028',
                               U'\u202e', U'\u2066', U'\u2069'})
    CHECK(is_control(point));
  for (const char32_t point : {U' ', U'~', U'\xa0', U'\u00e4', U'\u202f', U'\u4e2d', U'\U0001f600'})
    CHECK_FALSE(is_control(point));
  CHECK_FALSE(has_control(""));
  CHECK_FALSE(has_control("caf\xc3\xa9"));
  CHECK(has_control("caf\xc3\xa9\xc2\x85"));
}

TEST_CASE("JSON without control characters is left as it is, others are escaped") {
  CHECK(escape_controls("{\"a\":\"\xc3\xa4\"}") == "{\"a\":\"\xc3\xa4\"}");
  CHECK(escape_controls("\"\xc2\x9b"
                        "2J\x7f\xe2\x81\xa6\"") == "\"\\u009b2J\\u007f\\u2066\"");
}
