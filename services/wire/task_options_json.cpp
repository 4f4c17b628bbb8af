// Writing of task options, and reading of those that stand alone. What an option is called, and how its
// value is read, stands in services/wire/task_options_table.cpp.
#include "services/wire/task_options_json.hpp"

#include "services/wire/comma_list.hpp"
#include "services/wire/task_options_reader.hpp"
#include "services/wire/task_options_table.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace task_runner {

namespace {

std::string all_names() {
  std::string names;
  for (const auto& entry : single_options())
    names += std::string(entry.name) + ", ";
  names += "retry_on, env";
  for (const auto& entry : limit_options())
    names += ", limits." + std::string(entry.name);
  return names;
}

/// An object of options and nothing else.
class options_document final : public json_events {
public:
  bool scalar(json_scalar value) override {
    if (reader_.is_open())
      return forward(reader_.scalar(std::move(value)));
    return fail(error_code::invalid_argument,
                "the options are " + std::string(describe(value)) + "; expected a JSON object");
  }
  bool start_object() override { return !reader_.is_open() || forward(reader_.start_object()); }
  bool key(std::string name) override {
    if (reader_.is_open())
      return forward(reader_.key(std::move(name)));
    if (!is_task_option(name))
      return fail(error_code::invalid_argument,
                  "there is an option of an unknown name; allowed are " + all_names());
    return forward(reader_.begin(name));
  }
  bool end_object() override { return !reader_.is_open() || forward(reader_.end_object()); }
  bool start_array() override {
    if (reader_.is_open())
      return forward(reader_.start_array());
    return fail(error_code::invalid_argument, "the options are an array; expected a JSON object");
  }
  bool end_array() override { return !reader_.is_open() || forward(reader_.end_array()); }

  task_options take() { return std::move(reader_.patch().said); }

private:
  bool forward(bool done) {
    if (!done)
      failure_ = reader_.failure();
    return done;
  }

  task_options_reader reader_;
};

/// Turns the JSON of options into names and texts: members of objects behind a point, arrays with commas.
class options_lister final : public json_events {
public:
  bool scalar(json_scalar value) override {
    std::string text;
    if (auto* words = std::get_if<std::string>(&value))
      text = std::move(*words);
    else if (const auto* whole = std::get_if<int64_t>(&value))
      append_json_number(text, *whole);
    else if (const auto* number = std::get_if<double>(&value))
      append_json_number(text, *number);
    if (!in_array_)
      listed_.emplace_back(prefix_ + key_, std::move(text));
    else
      listed_.back().second += (listed_.back().second.empty() ? "" : ",") + text;
    return true;
  }
  bool start_object() override {
    prefix_ = key_.empty() ? "" : key_ + ".";
    return true;
  }
  bool key(std::string name) override {
    key_ = std::move(name);
    return true;
  }
  bool end_object() override {
    prefix_.clear();
    return true;
  }
  bool start_array() override {
    in_array_ = true;
    listed_.emplace_back(prefix_ + key_, "");
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }

  std::vector<std::pair<std::string, std::string>> take() { return std::move(listed_); }

private:
  std::vector<std::pair<std::string, std::string>> listed_;
  std::string prefix_;
  std::string key_;
  bool in_array_ = false;
};

error refusal(std::string_view name, std::string_view expected) {
  return error{error_code::invalid_argument,
               std::string(name) + " cannot be read; expected " + std::string(expected)};
}

result<void> set_codes(task_options& options, std::string_view name, std::string_view text) {
  options.retry_on.emplace();
  auto entries = split_at_commas(text);
  if (entries.back().empty())
    entries.pop_back(); // no codes at all, or a comma behind the last one
  for (auto entry : entries) {
    while (!entry.empty() && entry.front() == ' ')
      entry.remove_prefix(1);
    while (!entry.empty() && entry.back() == ' ')
      entry.remove_suffix(1);
    if (!add_exit_code(options, std::string(entry)))
      return refusal(name, "exit codes from 1 to 255, separated by commas");
  }
  return {};
}

result<void> set_named(task_options& options, std::string_view name, std::string_view text) {
  if (name == "retry_on")
    return set_codes(options, name, text);
  if (name == "env") {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return refusal(name, "NAME=VALUE");
    return set_variable(options, std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
  }
  constexpr std::string_view limits_prefix = "limits.";
  const bool is_limit = name.substr(0, limits_prefix.size()) == limits_prefix;
  const auto* entry =
      is_limit ? find_limit_entry(name.substr(limits_prefix.size())) : find_option_entry(name);
  if (entry == nullptr)
    return error{error_code::invalid_argument, "there is no such option; allowed are " + all_names()};
  if (!entry->set(options, std::string(text)))
    return refusal(name, entry->expected);
  return {};
}

} // namespace

void write_task_options(json_writer& json, const task_options& options) {
  for (const auto& entry : single_options())
    entry.write(json, entry.name, options);
  if (options.retry_on) {
    json.key("retry_on").begin_array();
    for (const auto code : *options.retry_on)
      json.value(code);
    json.end_array();
  }
  if (!options.environment.variables.empty()) {
    json.key("env").begin_object();
    for (const auto& [name, value] : options.environment.variables)
      json.member(name, value);
    json.end_object();
  }
  if (!options.environment.limits.empty()) {
    json.key("limits").begin_object();
    for (const auto& entry : limit_options())
      entry.write(json, entry.name, options);
    json.end_object();
  }
}

std::string encode_task_options(const task_options& options) {
  std::string text;
  json_writer json(text);
  json.begin_object();
  write_task_options(json, options);
  json.end_object();
  return text;
}

std::vector<std::pair<std::string, std::string>> list_task_options(const task_options& options) {
  options_lister lister;
  const auto read = read_json(encode_task_options(options), lister);
  assert(read);
  static_cast<void>(read);
  return lister.take();
}

result<task_options> decode_task_options(std::string_view object) {
  options_document document;
  if (auto read = read_json(object, document); !read)
    return read.failure();
  auto options = document.take();
  if (auto ok = check_task_options(options); !ok)
    return ok.failure();
  return options;
}

bool is_task_option(std::string_view name) noexcept {
  return name == "retry_on" || name == "env" || name == "limits" || find_option_entry(name) != nullptr;
}

result<void> set_task_option(task_options& options, std::string_view name, std::string_view text) {
  std::string canonical(name);
  std::replace(canonical.begin(), canonical.end(), '-', '_');
  auto changed = options;
  if (auto done = set_named(changed, canonical, text); !done)
    return done;
  if (auto ok = check_task_options(changed); !ok)
    return ok;
  options = std::move(changed);
  return {};
}

} // namespace task_runner
