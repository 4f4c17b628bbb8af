// The stored form of an argument vector: lossless, and never misread when damaged.
// A golden value pins the form, because files written with it must stay readable.
#include "services/store/argv_codec.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using words = std::vector<std::string>;

TEST_CASE("argv: the stored form is fixed") {
  REQUIRE(encode_argv({"ls", "", "a b"}) == std::string("\x02\0\0\0ls\0\0\0\0\x03\0\0\0a b", 17));
  REQUIRE(encode_argv({}).empty());
}

TEST_CASE("argv: every vector comes back") {
  const std::vector<words> vectors = {
      {}, {""}, {"", "", ""}, {"ls", "-l"}, {std::string("a\0b", 3)}, {std::string(70'000, 'x'), "\xff\xfe"}};
  for (const auto& vector : vectors)
    REQUIRE(decode_argv(encode_argv(vector)) == vector);
}

TEST_CASE("argv: a cut form is not read") {
  const std::string stored = encode_argv({"echo", "hello", "world"});
  for (size_t size = 1; size < stored.size(); ++size) {
    const auto decoded = decode_argv(std::string_view(stored).substr(0, size));
    if (decoded) // Cut exactly between two words: a shorter vector is all that can be seen.
      REQUIRE(encode_argv(*decoded) == stored.substr(0, size));
  }
  REQUIRE_FALSE(decode_argv("abc"));
  REQUIRE_FALSE(decode_argv("\xff\xff\xff\xff"));
}
