// Decoding of request bodies and parameters.
#include "actors/gateway/requests.hpp"

#include "services/domain/names.hpp"
#include "services/http/form.hpp"
#include "services/wire/json_text.hpp"
#include "services/wire/push_json.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <optional>

namespace task_runner {

namespace {

/// The fields of a form as a JSON object of texts, for the decoder that all sources share.
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
    if (!field.value.empty() || field.name == "command")
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

result<bool> parse_flag(std::string_view text) {
  if (text.empty() || text == "false" || text == "0" || text == "no" || text == "off")
    return false;
  if (text == "true" || text == "1" || text == "yes" || text == "on")
    return true;
  return error{error_code::invalid_argument,
               "distinct is neither true nor false; give distinct=true or leave it out"};
}

result<std::optional<uint32_t>> parse_worker(std::string_view text) {
  if (text.empty())
    return std::optional<uint32_t>{};
  int64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault == std::errc::invalid_argument || (fault == std::errc{} && end != text.data() + text.size()))
    return error{error_code::invalid_argument,
                 "worker is not a whole number; give 0 to " + std::to_string(worker_max)};
  if (fault != std::errc{} || number < 0 || number > worker_max)
    return error{error_code::out_of_range,
                 "worker is out of range; give 0 (the daemon's default) to " + std::to_string(worker_max)};
  if (number == 0)
    return std::optional<uint32_t>{};
  return std::optional<uint32_t>(static_cast<uint32_t>(number));
}

result<create_channel> create_from_json(std::string_view body) {
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object())
    return error{error_code::invalid_argument, "the body is not a JSON object; send {\"name\":\"…\"}"};
  create_channel request;
  const auto name = document.find("name");
  if (name == document.end() || !name->is_string())
    return error{error_code::invalid_argument, "name is missing or not a text; send {\"name\":\"…\"}"};
  request.name = name->get<std::string>();
  if (const auto distinct = document.find("distinct"); distinct != document.end() && !distinct->is_null()) {
    auto flag = distinct->is_boolean()  ? result<bool>(distinct->get<bool>())
                : distinct->is_string() ? parse_flag(distinct->get_ref<const std::string&>())
                                        : parse_flag(distinct->dump());
    if (!flag)
      return flag.failure();
    request.distinct = *flag;
  }
  if (const auto worker = document.find("worker"); worker != document.end() && !worker->is_null()) {
    // A number too large for a whole one is read as a float: out of range, not malformed.
    const bool huge = worker->is_number_float() && worker->get<double>() > worker_max;
    auto count = parse_worker(worker->is_string() ? worker->get<std::string>()
                              : huge              ? std::to_string(uint64_t{worker_max} + 1)
                                                  : worker->dump());
    if (!count)
      return count.failure();
    request.worker = *count;
  }
  return request;
}

} // namespace

result<push_item> decode_push(const http_request& request) {
  const auto content_type = request.header("content-type").value_or("");
  if (is_json(content_type))
    return decode_push_json(request.body);
  auto form = decode_form(content_type, request.body);
  if (!form)
    return form.failure();
  for (const auto& field : form->fields) // a part sent as a file may be any bytes
    if (auto valid = check_text("the field " + field.name, field.value); !valid)
      return valid.failure();
  return decode_push_json(form_as_json(*form));
}

result<create_channel> decode_create_channel(const http_request& request) {
  const auto content_type = request.header("content-type").value_or("");
  if (is_json(content_type))
    return create_from_json(request.body);
  auto form = decode_form(content_type, request.body);
  if (!form)
    return form.failure();
  create_channel decoded;
  decoded.name = form->get("name").value_or("");
  if (decoded.name.empty())
    return error{error_code::invalid_argument,
                 "name is missing; give the new channel's name, for example name=mail"};
  auto distinct = parse_flag(form->get("distinct").value_or(""));
  if (!distinct)
    return distinct.failure();
  auto worker = parse_worker(form->get("worker").value_or(""));
  if (!worker)
    return worker.failure();
  decoded.distinct = *distinct;
  decoded.worker = *worker;
  return decoded;
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

result<uint32_t> decode_limit(const http_request& request, uint32_t otherwise, uint32_t limit_max) {
  auto number = decode_number(request, "limit", otherwise);
  if (!number)
    return number.failure();
  if (*number < 1 || *number > limit_max)
    return error{error_code::out_of_range, "limit is out of range; give 1 to " + std::to_string(limit_max)};
  return static_cast<uint32_t>(*number);
}

} // namespace task_runner
