// Ends of cut texts, and base64.
#include "services/wire/byte_text.hpp"

#include <cstddef>
#include <cstdint>

namespace task_runner {

namespace {

/// Longest UTF-8 character, bytes.
constexpr size_t character_max = 4;

/// Bytes of the character that begins with `lead`; 0 when none does.
size_t length_of_character(unsigned char lead) noexcept {
  return lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

/// Whether `second` may follow `lead`: nothing overlong, no surrogates, at most U+10FFFF.
bool may_follow(unsigned char lead, unsigned char second) noexcept {
  const unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  return second >= least && second <= most;
}

} // namespace

std::string_view whole_characters(std::string_view bytes) noexcept {
  for (size_t back = 1; back < character_max && back <= bytes.size(); ++back) {
    const auto at = bytes.size() - back;
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if ((byte & 0xc0U) == 0x80)
      continue;
    const bool begun = length_of_character(byte) > back &&
                       (back == 1 || may_follow(byte, static_cast<unsigned char>(bytes[at + 1])));
    return begun ? bytes.substr(0, at) : bytes;
  }
  return bytes;
}

std::string encode_base64(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  const auto byte = [&](size_t at) -> uint32_t {
    return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
  };
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const uint32_t word = byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2);
    text += digits[word >> 18];
    text += digits[word >> 12 & 63];
    text += at + 1 < bytes.size() ? digits[word >> 6 & 63] : '=';
    text += at + 2 < bytes.size() ? digits[word & 63] : '=';
  }
  return text;
}

} // namespace task_runner
