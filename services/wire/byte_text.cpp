// Ends of cut texts, and base64.
#include "services/wire/byte_text.hpp"

#include <cstddef>
#include <cstdint>

namespace task_runner {

namespace {

/// Longest UTF-8 character, bytes.
constexpr size_t character_max = 4;

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

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
  constexpr auto digits = base64_digits;
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

std::optional<std::string> decode_base64(std::string_view text) {
  constexpr size_t group = 4;
  if (text.size() % group != 0)
    return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
    ++padding;
  text.remove_suffix(padding);
  std::string bytes;
  bytes.reserve(text.size() / group * 3 + 2);
  uint32_t word = 0;
  size_t bits = 0;
  for (const char one : text) {
    const auto digit = base64_digits.find(one);
    if (digit == std::string_view::npos)
      return std::nullopt;
    word = word << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(word >> bits & 0xffU);
    }
  }
  return bytes;
}

} // namespace task_runner
