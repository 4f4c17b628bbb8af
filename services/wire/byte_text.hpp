// Bytes of any kind on their way into JSON, which carries nothing but text: where a text that was cut may
// end, and base64 for what is no text, there and back. Pure, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace task_runner {

/// `bytes` without a UTF-8 character at their end of which only the beginning is there. Bytes that cannot
/// become a character, whatever follows, stay.
std::string_view whole_characters(std::string_view bytes) noexcept;

/// Base64 with padding (RFC 4648, section 4).
std::string encode_base64(std::string_view bytes);

/// The bytes behind such base64; nothing for what is none.
std::optional<std::string> decode_base64(std::string_view text);

} // namespace task_runner
