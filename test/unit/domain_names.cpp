// Names, text and ids. The alphabet at its edges, UTF-8 against an independent decoder, and ids that ascend.
#include "services/domain/names.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace task_runner;
using Catch::Matchers::Contains;

namespace {

/// Encodes any number as UTF-8 would, in a given length, valid or not.
std::string encode(uint32_t code, int length) {
  if (length == 1)
    return std::string(1, static_cast<char>(code));
  constexpr uint32_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  std::string text(1, static_cast<char>(leads[length] | (code >> (6 * (length - 1)))));
  for (int i = length - 2; i >= 0; --i)
    text += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3f));
  return text;
}

/// The definition of RFC 3629, by decoding: slow and plainly right.
bool decodes(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const int length = lead < 0x80         ? 1
                       : (lead >> 5) == 6  ? 2
                       : (lead >> 4) == 14 ? 3
                       : (lead >> 3) == 30 ? 4
                                           : 0;
    if (length == 0 || at + static_cast<size_t>(length) > text.size())
      return false;
    uint32_t code = length == 1 ? lead : lead & (0xffU >> (length + 1));
    for (int i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + static_cast<size_t>(i)]);
      if ((next >> 6) != 2)
        return false;
      code = (code << 6) | (next & 0x3fU);
    }
    constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      return false;
    at += static_cast<size_t>(length);
  }
  return true;
}

bool looks_like_uuid(const std::string& text, char version) {
  if (text.size() != 36)
    return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : std::string("0123456789abcdef").find(text[i]) == std::string::npos)
      return false;
  }
  return text[14] == version && std::string("89ab").find(text[19]) != std::string::npos;
}

} // namespace

TEST_CASE("a name has 1 to 128 characters of the alphabet") {
  CHECK(is_valid_name("a"));
  CHECK(is_valid_name("ABCxyz019._:-"));
  CHECK(is_valid_name(std::string(128, 'x')));
  CHECK_FALSE(is_valid_name(""));
  CHECK_FALSE(is_valid_name(std::string(129, 'x')));
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    CAPTURE(byte);
    CHECK(is_valid_name(text) == (alphabet.find(text) != std::string::npos));
  }
}

TEST_CASE("UTF-8 is accepted exactly where RFC 3629 does") {
  CHECK(is_valid_utf8(""));
  CHECK(is_valid_utf8(std::string("\0", 1)));
  CHECK(is_valid_utf8("täsk 任务 🚀"));
  for (uint32_t code : {0x7fU, 0x80U, 0x7ffU, 0x800U, 0xd7ffU, 0xd800U, 0xdfffU, 0xe000U, 0xffffU, 0x10000U,
                        0x10ffffU, 0x110000U, 0x1fffffU})
    for (int length = 2; length <= 4; ++length) {
      if (code >> (length == 2 ? 11 : length == 3 ? 16 : 21))
        continue;
      const std::string text = encode(code, length);
      CAPTURE(code, length);
      CHECK(is_valid_utf8(text) == decodes(text));
      CHECK_FALSE(is_valid_utf8(text.substr(0, text.size() - 1)));
      CHECK_FALSE(is_valid_utf8(text.substr(1)));
    }
}

TEST_CASE("property: UTF-8 agrees with a decoder on every two bytes and on random text") {
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second)};
      if (is_valid_utf8(text) != decodes(text))
        FAIL("the bytes " << first << " " << second);
    }
  std::mt19937_64 random(Catch::rngSeed());
  constexpr unsigned char bytes[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
                                     0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5, 0xff};
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (auto length = random() % 6; length > 0; --length)
      text += static_cast<char>(bytes[random() % sizeof bytes]);
    if (is_valid_utf8(text) != decodes(text))
      FAIL("round " << i << " of seed " << Catch::rngSeed());
  }
}

TEST_CASE("text from outside is UTF-8 without NUL") {
  CHECK(check_text("the task", "echo ä"));
  const auto nul = check_text("the task", std::string("a\0b", 3));
  REQUIRE_FALSE(nul);
  CHECK(nul.failure().code == error_code::invalid_argument);
  CHECK_THAT(nul.failure().message, Contains("the task holds a NUL byte"));
  const auto bytes = check_text("an argument", "\xff");
  REQUIRE_FALSE(bytes);
  CHECK_THAT(bytes.failure().message, Contains("an argument is not valid UTF-8"));
}

TEST_CASE("a task id is a UUIDv7 that carries its time") {
  const std::string id = make_task_id(0x0123456789ab);
  CHECK(looks_like_uuid(id, '7'));
  CHECK(id.substr(0, 13) == "01234567-89ab");
  CHECK(is_valid_name(id));
}

TEST_CASE("task ids of one thread ascend, even when the clock stands still or goes back") {
  const wall_time_ms begin = 0x123456789abc;
  std::string previous = make_task_id(begin);
  for (int i = 0; i < 20'000; ++i) {
    const std::string next = make_task_id(i % 7 == 0 ? begin - 1'000 : begin);
    REQUIRE(previous < next);
    previous = next;
  }
  // A full counter borrows from the next millisecond; it may not run far ahead.
  CHECK(previous < make_task_id(begin + 20));
}

TEST_CASE("ids of several threads differ") {
  constexpr size_t each = 5'000;
  std::vector<std::vector<std::string>> made(4);
  std::vector<std::thread> threads;
  for (auto& ids : made)
    threads.emplace_back([&ids] {
      for (size_t i = 0; i < each; ++i) {
        ids.push_back(make_task_id(1));
        ids.push_back(make_uuid());
      }
    });
  for (auto& thread : threads)
    thread.join();
  std::set<std::string> all;
  for (const auto& ids : made)
    all.insert(ids.begin(), ids.end());
  CHECK(all.size() == made.size() * each * 2);
}

TEST_CASE("a random UUID is of version 4") {
  for (int i = 0; i < 1'000; ++i)
    REQUIRE(looks_like_uuid(make_uuid(), '4'));
}
