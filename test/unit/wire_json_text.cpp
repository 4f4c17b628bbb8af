// The JSON writer, read back by nlohmann's parser: whatever goes in, valid JSON comes out.
// Text that is valid UTF-8 must come back unchanged.
#include "services/domain/names.hpp"
#include "services/wire/json_text.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <limits>
#include <random>

using namespace task_runner;
using nlohmann::json;

namespace {

std::string written(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

} // namespace

TEST_CASE("text is read back as it was") {
  for (const std::string& text :
       {std::string(), std::string("plain"), std::string("\"\\/\b\f\n\r\t"), std::string("a\0b\x1f\x7f", 5),
        std::string("Grüße 漢字 😀"), std::string("\xef\xbf\xbf\xf4\x8f\xbf\xbf")}) {
    CHECK(json::parse(written(text)).get<std::string>() == text);
  }
  CHECK(written("a\nb") == "\"a\\nb\"");
}

TEST_CASE("each byte that is not UTF-8 becomes the replacement character") {
  CHECK(written("a\xff"
                "b") == "\"a\xef\xbf\xbd"
                        "b\"");
  CHECK(json::parse(written("\xe2\x82")).get<std::string>() == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(json::parse(written("\xed\xa0\x80x")).get<std::string>() == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx");
}

TEST_CASE("random bytes always give valid JSON, and valid UTF-8 survives") {
  const auto seed = GENERATE(take(3, random(1, 1'000'000'000)));
  CAPTURE(seed);
  std::mt19937 random(static_cast<unsigned>(seed));
  for (int round = 0; round < 3'000; ++round) {
    std::string text;
    for (size_t i = random() % 40; i > 0; --i)
      text += static_cast<char>(round % 2 == 0 ? random() & 0xff : 0x20 + random() % 0x60);
    const auto out = written(text);
    REQUIRE(is_valid_utf8(out));
    const auto back = json::parse(out, nullptr, false);
    REQUIRE(back.is_string());
    if (is_valid_utf8(text))
      REQUIRE(back.get<std::string>() == text);
  }
}

TEST_CASE("numbers are read back exactly") {
  std::string out;
  json_writer writer(out);
  writer.begin_array();
  writer.value(std::numeric_limits<int64_t>::min()).value(std::numeric_limits<uint64_t>::max());
  writer.value(0.1).value(1e300).value(-2.5).value(std::numeric_limits<double>::infinity());
  writer.value(std::numeric_limits<double>::quiet_NaN()).value(7).value(8U).value(uint8_t{200}).value(true);
  writer.end_array();
  const auto back = json::parse(out);
  CHECK(back[0].get<int64_t>() == std::numeric_limits<int64_t>::min());
  CHECK(back[1].get<uint64_t>() == std::numeric_limits<uint64_t>::max());
  CHECK(back[2].get<double>() == 0.1);
  CHECK(back[3].get<double>() == 1e300);
  CHECK(back[4].get<double>() == -2.5);
  CHECK(back[5].is_null());
  CHECK(back[6].is_null());
  CHECK(back[7] == 7);
  CHECK(back[8] == 8);
  CHECK(back[9] == 200);
  CHECK(back[10] == true);
}

TEST_CASE("objects and arrays get their commas") {
  std::string out;
  json_writer writer(out);
  writer.begin_object().member("status_code", 200).member("message", "ok").key("data").begin_object();
  writer.key("biz").begin_object().key("tasks").begin_array();
  for (const char* name : {"a", "b"})
    writer.begin_object().member("task_name", std::string(name)).member("result", false).end_object();
  writer.end_array().member("count", 2).end_object().key("empty").begin_array().end_array();
  writer.key("none").null().key("raw").raw("[1]").end_object().end_object();
  CHECK(out ==
        R"({"status_code":200,"message":"ok","data":{"biz":{"tasks":[{"task_name":"a","result":false},)"
        R"({"task_name":"b","result":false}],"count":2},"empty":[],"none":null,"raw":[1]}})");
}
