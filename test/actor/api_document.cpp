// The description of the API against what the code knows: every route, and every word of the closed lists.
// What the answers look like is held against it by test/e2e/openapi_answers.py.
#include "services/http/api_document.hpp"

#include "actors/gateway/gateway.hpp"
#include "actors/gateway/routes.hpp"
#include "actors/wait_reason.hpp"
#include "services/domain/channel.hpp"
#include "services/domain/error.hpp"
#include "services/wire/task_options_table.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <memory>
#include <set>
#include <string>

using namespace task_runner;
using json = nlohmann::json;

namespace {

using words = std::set<std::string>;

const json& document() {
  static const json parsed = [] {
    const auto* file = api_document_assets().find(api_document_path);
    REQUIRE(file != nullptr);
    return json::parse(file->bytes);
  }();
  return parsed;
}

const json& schema(const std::string& name) {
  return document().at("components").at("schemas").at(name);
}

/// "/tasks/:id/cancel" as OpenAPI writes it.
std::string as_template(const std::string& pattern) {
  std::string path;
  for (size_t at = 0; at < pattern.size();) {
    if (pattern.compare(at, 2, "/:") != 0) {
      path += pattern[at++];
      continue;
    }
    const auto end = std::min(pattern.find('/', at + 1), pattern.size());
    path += "/{" + pattern.substr(at + 2, end - at - 2) + "}";
    at = end;
  }
  return path;
}

/// The methods of a path item, among its other members.
bool is_method(const std::string& name) {
  return words{"get", "put", "post", "delete", "options", "head", "patch", "trace"}.count(name) > 0;
}

std::string in_capitals(std::string text) {
  for (auto& one : text)
    one = static_cast<char>(std::toupper(static_cast<unsigned char>(one)));
  return text;
}

words listed(const json& list) {
  words found;
  for (const auto& one : list)
    found.insert(one.get<std::string>());
  CHECK(found.size() == list.size());
  return found;
}

words keys_of(const json& object) {
  words found;
  for (const auto& item : object.items())
    found.insert(item.key());
  return found;
}

/// Those of the first that the second has not.
words without(const words& all, const words& known) {
  words rest;
  std::set_difference(all.begin(), all.end(), known.begin(), known.end(), std::inserter(rest, rest.end()));
  return rest;
}

/// The names of an enumeration whose values are 0 to `last`.
template <class Enum>
words names_up_to(Enum last) {
  words names;
  for (int i = 0; i <= static_cast<int>(last); ++i)
    names.emplace(to_string(static_cast<Enum>(i)));
  return names;
}

/// Files of the dashboard's page are no part of the API: they come and go with the page.
bool is_part_of_page(const http_route& route) {
  return route.method == "GET" &&
         (route.pattern == "/dashboard" || route.pattern.rfind("/dashboard/", 0) == 0);
}

} // namespace

TEST_CASE("every route is documented, and every documented operation is a route") {
  words routes;
  for (const auto& route : make_routes(std::make_shared<gateway>()))
    if (!is_part_of_page(route))
      routes.insert(route.method + " " + as_template(route.pattern));
  words documented;
  for (const auto& path : document().at("paths").items())
    for (const auto& member : path.value().items())
      if (is_method(member.key()))
        documented.insert(in_capitals(member.key()) + " " + path.key());
  CHECK(without(routes, documented) == words{});
  CHECK(without(documented, routes) == words{});
}

TEST_CASE("the document has the program's version") {
  CHECK(document().at("openapi").get<std::string>().rfind("3.1.", 0) == 0);
  CHECK(document().at("info").at("version") == TASK_RUNNER_VERSION);
}

TEST_CASE("the document's closed lists are those of the code") {
  words codes;
  for (const auto code : all_error_codes())
    codes.emplace(to_string(code));
  CHECK(listed(schema("error_code").at("enum")) == codes);
  words reasons;
  for (const auto reason : all_wait_reasons())
    reasons.emplace(to_string(reason));
  CHECK(listed(schema("wait_reason").at("enum")) == reasons);
  CHECK(listed(schema("task_state").at("enum")) == names_up_to(task_state::cancelled));
  CHECK(listed(schema("outcome_kind").at("enum")) == names_up_to(outcome_kind::lost));
  CHECK(listed(schema("distinct_mode").at("enum")) == names_up_to(distinct_mode::while_pending));
}

TEST_CASE("the document knows every option of tasks, and no other") {
  words read{"retry_on", "env", "limits"};
  words written = read;
  for (const auto& entry : single_options()) {
    written.emplace(entry.name);
    read.emplace(entry.name);
    if (!entry.alias.empty())
      read.emplace(entry.alias);
  }
  words limits_read;
  words limits_written;
  for (const auto& entry : limit_options()) {
    limits_written.emplace(entry.name);
    limits_read.emplace(entry.name);
    if (!entry.alias.empty())
      limits_read.emplace(entry.alias);
  }
  const auto& shown = schema("task_options").at("properties");
  CHECK(keys_of(shown) == written);
  CHECK(keys_of(shown.at("limits").at("properties")) == limits_written);
  const auto& given = schema("options_given").at("properties");
  CHECK(keys_of(given) == read);
  CHECK(keys_of(given.at("limits").at("properties")) == limits_read);
  CHECK(keys_of(schema("options_changed").at("properties")) == read);

  words in_form = read;
  in_form.erase("limits");
  for (const auto& limit : limits_read)
    in_form.insert("limits." + limit);
  CHECK(keys_of(schema("options_in_form").at("properties")) == in_form);
}
