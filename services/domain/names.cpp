// Validation of names and text, and generation of ids.
#include "services/domain/names.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <random>

namespace task_runner {

namespace {

constexpr bool is_name_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == ':' || c == '-';
}

/// One generator per thread: no lock, and no two threads share a state.
std::mt19937_64& generator() {
  thread_local std::mt19937_64 engine = [] {
    std::random_device device;
    std::array<uint32_t, 8> words{};
    for (auto& word : words)
      word = device();
    std::seed_seq seed(words.begin(), words.end());
    return std::mt19937_64(seed);
  }();
  return engine;
}

std::string format_uuid(uint64_t high, uint64_t low) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text(36, '-');
  size_t at = 0;
  for (int nibble = 0; nibble < 32; ++nibble) {
    if (at == 8 || at == 13 || at == 18 || at == 23)
      ++at;
    const uint64_t word = nibble < 16 ? high : low;
    text[at++] = digits[(word >> (60 - 4 * (nibble % 16))) & 0xf];
  }
  return text;
}

constexpr uint64_t variant_bits = 0x8000'0000'0000'0000ULL;
constexpr uint64_t variant_mask = 0x3fff'ffff'ffff'ffffULL;

} // namespace

bool is_valid_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > name_length_max)
    return false;
  for (char c : text)
    if (!is_name_char(c))
      return false;
  return true;
}

bool is_valid_utf8(std::string_view text) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (at != end) {
    const unsigned char lead = *at++;
    if (lead < 0x80)
      continue;
    int follow = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      follow = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      follow = 2;
      if (lead == 0xe0)
        low = 0xa0;
      if (lead == 0xed)
        high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      follow = 3;
      if (lead == 0xf0)
        low = 0x90;
      if (lead == 0xf4)
        high = 0x8f;
    } else {
      return false;
    }
    for (; follow > 0; --follow) {
      if (at == end || *at < low || *at > high)
        return false;
      ++at;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}

result<void> check_text(std::string_view what, std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    return error{error_code::invalid_argument,
                 std::string(what) + " holds a NUL byte; a command cannot carry one. Remove it."};
  if (!is_valid_utf8(text))
    return error{error_code::invalid_argument, std::string(what) + " is not valid UTF-8. Send it as UTF-8."};
  return {};
}

std::string make_task_id(wall_time_ms now_ms) {
  // RFC 9562, section 6.2, method 1: a counter in the 12 bits of rand_a keeps one thread's ids ascending.
  thread_local wall_time_ms last_ms = 0;
  thread_local uint64_t counter = 0;
  auto& random = generator();
  if (now_ms > last_ms) {
    last_ms = now_ms;
    counter = random() & 0x7ff;
  } else if (++counter > 0xfff) {
    ++last_ms;
    counter = 0;
  }
  const uint64_t high = (static_cast<uint64_t>(last_ms) << 16) | 0x7000 | counter;
  const uint64_t low = (random() & variant_mask) | variant_bits;
  return format_uuid(high, low);
}

std::string make_uuid() {
  auto& random = generator();
  const uint64_t high = (random() & ~0xf000ULL) | 0x4000;
  const uint64_t low = (random() & variant_mask) | variant_bits;
  return format_uuid(high, low);
}

std::string make_sibling_id(const std::string& id, uint32_t number) {
  constexpr size_t digits = 8; // the last 32 bits are random ones
  uint32_t tail = 0;
  if (id.size() < digits)
    return id;
  std::from_chars(id.data() + id.size() - digits, id.data() + id.size(), tail, 16);
  tail += number;
  std::string sibling = id;
  for (size_t i = 0; i < digits; ++i)
    sibling[sibling.size() - 1 - i] = "0123456789abcdef"[tail >> (4 * i) & 0xf];
  return sibling;
}

} // namespace task_runner
