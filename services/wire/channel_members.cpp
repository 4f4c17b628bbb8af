// Decoding and applying of channel settings.
#include "services/wire/channel_members.hpp"

#include "services/domain/quantities.hpp"

#include <utility>

namespace task_runner {

namespace {

result<distinct_mode> read_distinct(const flat_member& member) {
  if (const auto* text = std::get_if<std::string>(&member.value); text != nullptr && !member.listed)
    if (const auto mode = parse_distinct_mode(*text))
      return *mode;
  const auto on = read_switch(member);
  if (!on)
    return error{error_code::invalid_argument, "\"distinct\" is none of its values; give true (or "
                                               "until-finished), false (or off), or while-pending"};
  return *on ? distinct_mode::until_finished : distinct_mode::off;
}

/// Reads a whole number into `into`; null opens it.
template <class Number>
result<void> take_number(const flat_member& member, bool is_null, int64_t low, int64_t high,
                         std::optional<std::optional<Number>>& into) {
  if (is_null) {
    into.emplace(std::nullopt);
    return {};
  }
  auto number = read_whole(member, low, high);
  if (!number)
    return number.failure();
  into.emplace(static_cast<Number>(*number));
  return {};
}

result<void> take_member(const flat_member& member, unknown_members policy, channel_patch& patch) {
  const bool is_null = std::holds_alternative<std::nullptr_t>(member.value) && !member.listed;
  if (const auto* text = std::get_if<std::string>(&member.value); text != nullptr && text->empty())
    return {};
  if (member.name == "name") {
    if (is_null) {
      patch.name.reset();
      return {};
    }
    auto name = read_text(member);
    if (!name)
      return name.failure();
    patch.name = std::move(*name);
    return {};
  }
  if (member.name == "distinct") {
    if (is_null) {
      patch.distinct.emplace(std::nullopt);
      return {};
    }
    auto mode = read_distinct(member);
    if (!mode)
      return mode.failure();
    patch.distinct.emplace(*mode);
    return {};
  }
  if (member.name == "worker")
    return take_number(member, is_null, 0, worker_max, patch.worker);
  if (member.name == "weight")
    return take_number(member, is_null, 1, weight_max, patch.weight);
  if (member.name == "tasks_max")
    return take_number(member, is_null, 1, static_cast<int64_t>(task_count_max), patch.tasks_max);
  if (policy == unknown_members::ignored)
    return {};
  return unknown_member(member.name,
                        "name, distinct, worker, weight, tasks_max and the options of tasks, such as "
                        "max_attempts or timeout_s");
}

bool is_channel_member(std::string_view name) {
  return name == "name" || name == "distinct" || name == "worker" || name == "weight" || name == "tasks_max";
}

} // namespace

result<channel_patch> decode_channel(flat_object object, unknown_members policy) {
  channel_patch patch;
  for (const auto& name : object.nested)
    if (policy == unknown_members::refused || is_channel_member(name))
      return error{error_code::invalid_argument,
                   "\"" + name + "\" is an object or a list; expected a plain value"};
  for (const auto& member : object.members)
    if (auto taken = take_member(member, policy, patch); !taken)
      return taken.failure();
  if (auto ok = check_task_options(object.options.said); !ok)
    return ok.failure();
  patch.options = std::move(object.options);
  return patch;
}

result<void> apply_patch(const channel_patch& patch, channel_record& record) {
  auto defaults = apply_patch(record.defaults, patch.options);
  if (auto ok = check_task_options(defaults); !ok)
    return ok;
  record.defaults = std::move(defaults);
  if (patch.distinct)
    record.distinct = patch.distinct->value_or(distinct_mode::off);
  if (patch.worker)
    record.worker = *patch.worker;
  if (patch.weight)
    record.weight = patch.weight->value_or(1);
  if (patch.tasks_max)
    record.tasks_max = *patch.tasks_max;
  return {};
}

} // namespace task_runner
