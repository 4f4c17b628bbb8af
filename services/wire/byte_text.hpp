// Bytes of any kind on their way into JSON, which carries nothing but text: where a text that was cut may
// end, and base64 for what is no text. Pure, thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace task_runner {

/// `bytes` without a UTF-8 character at their end of which only the beginning is there. Bytes that cannot
/// become a character, whatever follows, stay.
std::string_view whole_characters(std::string_view bytes) noexcept;

/// Base64 with padding (RFC 4648, section 4).
std::string encode_base64(std::string_view bytes);

} // namespace task_runner
