// Decoding of what is asked of tasks: filters, verbs, places in a listing.
#include "actors/gateway/requests.hpp"
#include "services/domain/names.hpp"
#include "services/wire/comma_list.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <unordered_set>

namespace task_runner {

namespace {

constexpr uint32_t list_limit_default = 100;
constexpr uint32_t list_limit_max = 1'000;
constexpr uint32_t bulk_limit_default = 1'000;
constexpr uint32_t bulk_limit_max = 10'000;
constexpr std::string_view bulk_members = ", dry_run, limit, all, or ids in place of a filter";
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
  auto names = split_at_commas(*text);
  if (names.size() > 1 && names.back().empty())
    names.pop_back(); // a comma behind the last one does no harm
  for (const auto name : names) {
    const auto state = parse_name(name, task_state::cancelled);
    if (!state)
      return error{error_code::invalid_argument,
                   "\"state\" holds a state that there is none of; give pending, delayed, running, finished, "
                   "dead or cancelled, several separated by commas"};
    filter.states.push_back(*state);
  }
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
  const auto done = [](const result<void>& taken) -> result<bool> {
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

/// An order as `sort` names it, and the letter with which its cursors begin.
struct order_row {
  task_order order;
  std::string_view name;
  char letter;
};
constexpr std::array order_table{
    order_row{task_order::newest_first, "-created", 't'},
    order_row{task_order::oldest_first, "created", 'a'},
    order_row{task_order::last_ended_first, "-ended", 'e'},
    order_row{task_order::first_ended_first, "ended", 'f'},
};

const order_row& row_of(task_order order) {
  return *std::find_if(order_table.begin(), order_table.end(),
                       [order](const order_row& row) { return row.order == order; });
}

result<task_order> decode_sort(const flat_member& member) {
  const auto* text = std::get_if<std::string>(&member.value);
  for (const auto& row : order_table)
    if (text != nullptr && *text == row.name)
      return row.order;
  return error{
      error_code::invalid_argument,
      "\"sort\" is no order that an index has ready, and millions of tasks are not sorted for a page; "
      "give created, -created, ended or -ended (with - the latest first)"};
}

/// Takes hexadecimal digits off the front of the text; 0 to 2^63-1.
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (fault != std::errc{} || number > INT64_MAX)
    return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

result<listing_place> decode_cursor(const flat_member& member) {
  const error refusal{error_code::invalid_argument,
                      "\"cursor\" is not one; give \"next\" of the answer before, or leave it out"};
  const auto* text = std::get_if<std::string>(&member.value);
  if (text == nullptr || text->empty())
    return refusal;
  const auto row = std::find_if(order_table.begin(), order_table.end(),
                                [&](const order_row& one) { return one.letter == text->front(); });
  if (row == order_table.end())
    return refusal;
  listing_place place{row->order};
  auto rest = std::string_view(*text).substr(1);
  const auto sequence = take_number(rest);
  if (!sequence || *sequence == 0)
    return refusal;
  place.sequence = *sequence;
  if (is_by_end(place.order)) {
    if (rest.empty() || rest.front() != '.')
      return refusal;
    rest.remove_prefix(1);
    const auto ended_at_ms = take_number(rest);
    if (!ended_at_ms)
      return refusal;
    place.ended_at_ms = static_cast<wall_time_ms>(*ended_at_ms);
  }
  if (!rest.empty())
    return refusal;
  return place;
}

/// The order that `sort` and the cursor agree on, or why they do not; and what else stands in its way.
result<void> settle_order(list_tasks& listing, std::optional<task_order> sort, bool has_cursor) {
  if (sort && has_cursor && *sort != listing.after.order)
    return error{error_code::invalid_argument,
                 "\"cursor\" is of a listing with sort=" + std::string(row_of(listing.after.order).name) +
                     "; give the same \"sort\" with it, or begin anew without the cursor"};
  if (sort && !has_cursor)
    listing.after.order = *sort;
  const auto& states = listing.filter.states;
  if (is_by_end(listing.after.order) && !std::all_of(states.begin(), states.end(), is_terminal))
    return error{
        error_code::invalid_argument,
        "sorted by their end, only tasks that have ended are listed: \"state\" may be finished, dead "
        "and cancelled; for others give sort=created or -created"};
  return {};
}

/// Takes the names of tasks: one, several separated by commas, or a list; each counts once.
result<void> take_ids(const flat_member& member, act_on_tasks& action) {
  auto text = read_text({member.name, member.value, false});
  if (!text)
    return text.failure();
  for (const auto id : split_at_commas(*text)) {
    if (!is_valid_name(id))
      return error{error_code::invalid_argument,
                   "\"ids\" holds what cannot be the id of a task: an id is 1 to " +
                       std::to_string(name_length_max) + " of A-Z a-z 0-9 . _ : -"};
    action.ids.emplace_back(id);
  }
  return {};
}

/// Whether the tasks that are named can be: not too many, and none twice.
result<void> settle_ids(act_on_tasks& action, bool filtered) {
  if (filtered)
    return error{error_code::invalid_argument,
                 "\"ids\" names the tasks already; leave the filters, \"limit\" and \"all\" out"};
  std::unordered_set<std::string> known;
  auto& ids = action.ids;
  ids.erase(
      std::remove_if(ids.begin(), ids.end(), [&](const std::string& id) { return !known.insert(id).second; }),
      ids.end());
  if (ids.size() > named_tasks_max)
    return error{error_code::out_of_range, "\"ids\" names " + std::to_string(ids.size()) + " tasks, " +
                                               std::to_string(named_tasks_max) +
                                               " are allowed; nothing was done, send them in parts"};
  return {};
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

std::string encode_cursor(const listing_place& place) {
  char digits[40] = {row_of(place.order).letter};
  auto written = std::to_chars(digits + 1, digits + sizeof digits, place.sequence, 16);
  if (is_by_end(place.order)) {
    *written.ptr++ = '.';
    written = std::to_chars(written.ptr, digits + sizeof digits, place.ended_at_ms, 16);
  }
  return std::string(digits, written.ptr);
}

result<list_tasks> decode_list(const http_request& request) {
  list_tasks listing;
  listing.limit = list_limit_default;
  std::optional<task_order> sort;
  bool has_cursor = false;
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
      auto after = decode_cursor(member);
      if (!after)
        return after.failure();
      listing.after = *after;
      has_cursor = true;
    } else if (member.name == "sort") {
      auto order = decode_sort(member);
      if (!order)
        return order.failure();
      sort = *order;
    } else {
      return unknown_member(member.name, std::string(filter_members) + ", sort, limit, cursor");
    }
  }
  if (auto settled = settle_order(listing, sort, has_cursor); !settled)
    return settled.failure();
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
  bool limited = false;
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
    } else if (member.name == "ids") {
      if (auto named = take_ids(member, action); !named)
        return named.failure();
    } else if (member.name == "limit") {
      auto limit = read_whole(member, 1, bulk_limit_max);
      if (!limit)
        return limit.failure();
      action.limit = static_cast<uint32_t>(*limit);
      limited = true;
    } else {
      return unknown_member(member.name, std::string(filter_members) + std::string(bulk_members) +
                                             (verb == task_verb::cancel ? ", grace_s" : ""));
    }
  }
  if (!action.ids.empty()) {
    if (auto settled = settle_ids(action, filtered || all || limited); !settled)
      return settled.failure();
  } else if (!filtered && !all) {
    return error{error_code::invalid_argument, "no filter is given; say which tasks are meant (" +
                                                   std::string(filter_members) +
                                                   "), name them in ids, or all=true"};
  }
  return action;
}

} // namespace task_runner
