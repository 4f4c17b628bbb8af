// Decoding of what is asked of the list of actors: which of them, how many, and from where on.
#include "actors/gateway/requests.hpp"
#include "services/domain/names.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// Tells a cursor that is a name from those of task listings.
constexpr char name_cursor_letter = 'n';
constexpr uint32_t actors_limit_default = 100;
constexpr uint32_t actors_limit_max = 1'000;

result<std::string> decode_channel_name(const flat_member& member) {
  auto name = read_text(member);
  if (name && !is_valid_name(*name))
    return error{error_code::invalid_argument,
                 "\"channel\" is no name of a channel; use 1 to 128 of A-Z a-z 0-9 . _ : -"};
  return name;
}

result<std::string> decode_kind(const flat_member& member) {
  auto kind = read_text(member);
  if (!kind || std::find(actor_kinds.begin(), actor_kinds.end(), *kind) != actor_kinds.end())
    return kind;
  std::string known;
  for (const auto one : actor_kinds)
    known += (known.empty() ? "" : one == actor_kinds.back() ? " or " : ", ") + std::string(one);
  return error{error_code::invalid_argument, "\"kind\" is none of actors; give " + known};
}

result<void> take_cursor(const flat_member& member, std::string& after) {
  const auto cursor = read_text(member);
  return cursor ? put(decode_name_cursor(*cursor), after) : cursor.failure();
}

result<void> take_member(const flat_member& member, list_actors& listing) {
  if (member.name == "channel")
    return put(decode_channel_name(member), listing.filter.channel);
  if (member.name == "kind")
    return put(decode_kind(member), listing.filter.kind);
  if (member.name == "cursor")
    return take_cursor(member, listing.after);
  if (member.name != "limit")
    return unknown_member(member.name, "channel, kind, limit, cursor");
  auto limit = read_whole(member, 1, actors_limit_max);
  if (!limit)
    return limit.failure();
  listing.limit = static_cast<uint32_t>(*limit);
  return {};
}

} // namespace

std::string encode_cursor(std::string_view name) {
  return name_cursor_letter + std::string(name);
}

result<std::string> decode_name_cursor(std::string_view cursor) {
  if (cursor.size() < 2 || cursor.front() != name_cursor_letter)
    return error{error_code::invalid_argument,
                 "\"cursor\" is not one; give \"next\" of the answer before, or leave it out"};
  return std::string(cursor.substr(1));
}

result<list_actors> decode_actor_list(const http_request& request) {
  list_actors listing;
  listing.limit = actors_limit_default;
  for (const auto& member : read_query(request).members)
    if (auto taken = take_member(member, listing); !taken)
      return taken.failure();
  return listing;
}

} // namespace task_runner
