// The one file of the client that compiles the JSON library.
#include "services/cli/json_value.hpp"

#include "services/domain/code_points.hpp"

#include <nlohmann/json.hpp>

namespace task_runner::cli {

namespace {

const std::string no_text;

} // namespace

json_value json_value::operator[](std::string_view name) const {
  if (!is_object())
    return {};
  for (const auto& [key, value] : here_->get_ref<const tree::object_t&>())
    if (key == name)
      return {whole_, &value};
  return {};
}

std::vector<json_value> json_value::items() const {
  std::vector<json_value> found;
  if (here_ != nullptr && here_->is_array())
    for (const auto& one : *here_)
      found.push_back({whole_, &one});
  return found;
}

std::vector<json_member> json_value::members() const {
  std::vector<json_member> found;
  if (is_object())
    for (const auto& [name, value] : here_->get_ref<const tree::object_t&>())
      found.push_back({name, {whole_, &value}});
  return found;
}

bool json_value::is_null() const noexcept {
  return here_ == nullptr || here_->is_null();
}

bool json_value::is_object() const noexcept {
  return here_ != nullptr && here_->is_object();
}

const std::string& json_value::text() const noexcept {
  const auto* found = here_ != nullptr ? here_->get_ptr<const tree::string_t*>() : nullptr;
  return found != nullptr ? *found : no_text;
}

int64_t json_value::whole() const noexcept {
  if (here_ == nullptr)
    return 0;
  if (const auto* past = here_->get_ptr<const tree::number_unsigned_t*>();
      past != nullptr && *past > INT64_MAX)
    return 0;
  if (const auto* exact = here_->get_ptr<const tree::number_integer_t*>())
    return *exact;
  const double cut = number();
  return cut > -9e18 && cut < 9e18 ? static_cast<int64_t>(cut) : 0;
}

double json_value::number() const noexcept {
  if (here_ == nullptr)
    return 0;
  if (const auto* natural = here_->get_ptr<const tree::number_unsigned_t*>())
    return static_cast<double>(*natural);
  if (const auto* exact = here_->get_ptr<const tree::number_integer_t*>())
    return static_cast<double>(*exact);
  const auto* found = here_->get_ptr<const tree::number_float_t*>();
  return found != nullptr ? *found : 0;
}

bool json_value::is_true() const noexcept {
  const auto* found = here_ != nullptr ? here_->get_ptr<const tree::boolean_t*>() : nullptr;
  return found != nullptr && *found;
}

std::string json_value::dump() const {
  // What is here was read, so it is UTF-8 throughout.
  return here_ != nullptr ? escape_controls(here_->dump()) : "null";
}

result<json_value> parse_json(std::string_view text) {
  bool is_too_deep = false;
  using event = nlohmann::ordered_json::parse_event_t;
  const auto within = [&](int depth, event what, const auto&) {
    const bool opens = what == event::object_start || what == event::array_start;
    const bool goes_in = !opens || depth < answer_depth_max;
    is_too_deep = is_too_deep || !goes_in;
    return goes_in;
  };
  auto read = nlohmann::ordered_json::parse(text, within, false);
  if (is_too_deep)
    return error{error_code::invalid_argument,
                 "the JSON is nested deeper than " + std::to_string(answer_depth_max) + " levels"};
  if (read.is_discarded())
    return error{error_code::invalid_argument, "this is no JSON"};
  auto whole = std::make_shared<const nlohmann::ordered_json>(std::move(read));
  const auto* here = whole.get();
  return json_value(std::move(whole), here);
}

} // namespace task_runner::cli
