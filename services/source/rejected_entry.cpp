// Renders rejected messages. The entry is valid JSON whatever the message was.
#include "services/source/rejected_entry.hpp"

#include "services/domain/names.hpp"
#include "services/domain/time_text.hpp"
#include "services/wire/byte_text.hpp"
#include "services/wire/json_text.hpp"

namespace task_runner {

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
