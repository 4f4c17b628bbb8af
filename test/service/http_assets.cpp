// Files that are part of the binary: found by their paths alone, byte for byte, and answered with a tag by
// which a client learns whether what it has is still good.
#include "services/http/assets.hpp"
#include "test/service/http_support.hpp"

#include <catch2/catch.hpp>

#include <tuple>

namespace task_runner {
/// Made by tr_embed in test/CMakeLists.txt out of test/service/embedded.
const asset_set& sample_assets();
} // namespace task_runner

using namespace task_runner;
using namespace task_runner::test;

namespace {

http_request request_with(const std::vector<std::string>& if_none_match) {
  http_request request;
  request.headers.push_back({"host", "localhost"});
  for (const auto& value : if_none_match)
    request.headers.push_back({"if-none-match", value});
  return request;
}

/// A server of the samples, below /files.
class asset_server {
public:
  asset_server() {
    REQUIRE(server_.route(
        "GET", "/files/:name", [](const http_request& request, const http_responder& responder) {
          if (const auto* file = sample_assets().find(request.path_parameter("name")))
            answer_asset(*file, request, responder, {{"Content-Security-Policy", "default-src 'self'"}});
          else
            responder.fail({error_code::not_found, "there is no such file"});
        }));
    REQUIRE(server_.start());
  }

  raw_client connect() const { return raw_client(server_.port()); }

private:
  http_server server_{http_server_options{}};
};

} // namespace

TEST_CASE("embedded files are found by their paths, byte for byte") {
  const auto& files = sample_assets();
  REQUIRE(files.all().size() == 3);
  const auto* page = files.find("page.html");
  REQUIRE(page != nullptr);
  CHECK(page->path == "page.html");
  CHECK(page->bytes == "<!doctype html>\n<title>A sample — for tests</title>\n");
  CHECK(page->media_type == "text/html; charset=utf-8");
  const auto* script = files.find("parts/table.js");
  REQUIRE(script != nullptr);
  CHECK(script->bytes == "export const answer = 42;\n");
  CHECK(script->media_type == "text/javascript; charset=utf-8");
  const auto* empty = files.find("empty.txt");
  REQUIRE(empty != nullptr);
  CHECK(empty->bytes.empty());
  CHECK(empty->etag.size() > 2);

  for (const auto* path : {"", "/", "page", "page.htm", "page.html/", "/page.html", "PAGE.HTML", "parts",
                           "parts/", "parts/../page.html", "./page.html", "table.js", "zzz"})
    CHECK(files.find(path) == nullptr);
}

TEST_CASE("other bytes have another tag, the same bytes the same") {
  const auto tag_of = [](std::string_view bytes) {
    return asset_set({{"file", bytes.data(), bytes.data() + bytes.size()}}).find("file")->etag;
  };
  CHECK(tag_of("abc") == tag_of("abc"));
  CHECK(tag_of("abc") != tag_of("abd"));
  CHECK(tag_of("abc") != tag_of("abc\n"));
  CHECK(tag_of("") != tag_of(std::string_view("\0", 1)));
  const auto tag = tag_of("abc");
  REQUIRE(tag.size() > 2);
  CHECK(tag.front() == '"');
  CHECK(tag.back() == '"');
  CHECK(tag.find_first_not_of("0123456789abcdef-", 1) == tag.size() - 1);
}

TEST_CASE("a file's media type goes by its name") {
  CHECK(media_type_of_path("openapi.json") == "application/json; charset=utf-8");
  CHECK(media_type_of_path("a/b.min.css") == "text/css; charset=utf-8");
  CHECK(media_type_of_path("LOGO.SVG") == "image/svg+xml");
  CHECK(media_type_of_path("font.woff2") == "font/woff2");
  for (const auto* unknown : {"", "file", ".css", "file.", "file.exe", "css"})
    CHECK(media_type_of_path(unknown) == "application/octet-stream");
}

TEST_CASE("If-None-Match is understood in all its forms, and what is malformed matches nothing") {
  const std::string tag = "\"3-a\"";
  for (const auto& values : std::vector<std::vector<std::string>>{{tag},
                                                                  {"W/" + tag},
                                                                  {"*"},
                                                                  {"\"x\", " + tag},
                                                                  {"\"x\"," + tag + ",\"y\""},
                                                                  {"\"with, comma\" , W/\"z\" , " + tag},
                                                                  {"\"x\"", tag}}) {
    CAPTURE(values);
    CHECK(has_unchanged(request_with(values), tag));
  }
  for (const auto& values : std::vector<std::vector<std::string>>{{},
                                                                  {""},
                                                                  {"\"3-b\""},
                                                                  {"3-a"},
                                                                  {"\"3-a"},
                                                                  {"3-a\""},
                                                                  {"\"x" + tag},
                                                                  {"nonsense " + tag},
                                                                  {"** " + tag},
                                                                  {", ,"}}) {
    CAPTURE(values);
    CHECK_FALSE(has_unchanged(request_with(values), tag));
  }
}

TEST_CASE("a file is answered once, and only asked about afterwards") {
  const asset_server server;
  auto client = server.connect();
  const auto* page = sample_assets().find("page.html");
  REQUIRE(page != nullptr);
  const auto first = client.ask(plain_request("GET", "/files/page.html"));
  CHECK(first.status == 200);
  CHECK(first.body == page->bytes);
  CHECK(first.header("content-type") == "text/html; charset=utf-8");
  CHECK(first.header("x-content-type-options") == "nosniff");
  CHECK(first.header("cache-control") == "no-cache");
  CHECK(first.header("content-security-policy") == "default-src 'self'");
  REQUIRE(first.header("etag") == page->etag);

  // On the same connection: an answer without a body is complete with its head.
  const auto again =
      client.ask(plain_request("GET", "/files/page.html", "If-None-Match: " + page->etag + "\r\n"), true);
  CHECK(again.status == 304);
  CHECK(again.header("etag") == page->etag);
  CHECK(again.header("cache-control") == "no-cache");
  CHECK(again.header("content-security-policy") == "default-src 'self'");
  CHECK_FALSE(again.header("content-length"));
  CHECK_FALSE(again.header("content-type"));
  const auto other = client.ask(plain_request("GET", "/files/page.html", "If-None-Match: \"0-0\"\r\n"));
  CHECK(other.status == 200);
  CHECK(other.body == page->bytes);

  const auto head = client.ask(plain_request("HEAD", "/files/page.html"), true);
  CHECK(head.status == 200);
  CHECK(head.header("content-length") == std::to_string(page->bytes.size()));
  CHECK(head.header("etag") == page->etag);
  const auto empty = client.ask(plain_request("GET", "/files/empty.txt"));
  CHECK(empty.status == 200);
  CHECK(empty.body.empty());
  CHECK(client.ask(plain_request("GET", "/files/table.js")).status == 404);
}
