// The pure parts of the HTTP component: heads, targets, chunks, percent codes, envelopes, the guard, forms.
// Also what random bytes and cut-off inputs do to them: under the address sanitizer, nothing.
#include "services/http/answer.hpp"
#include "services/http/byte_range.hpp"
#include "services/http/chunked_body.hpp"
#include "services/http/envelope.hpp"
#include "services/http/form.hpp"
#include "services/http/guard.hpp"
#include "services/http/http_text.hpp"
#include "services/http/request_head.hpp"
#include "services/http/request_target.hpp"
#include "services/http/trace_context.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace task_runner;

namespace {

constexpr std::string_view urlencoded = "application/x-www-form-urlencoded";
constexpr std::string_view multipart = "multipart/form-data; boundary=XX";

/// Text made of pieces that matter to the parser under test, mixed with random bytes.
std::string random_text(std::mt19937& random, const std::vector<std::string>& pieces, int length) {
  std::string text;
  for (int i = 0; i < length; ++i) {
    const auto pick = random() % (pieces.size() + 2);
    if (pick < pieces.size())
      text += pieces[pick];
    else
      text += static_cast<char>(random());
  }
  return text;
}

head_reading read_head(std::string_view text, size_t header_max = 1'000) {
  head_reader reader(header_max);
  return reader.read(text);
}

const std::string part_head = "Content-Disposition: form-data; name=";

} // namespace

TEST_CASE("percent codes are decoded strictly") {
  CHECK(*percent_decode("a%20b+c%2B", plus_sign::is_space, "it") == "a b c+");
  CHECK(*percent_decode("a+b%c3%A9", plus_sign::is_plus, "it") == "a+b\xc3\xa9");
  CHECK(percent_decode("", plus_sign::is_plus, "it")->empty());
  for (const auto* bad : {"%", "%1", "abc%", "%zz", "%1g", "%-1", "% 1"}) {
    const auto decoded = percent_decode(bad, plus_sign::is_space, "the query");
    REQUIRE_FALSE(decoded);
    CHECK(decoded.failure().code == error_code::invalid_argument);
    CHECK(decoded.failure().message.find("the query") != std::string::npos);
  }
  CHECK(percent_decode("ab%zz", plus_sign::is_space, "it").failure().message.find("byte 2") !=
        std::string::npos);
}

TEST_CASE("JSON strings are quoted, whatever the bytes") {
  CHECK(json_quote("plain \"x\" \\ /") == R"("plain \"x\" \\ /")");
  CHECK(json_quote(std::string_view("a\0\n\r\t\x1f\x7f", 7)) == R"("a\u0000\n\r\t\u001f\u007f")");
  CHECK(json_quote("\xe4\xb8\xad\xf0\x9f\x98\x80") == "\"\xe4\xb8\xad\xf0\x9f\x98\x80\"");
  CHECK(json_quote("a\xff\xe4\xb8") == "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
  const error down{error_code::draining, "going \"down\""};
  const std::string problem =
      R"("type":"/api/v1/problems/draining","title":"The daemon is starting or stopping","status":503,)"
      R"("detail":"going \"down\"","code":"draining")";
  CHECK(make_envelope(describe_failure(down)) ==
        R"({"status_code":503,"message":"going \"down\"","data":null,"error":{)" + problem + "}}");
  CHECK(make_problem(describe_failure(down)) == "{" + problem + "}");
  CHECK(make_problem({416, std::nullopt, "behind it"}, "\"a\":1") ==
        R"({"type":"about:blank","title":"Range Not Satisfiable","status":416,"detail":"behind it","a":1})");
  CHECK(make_envelope(200, "ok", "{}", "\"a\":1") == R"({"status_code":200,"message":"ok","data":{},"a":1})");
}

TEST_CASE("the trace of a request is read strictly, and what is wrong is no trace") {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto read = [](const std::vector<http_header>& headers) {
    http_request request;
    request.headers = headers;
    return read_trace_context(request);
  };
  REQUIRE(read({{"traceparent", good}}));
  CHECK(read({{"traceparent", good}})->parent == good);
  CHECK(read({{"traceparent", good}})->state.empty());
  CHECK(read({{"tracestate", "a=1"}, {"traceparent", good}, {"tracestate", "b=2"}})->state == "a=1,b=2");
  CHECK(read({{"traceparent", good}, {"tracestate", std::string(512, 'x')}})->state.size() == 512);
  CHECK(read({{"traceparent", good}, {"tracestate", std::string(513, 'x')}})->state.empty());
  CHECK(read({{"traceparent", good}, {"tracestate", "a=\xff"}})->state.empty());
  // What a later version may add.
  CHECK(read({{"traceparent", "01" + good.substr(2) + "-more"}}));
  CHECK_FALSE(read({}));
  CHECK_FALSE(read({{"tracestate", "a=1"}}));
  CHECK_FALSE(read({{"traceparent", good}, {"traceparent", good}}));
  const std::vector<std::string> wrong{"",
                                       good.substr(1),
                                       good + "-more",
                                       good + "0",
                                       "01" + good.substr(2) + "0",
                                       "ff" + good.substr(2),
                                       "0x" + good.substr(2),
                                       "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                       "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                       "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                       "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
                                       "01" + good.substr(2) + "-\xff"};
  for (const auto& one : wrong) {
    CAPTURE(one);
    CHECK_FALSE(read({{"traceparent", one}}));
  }
}

TEST_CASE("a head is read in whatever pieces it comes") {
  const std::string text =
      "POST /push HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 12\r\nX-Y:  z \r\n\r\n";
  const std::string input = text + "the body";
  for (size_t step = 1; step <= input.size(); ++step) {
    head_reader reader(1'000);
    head_reading reading;
    size_t at = 0;
    while (reading.what == head_reading::kind::incomplete && at < input.size()) {
      at = std::min(at + step, input.size());
      reading = reader.read(std::string_view(input).substr(0, at));
    }
    REQUIRE(reading.what == head_reading::kind::complete);
    CHECK(reading.consumed == text.size());
    CHECK(reading.head.method == "POST");
    CHECK(reading.head.target == "/push");
    CHECK(reading.head.content_length == 12);
    CHECK(reading.head.host == "localhost:1");
    REQUIRE(reading.head.headers.size() == 3);
    CHECK(reading.head.headers[2].name == "x-y");
    CHECK(reading.head.headers[2].value == "z");
  }
}

TEST_CASE("a head over its limit is refused as soon as that is certain, one at the limit is not") {
  const auto head_of = [](size_t size) {
    const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    return begin + std::string(size - begin.size() - 4, 'x') + "\r\n\r\n";
  };
  CHECK(read_head(head_of(1'000)).what == head_reading::kind::complete);
  CHECK(read_head(head_of(1'001)).refusal.status == 431);
  CHECK(read_head(head_of(1'500).substr(0, 1'000)).what == head_reading::kind::incomplete);
  CHECK(read_head(head_of(1'500).substr(0, 1'001)).refusal.status == 431);
  CHECK(read_head("GET /" + std::string(1'000, 'x')).refusal.status == 414);
  CHECK(read_head("GET /" + std::string(1'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n").refusal.status == 414);
}

TEST_CASE("keep-alive follows version and Connection") {
  const auto keeps = [](const std::string& version, const std::string& connection) {
    const auto reading = read_head("GET / " + version + "\r\nHost: a\r\n" + connection + "\r\n");
    REQUIRE(reading.what == head_reading::kind::complete);
    return reading.head.keep_alive;
  };
  CHECK(keeps("HTTP/1.1", ""));
  CHECK(keeps("HTTP/1.9", "Connection: upgrade\r\n"));
  CHECK_FALSE(keeps("HTTP/1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps("HTTP/1.1", "Connection: keep-alive\r\nConnection: x, CLOSE\r\n"));
  CHECK_FALSE(keeps("HTTP/1.0", ""));
  CHECK(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
}

TEST_CASE("targets are taken apart and brought to one spelling") {
  const auto target = decode_target("//a%2Fb/%7Ec//d%20e/?x=1&y&=2&x=%26");
  REQUIRE(target);
  CHECK(target->path == "/a/b/~c/d e");
  CHECK(target->router_path == "/a%2Fb/~c/d%20e");
  REQUIRE(target->query_parameters.size() == 4);
  CHECK(target->query_parameters[1].name == "y");
  CHECK(target->query_parameters[2].value == "2");
  CHECK(target->query_parameters[3].value == "&");
  CHECK(decode_target("HTTP://[::1]:80/x")->authority == "[::1]:80");
  CHECK(decode_target("http://h")->path == "/");
  CHECK(decode_target("/")->router_path == "/");
  CHECK(decode_target("*")->asterisk);
  CHECK(decode_target("/..%2f../etc")->router_path == "/..%2F../etc");
  for (const auto* bad : {"", "x", "//%", "/%0", "/%00", "/%C0%AF", "/?%ff", "/?a=%00", "http:///x", "/#x"})
    CHECK_FALSE(decode_target(bad));
  std::string many = "/?";
  for (size_t i = 0; i <= query_parameters_max; ++i)
    many += "a&";
  CHECK_FALSE(decode_target(many));
}

TEST_CASE("chunked bodies are decoded in whatever pieces they come, with all lengths bounded") {
  const std::string text = "5;a=b\r\nhello\r\n00a\r\n, chunked \r\n5\r\nworld\r\n0\r\nT: x\r\n\r\nNEXT";
  for (size_t step = 1; step <= text.size(); ++step) {
    chunked_decoder decoder(100);
    std::string body;
    auto progress = chunk_progress::more;
    size_t at = 0;
    std::string left;
    while (progress == chunk_progress::more && at < text.size()) {
      left += text.substr(at, step);
      at += step;
      std::string_view input = left;
      progress = decoder.feed(input, body);
      left = std::string(input);
    }
    CHECK(progress == chunk_progress::done);
    CHECK(body == "hello, chunked world");
    CHECK(left + (at < text.size() ? text.substr(at) : "") == "NEXT");
  }
  const auto outcome_of = [](std::string_view input) {
    chunked_decoder decoder(10);
    std::string body;
    return decoder.feed(input, body);
  };
  CHECK(outcome_of("a\r\n0123456789\r\n0\r\n\r\n") == chunk_progress::done);
  CHECK(outcome_of("b\r\n") == chunk_progress::too_large);
  CHECK(outcome_of("5\r\n01234\r\n6\r\n") == chunk_progress::too_large);
  CHECK(outcome_of("ffffffffffffffff\r\n") == chunk_progress::too_large);
  CHECK(outcome_of("fffffffffffffff\r\n") == chunk_progress::too_large);
  for (const auto* bad :
       {"\r\n", "-1\r\n", "0x1\r\n", "1\n", "g\r\n", "1\r\nab\r\n", "0\r\nbad\r\n", ";x\r\n"})
    CHECK(outcome_of(bad) == chunk_progress::malformed);
  CHECK(outcome_of("1;" + std::string(2'000, 'x')) == chunk_progress::malformed);
}

TEST_CASE("answer heads have what the answer needs and nothing else") {
  answer_head head;
  head.content_type = "text/plain";
  head.content_length = 5;
  const auto text =
      render_answer_head(head, {{"X-A", "1"}, {"bad name", "x"}, {"X-B", "a\nb"}, {"Date", "x"}});
  CHECK(text.find("HTTP/1.1 200 OK\r\nDate: ") == 0);
  CHECK(text.find("\r\nContent-Type: text/plain\r\n") != std::string::npos);
  CHECK(text.find("\r\nContent-Length: 5\r\n") != std::string::npos);
  CHECK(text.find("\r\nX-A: 1\r\n\r\n") == text.size() - 12);
  CHECK(text.find("bad name") == std::string::npos);
  CHECK(text.find("Connection") == std::string::npos);
  head.status = 503;
  head.close = true;
  CHECK(render_answer_head(head, {}).find("\r\nConnection: close\r\nRetry-After: 1\r\n\r\n") !=
        std::string::npos);
  CHECK(render_answer_head(head, {{"Retry-After", "9"}}).find("Retry-After: 1\r\n") == std::string::npos);
  CHECK(reason_phrase(404) == "Not Found");
  CHECK(reason_phrase(299) == "Unknown");
}

TEST_CASE("the guard knows which names are this machine") {
  for (const auto* name : {"localhost", "LocalHost", "x.y.localhost", "127.0.0.1", "127.255.255.255", "::1"})
    CHECK(is_loopback_name(name));
  for (const auto* name :
       {"", ".localhost", "localhost.evil", "128.0.0.1", "127.0.0.256", "127.1", "127.0.0.01", "127.0.0.1.",
        "0.0.0.0", "::", "1::1", "notlocalhost", "2130706433", "127.0.0.1x"})
    CHECK_FALSE(is_loopback_name(name));
  CHECK(host_name_of("A.Example:80") == "a.example");
  CHECK(host_name_of("localhost.:80") == "localhost");
  CHECK(host_name_of("[::1]:80") == "::1");
  CHECK(host_name_of("[::1]").size() == 3);
  for (const auto* bad : {"", ":80", "a:b", "[::1", "[::1]x", "::1", "a:80:90"})
    CHECK(host_name_of(bad).empty());
}

TEST_CASE("the guard's messages say what to change") {
  const guard_policy policy{{"tasks.example", "::2", "[::3]"}};
  const auto refused = check_guard(policy, {"evil.example:60001", {}, {}});
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == error_code::forbidden);
  CHECK(refused.failure().message.find("allow-host = evil.example under [http]") != std::string::npos);
  CHECK(check_guard(policy, {"[::2]:1", {}, {}}));
  CHECK(check_guard(policy, {"[::3]:1", {}, {}}));
  CHECK_FALSE(check_guard(policy, {"[::4]:1", {}, {}}));
  CHECK(check_guard(policy, {"tasks.example", "https://tasks.example", "same-origin"}));
  CHECK(check_guard(policy, {"localhost:60001", "https://tasks.example", {}}));
  CHECK(check_guard(policy, {"localhost", "http://localhost:80", {}}));
  CHECK_FALSE(check_guard(policy, {"localhost", "https://localhost", {}}));
  CHECK_FALSE(check_guard(policy, {"localhost", "http://localhost.evil", {}}));
  CHECK_FALSE(check_guard(policy, {"localhost", "localhost", {}}));
  CHECK_FALSE(check_guard(policy, {"localhost", "", {}}));
  CHECK_FALSE(check_guard(policy, {{}, "http://localhost", {}}));
  CHECK(check_guard(policy, {{}, {}, {}}));
  CHECK(check_guard(policy, {"localhost", {}, "none"}));
  CHECK(check_guard(policy, {"localhost", {}, "same-site"}));
  CHECK_FALSE(check_guard(policy, {"localhost", {}, "Cross-Site"}));
  CHECK_FALSE(check_guard(policy, {"tasks.example", "https://tasks.example", "cross-site"}));
}

TEST_CASE("urlencoded forms") {
  const auto form = decode_form("Application/X-WWW-Form-Urlencoded; charset=utf-8",
                                "task=echo+%27a++b%27+%26%26+c&args=1&args=&channel=biz&args=3");
  REQUIRE(form);
  CHECK(form->get("task") == "echo 'a  b' && c");
  CHECK(form->all("args") == std::vector<std::string_view>{"1", "", "3"});
  CHECK_FALSE(form->get("absent"));
  CHECK(decode_form(urlencoded, "")->fields.empty());
  for (const auto* bad : {"task=%zz", "%=1", "a=%00", "a=%ff", "%c3=1"})
    CHECK_FALSE(decode_form(urlencoded, bad));
  std::string many;
  for (size_t i = 0; i < form_fields_max; ++i)
    many += "a=1&";
  CHECK(decode_form(urlencoded, many)->fields.size() == form_fields_max);
  CHECK_FALSE(decode_form(urlencoded, many + "b"));
}

TEST_CASE("multipart forms") {
  const std::string body = "--XX\r\n" + part_head + "\"task\"\r\n\r\necho \"hi\"\r\nline two\r\n--XX\r\n" +
                           part_head + "args\r\nContent-Type: text/plain\r\n\r\n\r\n--XX\r\n" + part_head +
                           "\"args\"; filename=\"f.bin\"\r\n\r\n" + std::string("\0\xff--XX\r\n--X", 11) +
                           "\r\n--XX--\r\nepilogue";
  const auto form = decode_form(multipart, body);
  REQUIRE(form);
  REQUIRE(form->fields.size() == 3);
  CHECK(form->get("task") == "echo \"hi\"\r\nline two");
  CHECK(form->fields[1].value.empty());
  CHECK(form->fields[2].value == std::string("\0\xff--XX\r\n--X", 11));
  CHECK(form->fields[2].is_file);
  CHECK_FALSE(form->fields[0].is_file);
  CHECK(decode_form("multipart/form-data; charset=x; boundary=\"XX\"", body));
  CHECK(decode_form(multipart, "--XX--\r\n")->fields.empty());

  // Cut short anywhere, it is an error and not a shorter command.
  const auto closing = body.find("\r\n--XX--");
  for (size_t length = 0; length < closing + 8; ++length)
    CHECK_FALSE(decode_form(multipart, body.substr(0, length)));
}

TEST_CASE("malformed multipart forms are errors that say so") {
  const auto is_bad = [](std::string_view type, const std::string& body) {
    const auto form = decode_form(type, body);
    return !form && form.failure().code == error_code::invalid_argument && !form.failure().message.empty();
  };
  const std::string good = part_head + "a\r\n\r\n1\r\n--XX--";
  CHECK(decode_form(multipart, "--XX\r\n" + good));
  CHECK(is_bad("multipart/form-data", "--XX\r\n" + good));
  CHECK(is_bad("multipart/form-data; boundary=", "--XX\r\n" + good));
  CHECK(is_bad("multipart/form-data; boundary=" + std::string(71, 'x'), "--XX\r\n" + good));
  CHECK(is_bad(multipart, "--XX\n" + good));
  CHECK(is_bad(multipart, "--XXY\r\n" + good));
  CHECK(is_bad(multipart, "--XX \r\n" + good));
  CHECK(is_bad(multipart, "--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--"));
  CHECK(is_bad(multipart, "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--XX--"));
  CHECK(is_bad(multipart, "--XX\r\n\r\n1\r\n--XX--"));
  CHECK(is_bad(multipart, "--XX\r\n" + part_head + "a\r\n\r\n" + std::string("\0", 1) + "\r\n--XX--"));
  CHECK(is_bad(multipart, "--XX\r\n" + part_head + "a\r\n\r\n\xff\r\n--XX--"));
  CHECK(is_bad(multipart, "--XX\r\n" + part_head + "\"\xff\"\r\n\r\n1\r\n--XX--"));
  CHECK(decode_form(multipart, "--XX\r\n" + part_head + "a\r\n\r\n1\n--XX\r\n--XX--")->get("a") == "1\n--XX");
  CHECK(is_bad(multipart, "--XX\r\n" + part_head + "a\r\n\r\n1\r\n--XXY\r\n" + good));
  CHECK(is_bad(multipart, "--XX\r\n--XX--"));
  CHECK(is_bad(multipart, "--XX\r\n" + part_head + "a\r\n\r\n--XX--"));
  CHECK(is_bad(multipart, "--XX\r\nX: " + std::string(20'000, 'x') + "\r\n" + good));
  std::string lines;
  for (int i = 0; i < 20; ++i)
    lines += "X" + std::to_string(i) + ": y\r\n";
  CHECK(is_bad(multipart, "--XX\r\n" + lines + good));
  std::string parts;
  for (size_t i = 0; i <= form_fields_max; ++i)
    parts += "--XX\r\n" + part_head + "a\r\n\r\n1\r\n";
  CHECK(is_bad(multipart, parts + "--XX--"));
  CHECK(is_bad("text/plain", "task=date"));
  CHECK(is_bad("", "task=date"));
  CHECK(decode_form("", "")->fields.empty());
}

TEST_CASE("JSON is told apart by its type") {
  CHECK(is_json("application/json"));
  CHECK(is_json("Application/JSON ; charset=utf-8"));
  CHECK(is_json("application/problem+json"));
  CHECK_FALSE(is_json("text/plain"));
  CHECK_FALSE(is_json("application/jsonx"));
  CHECK_FALSE(is_json(""));
}

TEST_CASE("random and cut-off bytes do no harm") {
  std::mt19937 random(20'240'601);
  const std::vector<std::string> head_pieces = {
      "GET ", "/a%20b", " HTTP/1.1",        "\r\n", "Host: a",
      "\n",   "\r",     "Content-Length: ", "7",    "Transfer-Encoding: chunked",
      ":",    " "};
  const std::vector<std::string> form_pieces = {"--XX",         "\r\n", "--", part_head, "\"a\"",
                                                "; filename=b", "\n",   "=",  ";"};
  const std::vector<std::string> pair_pieces = {"%41", "%", "&", "=", "+", "a"};
  const std::vector<std::string> chunk_pieces = {"5\r\n", "hello", "\r\n", "0\r\n\r\n", ";x", "ff"};
  size_t complete = 0;
  size_t decoded = 0;
  for (int round = 0; round < 20'000; ++round) {
    const int length = static_cast<int>(random() % 40);
    const auto head = random_text(random, head_pieces, length);
    complete +=
        read_head("GET / HTTP/1.1\r\nHost: a\r\n" + head + "\r\n\r\n").what == head_reading::kind::complete;
    read_head(head, 50);
    decode_target("/" + random_text(random, pair_pieces, length)) ? ++decoded : decoded;
    decode_form(urlencoded, random_text(random, pair_pieces, length)) ? ++decoded : decoded;
    decode_form(multipart, "--XX\r\n" + random_text(random, form_pieces, length) + "\r\n--XX--") ? ++decoded
                                                                                                 : decoded;
    decode_form("multipart/form-data; " + random_text(random, {"boundary=", "XX", "\"", ";", "\\"}, 8),
                "--XX--")
        ? ++decoded
        : decoded;
    chunked_decoder decoder(100);
    std::string body;
    const auto chunks = random_text(random, chunk_pieces, length);
    std::string_view input = chunks;
    decoder.feed(input, body);
    CHECK(body.size() <= 100);
    static_cast<void>(check_guard({}, {head, head, head}));
  }
  // Some of it is valid: the generator reaches past the first checks.
  CHECK(complete > 0);
  CHECK(decoded > 0);
}

TEST_CASE("one range of bytes is read, anything else is as if it were not there") {
  struct expected {
    const char* header;
    uint64_t first;
    bool from_end;
    std::optional<uint64_t> length;
  };
  for (const auto& [header, first, from_end, length] : std::vector<expected>{
           {"bytes=0-0", 0, false, 1},
           {"bytes=100-199", 100, false, 100},
           {"bytes=100-", 100, false, std::nullopt},
           {"bytes=-500", 500, true, std::nullopt},
           {"bytes=-0", 0, true, std::nullopt},
           {"Bytes= 7-9 ", 7, false, 3},
           {"bytes=0-9223372036854775807", 0, false, uint64_t{9'223'372'036'854'775'807} + 1}}) {
    CAPTURE(header);
    const auto range = parse_byte_range(header);
    REQUIRE(range);
    CHECK(range->first == first);
    CHECK(range->from_end == from_end);
    CHECK(range->length == length);
  }
  for (const auto* header :
       {"", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=9-7", "bytes=0-1,3-4", "bytes=a-b", "bytes=1-b",
        "bytes=--5", "bytes=1-2-3", "bytes=+1-2", "bytes=0x1-2", "lines=0-1", "bytes =0-1",
        "bytes=9223372036854775808-", "bytes=1 -2"}) {
    CAPTURE(header);
    CHECK_FALSE(parse_byte_range(header));
  }
}
