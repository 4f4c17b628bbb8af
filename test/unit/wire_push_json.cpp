// decode_push_json: every member, every wrong type, every combination, and bytes nobody would send.
// The random part prints its seed through Catch2, so that a failure can be repeated.
#include "services/domain/names.hpp"
#include "services/wire/push_json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <random>

using namespace task_runner;

namespace {

push_item decoded(std::string_view text) {
  auto item = decode_push_json(text);
  INFO("JSON: " << text);
  if (!item)
    FAIL(item.failure().message);
  return *item;
}

error refused(std::string_view text) {
  auto item = decode_push_json(text);
  INFO("JSON: " << text);
  REQUIRE_FALSE(item);
  CHECK(is_valid_utf8(item.failure().message));
  CHECK_FALSE(item.failure().message.empty());
  return item.failure();
}

using words = std::vector<std::string>;

} // namespace

TEST_CASE("the documented message of the predecessor") {
  const auto item = decoded(R"({"task":"echo 'a  b'","chan":"biz","ts":1466000000})");
  CHECK(item.name == "echo 'a  b'");
  CHECK(item.channel == "biz");
  CHECK(item.command == task_command{});
  CHECK(item.id.empty());
  CHECK(item.delay_s == 0);
  CHECK(item.not_before_ms == 0);
  CHECK_FALSE(item.origin);
}

TEST_CASE("every text member is taken as it is") {
  const auto item = decoded(R"({"id":"a-1","task":"Grüße \u00e4\n\"","channel":"mail","command":"x | y"})");
  CHECK(item.id == "a-1");
  CHECK(item.name == "Gr\xc3\xbc\xc3\x9f"
                     "e \xc3\xa4\n\"");
  CHECK(item.channel == "mail");
  CHECK(item.command.line == "x | y");
  CHECK(item.command.argv.empty());
}

TEST_CASE("a command as a line, as a program with arguments, as an object") {
  CHECK(decoded(R"({"command":"ls -l | wc"})").command.line == "ls -l | wc");
  CHECK(decoded(R"({"command":"ls -l | wc"})").name == "ls -l | wc");
  const auto with_args = decoded(R"({"command":"my prog","args":["a b","","$x"]})");
  CHECK(with_args.command.argv == words{"my prog", "a b", "", "$x"});
  CHECK(with_args.command.line.empty());
  CHECK(with_args.name == "my prog a b  $x");
  CHECK(decoded(R"({"args":["1"],"command":"x"})").command.argv == words{"x", "1"});
  CHECK(decoded(R"({"command":"ls","args":[]})").command.argv == words{"ls"});
  const auto object =
      decoded(R"({"task":"nice name","command":{"name":"ls","args":["-l"],"extra":{"a":[1]}}})");
  CHECK(object.command.argv == words{"ls", "-l"});
  CHECK(object.name == "nice name");
  CHECK(decoded(R"({"command":{"name":"ls"}})").command.argv == words{"ls"});
  CHECK(decoded(R"({"command":{"name":"ls"}})").name == "ls");
  CHECK(decoded(R"({"task":"","command":"ls"})").name == "ls");
}

TEST_CASE("moments and delays") {
  CHECK(decoded(R"({"task":"x","execute_at":1700000000})").not_before_ms == 1'700'000'000'000);
  CHECK(decoded(R"({"task":"x","execute_at":1700000000.25})").not_before_ms == 1'700'000'000'250);
  CHECK(decoded(R"({"task":"x","execute_at":"1700000000.5"})").not_before_ms == 1'700'000'000'500);
  CHECK(decoded(R"({"task":"x","execute_at":"2023-11-14T22:13:20Z"})").not_before_ms == 1'700'000'000'000);
  CHECK(decoded(R"({"task":"x","execute_at":"2023-11-15T00:13:20.123+02:00"})").not_before_ms ==
        1'700'000'000'123);
  CHECK(decoded(R"({"task":"x","execute_at":253402300799})").not_before_ms == 253'402'300'799'000);
  CHECK(decoded(R"({"task":"x","delay":90})").delay_s == 90);
  CHECK(decoded(R"({"task":"x","delay":0.5})").delay_s == 0.5);
  CHECK(decoded(R"({"task":"x","delay":"1.5"})").delay_s == 1.5);
  // Judged by check_push, like those of every other source.
  const auto negative = decoded(R"({"task":"x","delay":-1})");
  CHECK(negative.delay_s == -1);
  CHECK_FALSE(check_push(negative));
}

TEST_CASE("null counts as absent, unknown members and ts are ignored, the last of equal names wins") {
  const auto item = decoded(R"({"task":"x","id":null,"chan":null,"channel":null,"command":null,"args":null,
      "delay":null,"execute_at":null,"ts":{"deep":[[{"a":null}]]},"other":[1,true,"x",{"task":"y"}]})");
  CHECK(item.name == "x");
  CHECK(item.id.empty());
  CHECK(item.command == task_command{});
  CHECK(decoded(R"({"task":"a","task":"b"})").name == "b");
  CHECK(decoded(R"({"task":"a","task":null})").name.empty());
  CHECK(decoded(R"({"command":{"name":"a","args":["1"]},"command":"b"})").command.line == "b");
  CHECK(decoded(R"({"command":"b","command":{"name":"a"}})").command.argv == words{"a"});
  CHECK(decoded(R"({"command":{"name":"a","args":["1"]},"command":{"name":"c"}})").command.argv ==
        words{"c"});
  CHECK(decoded(R"({"command":{"name":"a","args":null}})").command.argv == words{"a"});
  for (const char* ts : {"true", "-1", "1.5", "\"x\"", "[]", "{}", "18446744073709551615"})
    CHECK(decoded("{\"task\":\"x\",\"ts\":" + std::string(ts) + "}").name == "x");
  CHECK(decoded(R"({"task":"x","chan":"a","channel":"a"})").channel == "a");
  CHECK(decoded(" \n\t{\"task\":\"x\"}\n").name == "x");
}

TEST_CASE("an empty object decodes, and check_push refuses it") {
  const auto item = decoded("{}");
  CHECK_FALSE(check_push(item));
}

TEST_CASE("a wrong type names the member and what was expected") {
  struct wrong_type {
    const char* json;
    const char* member;
    const char* expected;
  };
  const wrong_type cases[] = {
      {R"({"task":1})", "\"task\"", "expected text"},
      {R"({"task":["x"]})", "\"task\"", "expected text"},
      {R"({"task":{"x":1}})", "\"task\"", "expected text"},
      {R"({"task":false})", "\"task\"", "expected text"},
      {R"({"task":"x","chan":7})", "\"chan\"", "expected text"},
      {R"({"task":"x","channel":1.5})", "\"channel\"", "expected text"},
      {R"({"task":"x","id":12})", "\"id\"", "expected text"},
      {R"({"command":1})", "\"command\"", "{\"name\":text,\"args\":[text]}"},
      {R"({"command":["ls"]})", "\"command\"", "{\"name\":text,\"args\":[text]}"},
      {R"({"command":{"name":1}})", "\"command.name\"", "expected text"},
      {R"({"command":{"name":["x"]}})", "\"command.name\"", "expected text"},
      {R"({"command":{"name":"x","args":"y"}})", "\"command.args\"", "expected an array of text"},
      {R"({"command":{"name":"x","args":{}}})", "\"command.args\"", "expected an array of text"},
      {R"({"command":{"name":"x","args":[1]}})", "\"command.args\"", "expected an array of text"},
      {R"({"command":{"name":"x","args":[["y"]]}})", "\"command.args\"", "expected an array of text"},
      {R"({"command":"x","args":"y"})", "\"args\"", "expected an array of text"},
      {R"({"command":"x","args":[null]})", "\"args\"", "expected an array of text"},
      {R"({"command":"x","args":[{}]})", "\"args\"", "expected an array of text"},
      {R"({"command":"x","args":[true]})", "\"args\"", "expected an array of text"},
      {R"({"task":"x","delay":"soon"})", "\"delay\"", "expected a number of seconds"},
      {R"({"task":"x","delay":""})", "\"delay\"", "expected a number of seconds"},
      {R"({"task":"x","delay":"inf"})", "\"delay\"", "expected a number of seconds"},
      {R"({"task":"x","delay":[1]})", "\"delay\"", "expected a number of seconds"},
      {R"({"task":"x","execute_at":true})", "\"execute_at\"", "expected Unix seconds or an RFC 3339 time"},
      {R"({"task":"x","execute_at":"tomorrow"})", "\"execute_at\"",
       "expected Unix seconds or an RFC 3339 time"},
      {R"({"task":"x","execute_at":"2023-02-29T00:00:00Z"})", "\"execute_at\"", "expected Unix seconds"},
  };
  for (const auto& one : cases) {
    const auto failure = refused(one.json);
    INFO(one.json << " -> " << failure.message);
    CHECK(failure.code == error_code::invalid_argument);
    CHECK(failure.message.find(one.member) != std::string::npos);
    CHECK(failure.message.find(one.expected) != std::string::npos);
  }
}

TEST_CASE("what is not an object is refused") {
  for (const char* json : {"1", "-1", "1.5", "\"x\"", "null", "true", "[]", "[{\"task\":\"x\"}]"}) {
    const auto failure = refused(json);
    CHECK(failure.code == error_code::invalid_argument);
    CHECK(failure.message.find("expected an object") != std::string::npos);
  }
}

TEST_CASE("what is not JSON is refused, and the bytes of the message are not repeated") {
  for (const char* json :
       {"", " ", "{", "{\"task\":\"se-cret", "{\"task\":\"x\"}}", "{\"task\":\"x\",}", "{'task':'x'}",
        "{\"task\":\"x\"} {}", "date", "{\"task\":\"a\tb\"}", "{\"task\":\"\\x\"}", "{\"a\":01}"}) {
    const auto failure = refused(json);
    CHECK(failure.code == error_code::invalid_argument);
    CHECK(failure.message.find("not valid JSON at byte") == 0);
    CHECK(failure.message.find("se-cret") == std::string::npos);
  }
}

TEST_CASE("combinations that contradict each other are refused") {
  CHECK(refused(R"({"task":"x","chan":"a","channel":"b"})").message.find("different channels") !=
        std::string::npos);
  CHECK(refused(R"({"task":"x","delay":1,"execute_at":1})").message.find("both given") != std::string::npos);
  CHECK(refused(R"({"task":"x","args":["y"]})").message.find("without \"command\"") != std::string::npos);
  CHECK(refused(R"({"command":{"name":"x","args":[]},"args":["y"]})").message.find("give it once") !=
        std::string::npos);
  CHECK(refused(R"({"command":{"args":["y"]}})").message.find("command.name") != std::string::npos);
  CHECK(refused(R"({"command":{}})").message.find("command.name") != std::string::npos);
}

TEST_CASE("numbers out of range are refused without undefined behaviour") {
  for (const char* number :
       {"-1", "-0.001", "253402300800", "1700000000000", "9223372036854775807", "18446744073709551615",
        "-9223372036854775808", "1e300", "-1e300", "\"1e300\"", "\"-5\"", "\"1e999\"", "1e999"}) {
    const auto failure = refused("{\"task\":\"x\",\"execute_at\":" + std::string(number) + "}");
    INFO(number);
    CHECK(failure.code == error_code::out_of_range);
  }
  for (const char* number : {"1e999", "\"1e999\"", "-1e999"})
    CHECK(refused("{\"task\":\"x\",\"delay\":" + std::string(number) + "}").code == error_code::out_of_range);
  for (const char* number : {"1e300", "18446744073709551615", "99999999999999999999999"})
    CHECK_FALSE(check_push(decoded("{\"task\":\"x\",\"delay\":" + std::string(number) + "}")));
}

TEST_CASE("invalid UTF-8 is refused, a NUL is left to check_push") {
  for (const char* bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
    const auto failure = refused("{\"task\":\"" + std::string(bytes) + "\"}");
    CHECK(failure.code == error_code::invalid_argument);
    CHECK(failure.message.find("not valid UTF-8") != std::string::npos);
  }
  refused("{\"task\":\"\\ud800\"}"); // half of a surrogate pair
  const auto item = decoded("{\"task\":\"a\\u0000b\"}");
  CHECK(item.name == std::string("a\0b", 3));
  CHECK_FALSE(check_push(item));
}

TEST_CASE("nesting is bounded") {
  const auto nested = [](size_t arrays) {
    return "{\"ts\":" + std::string(arrays, '[') + std::string(arrays, ']') + ",\"task\":\"x\"}";
  };
  CHECK(decoded(nested(31)).name == "x");
  CHECK(refused(nested(32)).message.find("nested deeper than 32") != std::string::npos);
  CHECK(refused("{\"ts\":" + std::string(1'000'000, '[')).message.find("nested deeper") != std::string::npos);
  std::string objects;
  for (int i = 0; i < 100'000; ++i)
    objects += "{\"a\":";
  CHECK(refused(objects).message.find("nested deeper") != std::string::npos);
}

TEST_CASE("the name made of a long argv fits a name and ends on a whole character") {
  nlohmann::json message;
  message["command"] = "x"; // so that the limit falls within a two-byte character
  message["args"] = std::vector<std::string>{std::string(100'000, 'a'), [] {
                                               std::string text;
                                               for (int i = 0; i < 50'000; ++i)
                                                 text += "\xc3\xbc";
                                               return text;
                                             }()};
  const auto item = decoded(message.dump());
  CHECK(item.name.size() <= command_length_max);
  CHECK(item.name.size() + 2 > command_length_max);
  CHECK(is_valid_utf8(item.name));
  CHECK(check_push(item));
}

TEST_CASE("a NUL byte is no end of the text, and nothing that stands after it is lost") {
  const std::string task = R"({"task":"a"})";
  const std::string nul(1, '\0');
  for (const auto& text : {task + nul + task, task + nul, nul + task, nul, R"({"task":"a)" + nul + "\"}"}) {
    const auto why = refused(text);
    CHECK(why.code == error_code::invalid_argument);
    CHECK(why.message.find("NUL") != std::string::npos);
  }
}

TEST_CASE("random bytes never break the decoder") {
  const auto seed = GENERATE(take(4, random(1, 1'000'000'000)));
  CAPTURE(seed);
  std::mt19937 random(static_cast<unsigned>(seed));
  const std::string_view pieces[] = {"{",         "}",
                                     "[",         "]",
                                     ":",         ",",
                                     "\"task\"",  "\"command\"",
                                     "\"args\"",  "\"name\"",
                                     "\"delay\"", "\"chan\"",
                                     "1e999",     "-1",
                                     "\"x\"",     "null",
                                     "true",      "\"\\u0000\"",
                                     "\xff",      "\"",
                                     " ",         "\"execute_at\"",
                                     "0.5",       "\\"};
  size_t accepted = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string text;
    const bool structured = round % 2 == 0;
    const auto length = random() % 24;
    for (size_t i = 0; i < length; ++i) {
      if (structured)
        text += pieces[random() % std::size(pieces)];
      else
        text += static_cast<char>(random() & 0xff);
    }
    if (structured && round % 4 == 0)
      text = "{\"task\":\"x\"," + text + "}";
    auto item = decode_push_json(text);
    if (item) {
      ++accepted;
      CHECK(nlohmann::json::accept(text));
      CHECK(is_valid_utf8(item->name));
      (void)check_push(*item);
    } else {
      CHECK(is_valid_utf8(item.failure().message));
    }
  }
  INFO(accepted);
}

TEST_CASE("a valid object survives any one byte being changed or cut, without breaking the decoder") {
  const std::string whole =
      R"({"id":"a","task":"t","chan":"c","command":{"name":"n","args":["1","ü"]},"execute_at":1.5,"ts":[{}]})";
  decoded(whole);
  for (size_t at = 0; at < whole.size(); ++at) {
    CHECK_FALSE(decode_push_json(std::string_view(whole).substr(0, at)));
    for (int value = 0; value < 256; ++value) {
      std::string text = whole;
      text[at] = static_cast<char>(value);
      auto item = decode_push_json(text);
      if (item && !nlohmann::json::accept(text))
        FAIL("accepted what is not JSON: " << text);
      if (!item && !is_valid_utf8(item.failure().message))
        FAIL("an error message that is not UTF-8 for " << text);
    }
  }
}
