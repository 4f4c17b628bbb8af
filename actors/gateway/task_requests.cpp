// Decoding of what is asked of tasks: filters, verbs, places in a listing.
#include "actors/gateway/requests.hpp"
#include "services/domain/names.hpp"

#include <charconv>
#include <csignal>
#include <cstring>

namespace task_runner {

namespace {

constexpr uint32_t list_limit_default = 100;
constexpr uint32_t list_limit_max = 1'000;
constexpr uint32_t bulk_limit_default = 1'000;
constexpr uint32_t bulk_limit_max = 10'000;
constexpr std::string_view filter_members =
    "state, channel, name, outcome, exit_code, distinct_key, created_from, created_until, ended_from, "
    "ended_until";

template <class Enum>
std::optional<Enum> parse_name(std::string_view text, Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (text == to_string(static_cast<Enum>(i)))
      return static_cast<Enum>(i);
  return std::nullopt;
}

/// One state, or several separated by commas.
result<void> take_states(const flat_member& member, task_filter& filter) {
  auto text = read_text({member.name, member.value, false});
  if (!text)
    return text.failure();
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(','), rest.size());
    const auto state = parse_name(rest.substr(0, comma), task_state::cancelled);
    if (!state)
      return error{error_code::invalid_argument,
                   "\"state\" holds a state that there is none of; give pending, delayed, running, finished, "
                   "dead or cancelled, several separated by commas"};
    filter.states.push_back(*state);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return {};
}

template <class T>
result<void> put(result<T> read, T& into) {
  if (!read)
    return read.failure();
  into = std::move(*read);
  return {};
}

/// A moment that something was before. 0 would stand for "not said", and admit what it shall exclude: all.
result<wall_time_ms> read_end(const flat_member& member) {
  auto moment_ms = read_moment(member);
  if (moment_ms && *moment_ms == 0)
    return error{error_code::out_of_range,
                 member.name + " is the beginning of all times, so nothing would match; give a later moment"};
  return moment_ms;
}

/// Takes one member of a filter; false when it is none.
result<bool> take_filter_member(const flat_member& member, task_filter& filter) {
  const auto done = [](result<void> taken) -> result<bool> {
    if (!taken)
      return taken.failure();
    return true;
  };
  if (member.name == "state")
    return done(take_states(member, filter));
  if (member.name == "channel")
    return done(put(read_text(member), filter.channel.emplace()));
  if (member.name == "name")
    return done(put(read_text(member), filter.name_contains));
  if (member.name == "distinct_key")
    return done(put(read_text(member), filter.distinct_key.emplace()));
  if (member.name == "created_from")
    return done(put(read_moment(member), filter.created_from_ms));
  if (member.name == "created_until")
    return done(put(read_end(member), filter.created_until_ms));
  if (member.name == "ended_from")
    return done(put(read_moment(member), filter.ended_from_ms));
  if (member.name == "ended_until")
    return done(put(read_end(member), filter.ended_until_ms));
  if (member.name == "exit_code") {
    auto code = read_whole(member, 0, 255);
    if (!code)
      return code.failure();
    filter.exit_code = static_cast<int>(*code);
    return true;
  }
  if (member.name == "outcome") {
    auto text = read_text(member);
    if (!text)
      return text.failure();
    filter.outcome = parse_name(*text, outcome_kind::lost);
    if (!filter.outcome)
      return error{error_code::invalid_argument,
                   "\"outcome\" is none; give exited, signalled, timed_out, spawn_failed, cancelled, expired "
                   "or lost"};
    return true;
  }
  return false;
}

bool is_empty(const flat_member& member) {
  const auto* text = std::get_if<std::string>(&member.value);
  return std::holds_alternative<std::nullptr_t>(member.value) || (text != nullptr && text->empty());
}

result<uint64_t> decode_cursor(const flat_member& member) {
  const error refusal{error_code::invalid_argument,
                      "\"cursor\" is not one; give \"next\" of the answer before, or leave it out"};
  const auto* text = std::get_if<std::string>(&member.value);
  uint64_t sequence = 0;
  if (text == nullptr || text->size() < 2 || text->front() != 't')
    return refusal;
  const auto [end, fault] = std::from_chars(text->data() + 1, text->data() + text->size(), sequence, 16);
  if (fault != std::errc{} || end != text->data() + text->size() || sequence == 0 || sequence > INT64_MAX)
    return refusal;
  return sequence;
}

/// TERM, SIGTERM or 15.
result<int> read_signal(const flat_member& member) {
  constexpr int signal_max = 64;
  if (const auto* text = std::get_if<std::string>(&member.value)) {
    std::string_view name = *text;
    if (name.substr(0, 3) == "SIG")
      name.remove_prefix(3);
    for (int number = 1; number <= signal_max; ++number)
      if (const char* known = ::sigabbrev_np(number); known != nullptr && name == known)
        return number;
    if (text->find_first_not_of("0123456789") != std::string::npos)
      return error{error_code::invalid_argument,
                   "\"signal\" is none that this system knows; give a name such as TERM or a number"};
  }
  auto number = read_whole(member, 1, signal_max);
  if (!number)
    return number.failure();
  return static_cast<int>(*number);
}

/// Takes what the verb itself needs; false when the member is not for it.
result<bool> take_verb_member(const flat_member& member, act_on_task& action) {
  if (action.verb == task_verb::cancel && (member.name == "grace_s" || member.name == "grace")) {
    auto grace_ms = read_duration(member, grace_ms_max);
    if (!grace_ms)
      return grace_ms.failure();
    action.grace_ms = *grace_ms;
    return true;
  }
  if (action.verb == task_verb::signal && member.name == "signal") {
    auto number = read_signal(member);
    if (!number)
      return number.failure();
    action.signal_number = *number;
    return true;
  }
  return false;
}

std::string_view verb_members(task_verb verb) {
  return verb == task_verb::cancel ? "grace_s" : verb == task_verb::signal ? "signal" : "none";
}

error nested_member(const std::string& name) {
  return {error_code::invalid_argument,
          "\"" + name + "\" is an object or an empty list; expected a plain value"};
}

} // namespace

std::string encode_cursor(uint64_t sequence) {
  char digits[20] = "t";
  const auto written = std::to_chars(digits + 1, digits + sizeof digits, sequence, 16);
  return std::string(digits, written.ptr);
}

result<list_tasks> decode_list(const http_request& request) {
  list_tasks listing;
  listing.limit = list_limit_default;
  for (const auto& member : read_query(request).members) {
    if (is_empty(member))
      continue;
    auto taken = take_filter_member(member, listing.filter);
    if (!taken)
      return taken.failure();
    if (*taken)
      continue;
    if (member.name == "limit") {
      auto limit = read_whole(member, 1, list_limit_max);
      if (!limit)
        return limit.failure();
      listing.limit = static_cast<uint32_t>(*limit);
    } else if (member.name == "cursor") {
      auto before = decode_cursor(member);
      if (!before)
        return before.failure();
      listing.before = *before;
    } else {
      return unknown_member(member.name, std::string(filter_members) + ", limit, cursor");
    }
  }
  return listing;
}

result<act_on_task> decode_task_action(const http_request& request, task_verb verb) {
  auto body = read_body(request, false);
  if (!body)
    return body.failure();
  act_on_task action;
  action.verb = verb;
  action.id = request.path_parameter("id");
  if (!body->nested.empty())
    return nested_member(body->nested.front());
  for (const auto& member : body->members) {
    if (is_empty(member))
      continue;
    auto taken = take_verb_member(member, action);
    if (!taken)
      return taken.failure();
    if (!*taken)
      return unknown_member(member.name, verb_members(verb));
  }
  if (verb == task_verb::signal && action.signal_number == 0)
    return error{error_code::invalid_argument, "\"signal\" is missing; give a name such as TERM or a number"};
  return action;
}

result<act_on_tasks> decode_bulk_action(const http_request& request, task_verb verb) {
  auto body = read_body(request, false);
  if (!body)
    return body.failure();
  if (!body->nested.empty())
    return nested_member(body->nested.front());
  act_on_tasks action;
  action.what.verb = verb;
  action.limit = bulk_limit_default;
  bool filtered = false;
  bool all = false;
  for (const auto& member : body->members) {
    // Nothing where a name should be is a mistake, and must not mean everything.
    if (is_empty(member))
      return error{error_code::invalid_argument,
                   "\"" + member.name + "\" is empty; give a value, or leave it out"};
    auto taken = take_filter_member(member, action.filter);
    if (!taken)
      return taken.failure();
    if (*taken) {
      filtered = true;
      continue;
    }
    taken = take_verb_member(member, action.what);
    if (!taken)
      return taken.failure();
    if (*taken)
      continue;
    if (member.name == "dry_run" || member.name == "all") {
      auto flag = read_switch(member);
      if (!flag)
        return flag.failure();
      (member.name == "all" ? all : action.dry_run) = *flag;
    } else if (member.name == "limit") {
      auto limit = read_whole(member, 1, bulk_limit_max);
      if (!limit)
        return limit.failure();
      action.limit = static_cast<uint32_t>(*limit);
    } else {
      return unknown_member(member.name, std::string(filter_members) + ", dry_run, limit, all" +
                                             (verb == task_verb::cancel ? ", grace_s" : ""));
    }
  }
  if (!filtered && !all)
    return error{error_code::invalid_argument, "no filter is given; say which tasks are meant (" +
                                                   std::string(filter_members) + "), or all=true"};
  return action;
}

} // namespace task_runner
