// How the dashboard reaches a browser: the page at the root for those who prefer one, its files below
// /dashboard, and what the browser is told that they may do. What the page does is tested by test/browser.
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <regex>
#include <set>

using namespace task_runner::test;

namespace {

const std::string sentence = "TaskRunner Started.";
const std::string of_browsers = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

http_answer root_with(test_daemon& runner, const std::string& accept, name_values headers = {}) {
  if (!accept.empty())
    headers.emplace_back("Accept", accept);
  return runner.http().send("GET", "/", headers);
}

/// What stands at the root for those who accept that, which must be of this type.
http_answer check_root(test_daemon& runner, const std::string& accept, const std::string& type) {
  CAPTURE(accept);
  auto answer = root_with(runner, accept);
  CHECK(answer.status == 200);
  CHECK(answer.header("content-type") == type);
  CHECK(answer.header("vary") == "Accept");
  return answer;
}

/// The files that a text of the page names, by their paths from the root: attributes of the page, imports of
/// a module at `path`.
std::set<std::string> named_in(const std::string& text, const std::string& path) {
  static const std::regex attribute(R"re((?:href|src)="(dashboard/[^"]+)")re");
  static const std::regex import(R"re((?:import|export)[^;'"]*?(?:from\s*)?['"](\.[^'"]+)['"])re");
  std::set<std::string> found;
  const auto folder = path.substr(0, path.rfind('/'));
  for (std::sregex_iterator one(text.begin(), text.end(), attribute), end; one != end; ++one)
    found.insert("/" + (*one)[1].str());
  for (std::sregex_iterator one(text.begin(), text.end(), import), end; one != end; ++one) {
    auto relative = (*one)[1].str();
    auto from = folder;
    if (relative.rfind("./", 0) == 0)
      relative.erase(0, 2);
    for (; relative.rfind("../", 0) == 0; relative.erase(0, 3))
      from.erase(from.rfind('/'));
    found.insert(from + "/" + relative);
  }
  return found;
}

void check_rules(const http_answer& answer) {
  const auto rules = answer.header("content-security-policy");
  for (const auto* const rule : {"default-src 'none'", "script-src 'self'", "style-src 'self'",
                                 "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
                                 "frame-ancestors 'none'", "require-trusted-types-for 'script'"})
    CHECK(rules.find(rule) != std::string::npos);
  CHECK(rules.find("unsafe") == std::string::npos);
  CHECK(rules.find('*') == std::string::npos);
  CHECK(answer.header("x-content-type-options") == "nosniff");
  CHECK(answer.header("referrer-policy") == "no-referrer");
  CHECK(answer.header("cross-origin-opener-policy") == "same-origin");
  CHECK(answer.header("cross-origin-resource-policy") == "same-origin");
  CHECK(answer.header("permissions-policy").find("camera=()") != std::string::npos);
}

} // namespace

TEST_CASE("the root shows a page to those who prefer one, and says its sentence to all others") {
  test_daemon runner;
  const std::vector<std::string> for_page{
      "text/html",
      "Text/HTML",
      "text/html; charset=utf-8",
      "text/html;q=0.2",
      "text/html, text/plain",
      "text/html;level=1;q=0.9, text/plain;q=0.9",
      "application/json;q=1.0 , text/html;q=0.5",
      "text/html, */*",
      // Chrome, Firefox, Safari.
      "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
      "application/signed-exchange;v=b3;q=0.7",
      "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      "text/html,application/xhtml+xml,application/xml;q=0.9,image/png,image/svg+xml,*/*;q=0.8",
  };
  for (const auto& accept : for_page) {
    CAPTURE(accept);
    const auto answer = check_root(runner, accept, "text/html; charset=utf-8");
    CHECK(answer.body.find("<!doctype html>") == 0);
    check_rules(answer);
  }
  const std::vector<std::string> for_sentence{
      "",
      "*/*",
      "text/*",
      "text/plain",
      "application/json",
      "application/json, text/plain, */*",
      "text/html;q=0",
      "text/html;q=0.000, */*",
      "text/html;q=0.8, text/plain",
      "text/html;q=0.8, text/*;q=0.9",
      "text/html;q=0.8, */*",
      "application/xhtml+xml",
      "text/htmlx",
      "xtext/html",
      ",;q=,",
  };
  for (const auto& accept : for_sentence) {
    CAPTURE(accept);
    CHECK(check_root(runner, accept, "text/plain; charset=utf-8").body == sentence);
  }
  const auto in_lines =
      runner.http().send("GET", "/", {{"Accept", "text/html;q=0.5"}, {"Accept", "text/plain"}});
  CHECK(in_lines.body == sentence);
}

TEST_CASE("every file that the dashboard names is there, and whoever has it is told so") {
  test_daemon runner;
  std::set<std::string> waiting{"/"};
  std::set<std::string> seen;
  while (!waiting.empty()) {
    const auto path = *waiting.begin();
    waiting.erase(waiting.begin());
    if (!seen.insert(path).second)
      continue;
    CAPTURE(path);
    const name_values accept{{"Accept", path == "/" ? of_browsers : "*/*"}};
    const auto answer = runner.http().send("GET", path, accept);
    REQUIRE(answer.status == 200);
    CHECK_FALSE(answer.body.empty());
    check_rules(answer);
    CHECK(answer.header("cache-control") == "no-cache");
    const auto etag = answer.header("etag");
    CHECK(etag.size() > 4);

    const auto head = runner.http().send("HEAD", path, accept);
    CHECK(head.status == 200);
    CHECK(head.header("content-length") == std::to_string(answer.body.size()));
    CHECK(head.header("etag") == etag);
    CHECK(head.body.empty());
    auto again = accept;
    again.emplace_back("If-None-Match", etag);
    const auto unchanged = runner.http().send("GET", path, again);
    CHECK(unchanged.status == 304);
    CHECK(unchanged.body.empty());
    CHECK(unchanged.header("etag") == etag);

    const auto type = answer.header("content-type");
    if (path == "/" || type.find("javascript") != std::string::npos)
      for (const auto& one : named_in(answer.body, path))
        waiting.insert(one);
  }
  CHECK(seen.count("/dashboard/app.js") == 1);
  CHECK(seen.count("/dashboard/vendor/htm-preact.js") == 1);
  CHECK(seen.count("/dashboard/vendor/preact.js") == 1);

  const auto licences = runner.http().get("/dashboard/vendor/licences.txt");
  CHECK(licences.header("content-type") == "text/plain; charset=utf-8");
  for (const auto* const name : {"preact", "htm", "uplot", "ansi_up"})
    CHECK(licences.body.find(std::string("==== ") + name + " ") != std::string::npos);
}

TEST_CASE("below /dashboard there is the dashboard, and no way out of it") {
  test_daemon runner;
  const std::vector<std::string> paths{
      "/dashboard/none.js",
      "/dashboard/vendor",
      "/dashboard/index.html",
      "/dashboard/../services/http/guard.hpp",
      "/dashboard/../../../../etc/passwd",
      "/dashboard/%2e%2e/%2e%2e/etc/passwd",
      "/dashboard/..%2f..%2fetc%2fpasswd",
      "/dashboard/vendor/..%5c..%5cetc%5cpasswd",
      "/dashboard//etc/passwd",
      "/dashboard/app.js%00.html",
      "/dashboard/app%2ejs/x",
      "/dashboard/vendor%2fpreact.js",
      "/dashboard/APP.JS",
  };
  for (const auto& path : paths) {
    CAPTURE(path);
    const auto answer = runner.http().get(path);
    const bool is_wrong = path.find("%00") != std::string::npos;
    CHECK(answer.status == (is_wrong ? 400 : 404));
    const auto envelope = answer.json();
    CHECK(envelope.at("status_code") == answer.status);
    CHECK(envelope.at("data").is_null());
    CHECK(envelope.at("error").at("code") == (is_wrong ? "invalid_argument" : "not_found"));
  }
  CHECK(runner.http().send("POST", "/dashboard/app.js").status == 405);
  CHECK(runner.http().get("/dashboard/app%2Ejs").status == 200);
  for (const auto* const path : {"/dashboard", "/dashboard/"}) {
    const auto elsewhere = runner.http().get(path);
    CHECK(elsewhere.status == 302);
    CHECK(elsewhere.header("location") == "/");
  }
}

TEST_CASE("a browser may open the page and use the API from it, and no other site may") {
  test_daemon runner;
  const auto origin = "http://127.0.0.1:" + std::to_string(runner.port());
  const auto asked = [&](const std::string& method, const std::string& target, const std::string& site,
                         const std::string& from, const std::string& body = {}) {
    name_values headers{{"Sec-Fetch-Site", site}, {"Accept", of_browsers}};
    if (!from.empty())
      headers.emplace_back("Origin", from);
    if (!body.empty())
      headers.emplace_back("Content-Type", "application/json");
    return runner.http().send(method, target, headers, body).status;
  };
  CHECK(asked("GET", "/", "none", "") == 200);
  CHECK(asked("GET", "/dashboard/app.js", "same-origin", "") == 200);
  CHECK(asked("GET", "/api/v1/tasks", "same-origin", "") == 200);
  CHECK(asked("POST", "/api/v1/tasks", "same-origin", origin, R"({"task":"true","id":"t","delay":3600})") ==
        200);
  CHECK(asked("PATCH", "/api/v1/channels/default", "same-origin", origin, R"({"worker":2})") == 200);
  CHECK(asked("POST", "/api/v1/tasks/t/cancel", "same-origin", origin) == 200);
  CHECK(asked("DELETE", "/api/v1/tasks/t", "same-origin", origin) == 200);

  for (const std::string foreign : {"http://evil.example", "http://127.0.0.1:1", "null"}) {
    CAPTURE(foreign);
    CHECK(asked("POST", "/api/v1/tasks", "cross-site", foreign, R"({"task":"true"})") == 403);
    CHECK(asked("POST", "/api/v1/tasks", "same-origin", foreign, R"({"task":"true"})") == 403);
    CHECK(asked("DELETE", "/api/v1/tasks/t", "same-site", foreign) == 403);
  }
  CHECK(asked("GET", "/", "cross-site", "") == 403);
  CHECK(asked("GET", "/dashboard/app.js", "cross-site", "") == 403);

  // A link to the page is followed from anywhere, in a window of its own.
  const auto followed = [&](const std::string& target, const std::string& mode, const std::string& into) {
    return runner.http()
        .send("GET", target,
              {{"Sec-Fetch-Site", "cross-site"},
               {"Sec-Fetch-Mode", mode},
               {"Sec-Fetch-Dest", into},
               {"Accept", of_browsers}})
        .status;
  };
  CHECK(followed("/", "navigate", "document") == 200);
  CHECK(followed("/", "navigate", "iframe") == 403);
  CHECK(followed("/", "no-cors", "document") == 403);
  CHECK(followed("/status", "navigate", "document") == 403);
  CHECK(followed("/dashboard/app.js", "navigate", "document") == 403);
}
