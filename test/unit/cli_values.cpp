// JSON answers in memory, the exit codes they stand for, and text made fit for terminals.
#include "services/cli/console.hpp"
#include "services/cli/exit_codes.hpp"
#include "services/cli/json_value.hpp"
#include "services/cli/task_view.hpp"

#include <catch2/catch.hpp>

#include <clocale>

using namespace task_runner;
using namespace task_runner::cli;

namespace {

json_value parsed(const std::string& text) {
  auto value = parse_json(text);
  INFO((value ? std::string() : value.failure().message));
  REQUIRE(value);
  return *value;
}

int code_of(const std::string& state, const std::string& outcome) {
  return exit_code_of(parsed(R"({"state":")" + state + R"(","outcome":)" + outcome + "}"));
}

} // namespace

TEST_CASE("cli: a JSON value is looked into and written back as it was") {
  const std::string text =
      R"({"a":[1,-2.5,true,null,"x\"\n",[],{}],"b":{"c":{"d":18446744073709551615}},"a2":false})";
  const auto value = parsed(text);
  CHECK(value["a"].items().size() == 7);
  CHECK(value["a"].items()[0].whole() == 1);
  CHECK(value["a"].items()[1].number() == -2.5);
  CHECK(value["a"].items()[1].whole() == -2);
  CHECK(value["a"].items()[2].is_true());
  CHECK(value["a"].items()[3].is_null());
  CHECK(value["a"].items()[4].text() == "x\"\n");
  CHECK(value["b"]["c"]["d"].number() > 1e19);
  CHECK(value["b"]["c"]["d"].whole() == 0);
  CHECK(value["none"]["of"]["this"].is_null());
  CHECK(value["a2"].is_object() == false);
  CHECK(value["b"].is_object());
  CHECK(parsed(R"({"a":[1,-2.5,true,null,"x\"\n",[],{}]})").dump() ==
        R"({"a":[1,-2.5,true,null,"x\"\n",[],{}]})");
  const std::string exact = "[9223372036854775808,18446744073709551615,-9223372036854775808]";
  CHECK(parsed(exact).dump() == exact);
  CHECK(parsed(exact).items()[2].whole() == INT64_MIN);
  // A value outlives the one that it was found in.
  const auto part = parsed(R"({"a":{"b":"text"}})")["a"];
  CHECK(part["b"].text() == "text");
  CHECK(part.members().at(0).name == "b");
  CHECK(json_value().dump() == "null");
  CHECK(parse_json(std::string(answer_depth_max, '[') + "1" + std::string(answer_depth_max, ']')));
  CHECK_FALSE(parse_json(std::string(answer_depth_max + 1, '[') + std::string(answer_depth_max + 1, ']')));
  CHECK_FALSE(parse_json("\"\xff\""));
  CHECK_FALSE(parse_json("{"));
  CHECK_FALSE(parse_json(""));
  CHECK_FALSE(parse_json("{} x"));
  CHECK_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
}

TEST_CASE("cli: the end of a task becomes an exit code") {
  CHECK(code_of("finished", R"({"kind":"exited","code":0})") == 0);
  CHECK(code_of("dead", R"({"kind":"exited","code":7})") == 7);
  CHECK(code_of("dead", R"({"kind":"exited","code":255})") == 255);
  CHECK(code_of("dead", R"({"kind":"signalled","signal":15})") == 143);
  CHECK(code_of("dead", R"({"kind":"timed_out"})") == 124);
  CHECK(code_of("dead", R"({"kind":"spawn_failed","error":"x"})") == 1);
  CHECK(code_of("dead", R"({"kind":"lost"})") == 1);
  CHECK(code_of("cancelled", R"({"kind":"cancelled"})") == 1);
  CHECK(code_of("cancelled", R"({"kind":"expired"})") == 1);
  CHECK(code_of("cancelled", "null") == 1);
  // It did not succeed, whatever its last attempt said.
  CHECK(code_of("cancelled", R"({"kind":"exited","code":0})") == 1);
  CHECK(code_of("dead", R"({"kind":"exited","code":0})") == 1);
  CHECK(code_of("dead", R"({"kind":"exited","code":300})") == 1);
  CHECK(code_of("cancelled", R"({"kind":"exited","code":7})") == 1);
}

TEST_CASE("cli: text of others is made printable") {
  CHECK(printable("plain text, ä 中") == "plain text, ä 中");
  CHECK(printable("a\nb\tc") == "a b c");
  CHECK(printable("\033[31m\x07\x7f") == "?[31m??");
  CHECK(printable("\xc2\x9b"
                  "31m") == "?31m"); // CSI as one character of C1
  CHECK(printable("\xe2\x80\xae"
                  "evil") == "?evil"); // turns the direction around
  // Where something is no UTF-8, nothing beyond ASCII can be told from controls.
  CHECK(printable("\xff\xfe"
                  "x\033") == "??x?");
  CHECK(printable(std::string("\0x", 2)) == "?x");
}

TEST_CASE("cli: columns are counted as terminals do") {
  REQUIRE(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr);
  CHECK(width_of("\xf0\x9f\x98\x80\xef\xb8\x8f") == 2); // an emoji, and a mark that it is one
  CHECK(width_of("\xe2\x80\x8b") == 0);
  CHECK(width_of("한국 ﾊ") == 6);
  CHECK(width_of("abc") == 3);
  CHECK(width_of("中文") == 4);
  CHECK(width_of("e\xcc\x81") == 1);
  CHECK(clipped("abcdef", 6, "…") == "abcdef");
  CHECK(clipped("abcdefg", 6, "…") == "abcde…");
  CHECK(clipped("中文字", 5, "…") == "中文…");
  CHECK(clipped("中文字", 4, "…") == "中…");
  CHECK(clipped("abc", 0, "...") == "...");
  CHECK(padded("中", 4) == "中  ");
  CHECK(padded("abcde", 4) == "abcde");
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1'234'567) == "1,234,567");
  CHECK(short_duration(0.25) == "0.2s");
  CHECK(short_duration(-3) == "0.0s");
  CHECK(short_duration(59.9) == "59s");
  CHECK(short_duration(250) == "4m10s");
  CHECK(short_duration(7'500) == "2h05m");
  CHECK(short_duration(273'600) == "3d4h");
}

TEST_CASE("cli: of text that is no UTF-8 nothing but plain characters is left") {
  CHECK(printable("a\x1b~\x7f\x80\x9b\xff b") == "a?~???? b");
}

TEST_CASE("cli: JSON that is shown drives no terminal, and means the same") {
  const std::string sly = "a\xc2\x9b"
                          "31m\xe2\x80\xae"
                          "b\x7f\xc3\xa4";
  const auto shown = parsed(R"({"name":")" + sly + R"("})").dump();
  CHECK(shown == "{\"name\":\"a\\u009b31m\\u202eb\\u007f\xc3\xa4\"}");
  CHECK(parsed(shown)["name"].text() == sly);
}

TEST_CASE("cli: ids that were made are cut to their ends, others are left whole") {
  CHECK(short_id("019c1466-7c00-7000-8000-0000deadbeef") == "deadbeef");
  CHECK(short_id("an-id-of-somebody-else-that-is-as-long-as-that-and-longer") ==
        "an-id-of-somebody-else-that-is-as-long-as-that-and-longer");
  CHECK(short_id("").empty());
}

TEST_CASE("cli: what is in a task's way is said as far as it is known") {
  const console terminal;
  const auto text_of = [&](const std::string& blocker) {
    return reason_text(
        parsed(R"({"id":"a","state":"pending","message":"waits","blocked_by":[)" + blocker + "]}"), terminal);
  };
  CHECK(text_of(R"({"kind":"limit","name":"worker","value":4,"used":3})").find("worker: 3 of 4 are used") !=
        std::string::npos);
  const auto unused = text_of(R"({"kind":"limit","name":"concurrency_max","value":1})");
  CHECK(unused.find("concurrency_max is 1\n") != std::string::npos);
  CHECK(unused.find("used") == std::string::npos);
}
