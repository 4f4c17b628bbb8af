// Requests as names and plain values, and channels out of them: JSON, forms, wrong types, null.
// What the gateway's decoders build on.
#include "services/wire/channel_members.hpp"
#include "services/wire/flat_object.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using Catch::Contains;

namespace {

flat_object read(const std::string& text, bool with_options = false) {
  auto object = read_flat_object(text, with_options);
  INFO(text);
  if (!object)
    FAIL(object.failure().message);
  return std::move(*object);
}

channel_patch patch_of(const std::string& text) {
  auto patch = decode_channel(read(text, true), unknown_members::refused);
  INFO(text);
  if (!patch)
    FAIL(patch.failure().message);
  return std::move(*patch);
}

error channel_refused(const std::string& text, unknown_members policy = unknown_members::refused) {
  auto object = read_flat_object(text, true);
  if (!object)
    return object.failure();
  auto patch = decode_channel(std::move(*object), policy);
  INFO(text);
  REQUIRE_FALSE(patch);
  return patch.failure();
}

flat_member member_of(json_scalar value, bool listed = false) {
  return {"m", std::move(value), listed};
}

} // namespace

TEST_CASE("a flat object is its members, lists are repeated members") {
  const auto object =
      read(R"({"a":"x","b":[1,true],"c":null,"a":2.5,"d":{"x":1},"e":[],"f":[{"g":1}],"h":[[1]]})");
  REQUIRE(object.members.size() == 5);
  CHECK(std::get<std::string>(object.members[0].value) == "x");
  CHECK(object.members[1].name == "b");
  CHECK(object.members[1].listed);
  CHECK(std::get<int64_t>(object.members[1].value) == 1);
  CHECK(std::get<bool>(object.members[2].value));
  CHECK(std::holds_alternative<std::nullptr_t>(object.members[3].value));
  CHECK(std::get<double>(object.members[4].value) == 2.5);
  CHECK(object.nested == std::vector<std::string>{"d", "e", "f", "h"});
  CHECK(read("").members.empty());
  CHECK(read(" \n").members.empty());
  CHECK(read("{}").members.empty());
  for (const std::string& text : {std::string("{\"a\":1}\0{\"b\":1}", 15), std::string(1, '\0')}) {
    const auto refused = read_flat_object(text, false);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.failure().message, Contains("NUL"));
  }
  for (const std::string text : {"[]", "5", "null", "\"x\"", "{", "{\"a\":1}x", "\xff"})
    CHECK_FALSE(read_flat_object(text, false));
}

TEST_CASE("options are set apart where they are asked for") {
  const auto object = read(R"({"name":"x","timeout":5,"env":{"A":"1"},"limits":{"memory":null}})", true);
  CHECK(object.members.size() == 1);
  CHECK(object.options.said.timeout_ms == int64_t{5'000});
  CHECK(object.options.opened == std::vector<std::string>{"limits.memory"});
  CHECK(read(R"({"timeout":5})").members.size() == 1);
}

TEST_CASE("single members are read as their kind, from text too") {
  CHECK(*read_switch(member_of(true)));
  CHECK(*read_switch(member_of(std::string("on"))));
  CHECK_FALSE(*read_switch(member_of(int64_t{0})));
  CHECK_FALSE(read_switch(member_of(int64_t{2})));
  CHECK_FALSE(read_switch(member_of(std::string(""))));
  CHECK_FALSE(read_switch(member_of(true, true)));

  CHECK(*read_whole(member_of(int64_t{5}), 1, 10) == 5);
  CHECK(*read_whole(member_of(std::string("10")), 1, 10) == 10);
  CHECK(read_whole(member_of(int64_t{11}), 1, 10).failure().code == error_code::out_of_range);
  CHECK(read_whole(member_of(std::string("1e999")), 1, 10).failure().code == error_code::out_of_range);
  CHECK(read_whole(member_of(1.5), 1, 10).failure().code == error_code::invalid_argument);
  CHECK(read_whole(member_of(std::string("ten")), 1, 10).failure().code == error_code::invalid_argument);
  CHECK(read_whole(member_of(nullptr), 1, 10).failure().code == error_code::invalid_argument);
  CHECK_THAT(read_whole(member_of(int64_t{5}, true), 1, 10).failure().message, Contains("\"m\" is an array"));

  CHECK(*read_duration(member_of(1.5), 2'000) == 1'500);
  CHECK(*read_duration(member_of(std::string("500ms")), 2'000) == 500);
  CHECK(*read_duration(member_of(std::string("2")), 2'000) == 2'000);
  CHECK(read_duration(member_of(int64_t{3}), 2'000).failure().code == error_code::out_of_range);
  CHECK(read_duration(member_of(std::string("1h")), 2'000).failure().code == error_code::out_of_range);
  CHECK(read_duration(member_of(int64_t{-1}), 2'000).failure().code == error_code::out_of_range);
  CHECK(read_duration(member_of(true), 2'000).failure().code == error_code::invalid_argument);

  CHECK(*read_moment(member_of(std::string("1970-01-01T00:00:01Z"))) == 1'000);
  CHECK(*read_moment(member_of(std::string("2.5"))) == 2'500);
  CHECK(*read_moment(member_of(int64_t{7})) == 7'000);
  CHECK(read_moment(member_of(int64_t{1'700'000'000'000})).failure().code == error_code::out_of_range);
  CHECK(read_moment(member_of(std::string("yesterday"))).failure().code == error_code::invalid_argument);

  CHECK(*read_text(member_of(std::string("x"))) == "x");
  CHECK_FALSE(read_text(member_of(int64_t{1})));
  CHECK_THAT(unknown_member("nope", "a, b").message, Contains("\"nope\"") && Contains("a, b"));
  CHECK_THAT(unknown_member(std::string(65, 'x'), "a").message, !Contains("xxx"));
}

TEST_CASE("form fields of options: variables and limits in every spelling") {
  task_options options;
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"env", "A=1"}, {"env[]", "B=2"}, {"env[C=]", "3"}}) {
    CHECK(is_option_field(name));
    const auto set = set_option_field(options, name, value);
    CHECK(static_cast<bool>(set) == true);
  }
  CHECK_FALSE(check_task_options(options)); // C= is no name
  options = {};
  REQUIRE(set_option_field(options, "env[HOME_DIR]", "a=b"));
  REQUIRE(set_option_field(options, "limits.memory", "64M"));
  REQUIRE(set_option_field(options, "limits[processes]", "5"));
  REQUIRE(set_option_field(options, "max_attempts", "3"));
  CHECK(options.environment.variables.front() == std::pair<std::string, std::string>("HOME_DIR", "a=b"));
  CHECK(options.environment.limits.memory_bytes == uint64_t{67'108'864});
  CHECK(options.environment.limits.processes == uint64_t{5});
  CHECK_FALSE(set_option_field(options, "limits.nope", "5"));
  for (const std::string name : {"task", "limit", "env.A", "environment", "limits"})
    CHECK(is_option_field(name) == (name == "limits"));
}

TEST_CASE("a channel is decoded, member by member") {
  channel_record record;
  REQUIRE(apply_patch(patch_of(R"({"name":"mail","distinct":true,"worker":0,"weight":5,"tasks_max":10,
                                   "max_attempts":3,"env":{"A":"1"}})"),
                      record));
  CHECK(record.distinct == distinct_mode::until_finished);
  CHECK(record.worker == 0U);
  CHECK(record.weight == 5);
  CHECK(record.tasks_max == uint64_t{10});
  CHECK(record.defaults.max_attempts == 3U);
  REQUIRE(apply_patch(patch_of(R"({"worker":null,"distinct":"while-pending","max_attempts":null})"), record));
  CHECK_FALSE(record.worker);
  CHECK(record.distinct == distinct_mode::while_pending);
  CHECK(record.weight == 5);
  CHECK_FALSE(record.defaults.max_attempts);
  CHECK(record.defaults.environment.variables.size() == 1);
  REQUIRE(apply_patch(patch_of(R"({"distinct":null,"weight":null,"tasks_max":null,"env":null})"), record));
  CHECK(record.distinct == distinct_mode::off);
  CHECK(record.weight == 1);
  CHECK_FALSE(record.tasks_max);
  CHECK(record.defaults.empty());
  // As a form has it; empty fields are open ones.
  REQUIRE(apply_patch(patch_of(R"({"worker":"3","distinct":"no","weight":"","tasks_max":"7"})"), record));
  CHECK(record.worker == 3U);
  CHECK(record.tasks_max == uint64_t{7});
}

TEST_CASE("a channel's wrong members are refused by name") {
  for (const std::string text :
       {R"({"distinct":"maybe"})", R"({"distinct":2})", R"({"worker":"many"})", R"({"worker":1.5})",
        R"({"worker":[1]})", R"({"worker":{}})", R"({"weight":true})", R"({"tasks_max":"x"})",
        R"({"name":5})", R"({"workers":1})", R"({"timeout":true})"}) {
    const auto why = channel_refused(text);
    CAPTURE(text, why.message);
    CHECK(why.code == error_code::invalid_argument);
    CHECK_THAT(why.message, Contains(text.substr(1, text.find(':') - 1)));
  }
  for (const std::string text :
       {R"({"worker":1025})", R"({"worker":-1})", R"({"weight":0})", R"({"weight":1001})",
        R"({"tasks_max":0})", R"({"timeout":0})", R"({"worker":99999999999999999999})"})
    CHECK(channel_refused(text).code == error_code::out_of_range);
  // Where unknown members are ignored, known ones are not.
  CHECK(channel_refused(R"({"x":{},"worker":{}})", unknown_members::ignored).code ==
        error_code::invalid_argument);
  REQUIRE(decode_channel(read(R"({"x":{},"y":[1],"z":1,"worker":2})", true), unknown_members::ignored));
}

TEST_CASE("a patch that makes a channel's options too large changes nothing") {
  const auto filled = [](const std::string& prefix) {
    std::string text = "{\"env\":{";
    for (int i = 0; i < 200; ++i)
      text += (i == 0 ? "\"" : ",\"") + prefix + std::to_string(i) + "\":\"\"";
    return text + "}}";
  };
  channel_record record;
  REQUIRE(apply_patch(patch_of(filled("A")), record));
  const auto before = record.defaults;
  CHECK_FALSE(apply_patch(patch_of(filled("B")), record));
  CHECK(record.defaults == before);
}
