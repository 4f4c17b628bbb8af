// Decoding of bodies that every resource shares, of pushes and of what concerns the daemon.
#include "actors/gateway/requests.hpp"

#include "services/domain/names.hpp"
#include "services/http/form.hpp"
#include "services/http/trace_context.hpp"
#include "services/wire/json_text.hpp"
#include "services/wire/push_json.hpp"
#include "services/wire/push_members.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace task_runner {

namespace {

constexpr const char* trace_parent_variable = "TRACEPARENT";
constexpr const char* trace_state_variable = "TRACESTATE";

/// The form of a request; what came as a file is text as well, or it is refused.
result<form_fields> read_form(const http_request& request) {
  auto form = decode_form(request.header("content-type").value_or(""), request.body);
  if (!form)
    return form;
  for (const auto& field : form->fields)
    if (field.is_file) // which may be any bytes; the others are checked
      if (auto valid = check_text("the field " + field.name, field.value); !valid)
        return valid.failure();
  return form;
}

/// The fields of a form as a JSON object of texts, for the decoder that all sources share; options are left
/// out.
std::string form_as_json(const form_fields& form) {
  std::string text;
  json_writer json(text);
  json.begin_object();
  bool has_args = false;
  for (const auto& field : form.fields) {
    if (field.name == "args" || field.name == "args[]") {
      has_args = true;
      continue;
    }
    // Browsers send empty fields for what was left open; but an empty command must never make the name run.
    if ((!field.value.empty() && !is_option_field(field.name)) || field.name == "command")
      json.member(field.name, field.value);
  }
  if (has_args) {
    json.key("args").begin_array();
    for (const auto& field : form.fields)
      if (field.name == "args" || field.name == "args[]")
        json.value(field.value);
    json.end_array();
  }
  json.end_object();
  return text;
}

/// The member that a form's field means, where text is all it can be; nothing for any other field.
std::optional<std::string> push_members::*text_member(std::string_view name) {
  struct row {
    std::string_view name;
    std::optional<std::string> push_members::*member;
  };
  static constexpr std::array rows{
      row{"task", &push_members::task},       row{"chan", &push_members::chan},
      row{"channel", &push_members::channel}, row{"id", &push_members::id},
      row{"command", &push_members::command}, row{"distinct_key", &push_members::distinct_key},
  };
  const auto* found =
      std::find_if(rows.begin(), rows.end(), [&](const row& one) { return one.name == name; });
  return found == rows.end() ? nullptr : found->member;
}

/// The members of a form that holds nothing but text, as most do. It means what the same form means by way of
/// form_as_json(), at half the cost; nothing where it takes that way.
std::optional<push_members> read_text_members(form_fields& form) {
  for (const auto& field : form.fields)
    if (text_member(field.name) == nullptr)
      return std::nullopt;
  push_members members;
  for (auto& field : form.fields) // the last of a name counts
    if (const auto member = text_member(field.name);
        member != nullptr && (!field.value.empty() || field.name == "command"))
      members.*member = std::move(field.value);
  return members;
}

/// `env[NAME]`.
bool is_variable_field(std::string_view name) {
  return name.substr(0, 4) == "env[" && name.size() > 5;
}

result<task_options> form_options(const form_fields& form) {
  task_options options;
  // An empty field is one that was left open, but for a variable of its own: that may be empty.
  for (const auto& field : form.fields)
    if (is_option_field(field.name) && (!field.value.empty() || is_variable_field(field.name)))
      if (auto set = set_option_field(options, field.name, field.value); !set)
        return set.failure();
  return options;
}

/// The command learns which trace its push belongs to, unless the task says so itself.
void add_trace(const http_request& request, push_item& item) {
  const auto trace = read_trace_context(request);
  auto& variables = item.options.environment.variables;
  const auto is_given = [](const auto& variable) {
    return variable.first == trace_parent_variable || variable.first == trace_state_variable;
  };
  if (!trace || variables.size() + 2 > variables_max ||
      std::any_of(variables.begin(), variables.end(), is_given))
    return;
  variables.emplace_back(trace_parent_variable, trace->parent);
  if (!trace->state.empty())
    variables.emplace_back(trace_state_variable, trace->state);
}

result<push_item> decode_push_body(const http_request& request) {
  if (is_json(request.header("content-type").value_or("")))
    return decode_push_json(request.body);
  auto form = read_form(request);
  if (!form)
    return form.failure();
  if (auto members = read_text_members(*form))
    return assemble_push(std::move(*members));
  auto options = form_options(*form);
  if (!options)
    return options.failure();
  auto item = decode_push_json(form_as_json(*form));
  if (item)
    item->options = std::move(*options);
  return item;
}

} // namespace

result<push_item> decode_push(const http_request& request) {
  auto item = decode_push_body(request);
  if (!item)
    return item;
  add_trace(request, *item);
  if (request.identity)
    identify(*item, *request.identity, 0);
  return item;
}

result<flat_object> read_body(const http_request& request, bool with_options) {
  if (is_json(request.header("content-type").value_or("")))
    return read_flat_object(request.body, with_options);
  auto form = read_form(request);
  if (!form)
    return form.failure();
  flat_object object;
  for (auto& field : form->fields)
    if (!with_options || !is_option_field(field.name))
      object.members.push_back({std::move(field.name), std::move(field.value), false});
  if (with_options) {
    auto options = form_options(*form);
    if (!options)
      return options.failure();
    object.options.said = std::move(*options);
  }
  return object;
}

flat_object read_query(const http_request& request) {
  flat_object object;
  for (const auto& parameter : request.query_parameters)
    object.members.push_back({parameter.name, parameter.value, false});
  return object;
}

result<bool> decode_stop(const http_request& request) {
  auto body = read_body(request, false);
  if (!body)
    return body.failure();
  bool now = false;
  for (const auto& member : body->members) {
    if (member.name != "now")
      return unknown_member(member.name, "now");
    auto given = read_switch(member);
    if (!given)
      return given.failure();
    now = *given;
  }
  return now;
}

result<uint64_t> decode_number(const http_request& request, std::string_view name, uint64_t otherwise) {
  const auto text = request.query(name);
  if (!text)
    return otherwise;
  uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (fault != std::errc{} || end != text->data() + text->size() || number > INT64_MAX)
    return error{error_code::invalid_argument, std::string(name) + " is not a whole number of 0 or more"};
  return number;
}

result<name_page> decode_name_page(const http_request& request, uint32_t otherwise, uint32_t limit_max) {
  for (const auto& parameter : request.query_parameters)
    if (parameter.name != "limit" && parameter.name != "cursor")
      return unknown_member(parameter.name, "limit, cursor");
  const auto limit = decode_limit(request, otherwise, limit_max);
  if (!limit)
    return limit.failure();
  name_page page;
  page.limit = *limit;
  if (const auto cursor = request.query("cursor"))
    if (auto taken = put(decode_name_cursor(*cursor), page.after); !taken)
      return taken.failure();
  return page;
}

result<uint32_t> decode_limit(const http_request& request, uint32_t otherwise, uint32_t limit_max) {
  auto number = decode_number(request, "limit", otherwise);
  if (!number)
    return number.failure();
  if (*number < 1 || *number > limit_max)
    return error{error_code::out_of_range, "limit is out of range; give 1 to " + std::to_string(limit_max)};
  return static_cast<uint32_t>(*number);
}

} // namespace task_runner
