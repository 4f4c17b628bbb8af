// Renders rejected messages. The entry is valid JSON whatever the message was.
#include "services/source/rejected_entry.hpp"

#include "services/domain/names.hpp"
#include "services/domain/time_text.hpp"
#include "services/wire/json_text.hpp"

namespace task_runner {

namespace {

/// `text` without a character at its end that was cut in two.
std::string_view whole_characters(std::string_view text) {
  constexpr size_t sequence_max = 4;
  for (size_t back = 1; back < sequence_max && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80)
      continue;
    const size_t needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? text.substr(0, text.size() - back) : text;
  }
  return text;
}

} // namespace

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

std::string make_rejected_entry(std::string_view reason, wall_time_ms at_ms, std::string_view message,
                                uint64_t length) {
  const bool truncated = length > message.size();
  std::string entry;
  entry.reserve(message.size() + reason.size() + 96);
  json_writer writer(entry);
  writer.begin_object().member("reason", reason).member("at", format_time(at_ms));
  const auto shown = truncated ? whole_characters(message) : message;
  if (is_valid_utf8(shown))
    writer.member("message", shown);
  else
    writer.member("message_base64", encode_base64(message));
  if (truncated)
    writer.member("truncated", true).member("bytes", length);
  writer.end_object();
  return entry;
}

} // namespace task_runner
