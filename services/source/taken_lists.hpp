// The names of taken lists, and the scripts that fill, read and finish them.
// A taken list holds one numbered batch of one node: the message at its tail was taken first and has position
// 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace task_runner {

/// `{KEY}:taken:NODE:SEQ`.
std::string taken_list_name(std::string_view intake_key, std::string_view node_id, uint64_t batch);

/// A glob pattern for SCAN that matches the taken lists of a node, of whatever intake key.
std::string taken_list_pattern(std::string_view node_id);

/// What a taken list's name says.
struct taken_list {
  std::string intake_key;
  uint64_t batch = 0;
};

/// Highest number of a batch: far beyond any clock, and room enough to count on in 64 signed bits.
constexpr uint64_t batch_number_max = uint64_t{1} << 62;

/// Nothing when `name` is not the name of a taken list of this node.
std::optional<taken_list> parse_taken_list(std::string_view name, std::string_view node_id);

/// KEYS intake list, taken list; ARGV most messages, most bytes, longest message, bytes kept of longer ones.
/// Moves messages, first pushed first, until a bound is reached or none is left; at least one. Answers
/// {messages left, message…}, each as text or, when too long, as {length, its beginning}.
/// An error in the middle (out of memory) ends the batch early; what was moved is answered.
inline constexpr std::string_view take_script = R"lua(
if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.error_reply('TAKENEXISTS the taken list exists')
end
local most, bytes_most = tonumber(ARGV[1]), tonumber(ARGV[2])
local longest, kept = tonumber(ARGV[3]), tonumber(ARGV[4])
local answer, bytes = {0}, 0
for i = 1, most do
  local message = redis.pcall('RPOPLPUSH', KEYS[1], KEYS[2])
  if type(message) == 'table' then
    if i == 1 then return message end
    break
  end
  if not message then break end
  bytes = bytes + #message
  if #message > longest then
    answer[i + 1] = {#message, string.sub(message, 1, kept)}
  else
    answer[i + 1] = message
  end
  if bytes >= bytes_most then break end
end
answer[1] = redis.call('LLEN', KEYS[1])
return answer
)lua";

/// KEYS taken list; ARGV longest message, bytes kept of longer ones. Answers as take_script does.
inline constexpr std::string_view read_script = R"lua(
local messages = redis.pcall('LRANGE', KEYS[1], 0, -1)
if messages.err then return messages end
local longest, kept = tonumber(ARGV[1]), tonumber(ARGV[2])
local answer, count = {0}, #messages
for i = 1, count do
  local message = messages[count - i + 1]
  if #message > longest then
    answer[i + 1] = {#message, string.sub(message, 1, kept)}
  else
    answer[i + 1] = message
  end
end
return answer
)lua";

/// What stands in a taken list in the place of a message that was rejected, and filed before the rest of
/// its batch was decided. Nobody's message: it is no JSON.
inline constexpr std::string_view filed_mark("\0task-runner:filed", 18);

/// KEYS taken list, list of rejected messages; ARGV most rejected messages kept, `filed_mark`, the number
/// of entries, the index in the taken list of each one's message, entries… in the order of their messages.
/// Files the entries and puts the mark in the place of their messages, which keeps everyone else's
/// position. What is marked already is not filed again, so it may be repeated.
inline constexpr std::string_view file_script = R"lua(
local count = tonumber(ARGV[3])
for i = 1, count do
  local place = ARGV[3 + i]
  local message = redis.call('LINDEX', KEYS[1], place)
  if message and message ~= ARGV[2] then
    local filed = redis.pcall('LPUSH', KEYS[2], ARGV[3 + count + i])
    if type(filed) == 'table' then return filed end
    redis.call('LSET', KEYS[1], place, ARGV[2])
  end
end
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[1]) - 1)
return count
)lua";

/// KEYS taken list, list of rejected messages; ARGV most rejected messages kept, whether this is the first
/// attempt (1 or 0), entries… in the order of their messages. Files the entries and deletes the taken list. A
/// later attempt finds the list gone when the first had worked and only its reply was lost, and files
/// nothing.
inline constexpr std::string_view finish_script = R"lua(
if ARGV[2] == '1' or redis.call('EXISTS', KEYS[1]) == 1 then
  local filed = redis.pcall('LPUSH', KEYS[2], unpack(ARGV, 3))
  if type(filed) == 'table' then return filed end
  redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[1]) - 1)
end
return redis.call('DEL', KEYS[1])
)lua";

} // namespace task_runner
