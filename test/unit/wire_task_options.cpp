// Task options in JSON and as named texts: every option, every refusal, and that what is written is read
// back. One table of samples drives both ways in, so that neither can know an option more.
#include "services/domain/names.hpp"
#include "services/wire/push_json.hpp"
#include "services/wire/task_options_json.hpp"
#include "services/wire/task_options_reader.hpp"
#include "services/wire/task_options_table.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <random>

using namespace task_runner;
using Catch::Contains;
using variables = std::vector<std::pair<std::string, std::string>>;
using codes = std::vector<uint8_t>;

namespace {

task_options decoded(const std::string& text) {
  auto options = decode_task_options(text);
  INFO(text);
  if (!options)
    FAIL(options.failure().message);
  return *options;
}

error refused(const std::string& text) {
  auto options = decode_task_options(text);
  INFO(text);
  REQUIRE_FALSE(options);
  CHECK(is_valid_utf8(options.failure().message));
  return options.failure();
}

error refused_text(const std::string& name, const std::string& text) {
  task_options options;
  options.priority = 7;
  const auto before = options;
  auto set = set_task_option(options, name, text);
  INFO(name << " = " << text);
  REQUIRE_FALSE(set);
  CHECK(options == before); // a refused option changes nothing
  return set.failure();
}

/// An option, one value as JSON and the same as text.
struct sample {
  std::string name;
  std::string json;
  std::string text;
};

const std::vector<sample> samples{{"priority", "-1000", "-1000"},
                                  {"max_attempts", "1000", "1000"},
                                  {"backoff", "\"linear\"", "linear"},
                                  {"backoff_s", "0.25", "250ms"},
                                  {"backoff_max_s", "7200", "2h"},
                                  {"jitter", "0.125", "0.125"},
                                  {"retry_on", "[1,75,255]", "1, 75,255"},
                                  {"timeout_s", "90.5", "90500ms"},
                                  {"grace_s", "0", "0"},
                                  {"expires_s", "86400", "1d"},
                                  {"delivery", "\"at-most-once\"", "at-most-once"},
                                  {"concurrency_key", "\"k ä\"", "k ä"},
                                  {"concurrency_max", "1024", "1024"},
                                  {"env", R"({"A":"x=y"})", "A=x=y"},
                                  {"cwd", "\"/srv\"", "/srv"},
                                  {"stdin", R"("line\n")", "line\n"},
                                  {"user", "\"mail\"", "mail"},
                                  {"nice", "-20", "-20"},
                                  {"umask", "\"0777\"", "777"}};
const std::vector<sample> limit_samples{{"memory", "67108864", "64M"},
                                        {"cpu_s", "3600", "1h"},
                                        {"processes", "64", "64"},
                                        {"file_size", "0", "0"}};

} // namespace

TEST_CASE("every option is read from JSON and from text alike, and written as it is read") {
  // No option without a sample.
  size_t known = 2; // retry_on, env
  for (const auto& entry : single_options()) {
    CAPTURE(entry.name);
    CHECK(
        std::any_of(samples.begin(), samples.end(), [&](const auto& one) { return one.name == entry.name; }));
    ++known;
  }
  CHECK(known == samples.size());
  for (const auto& one : samples) {
    CAPTURE(one.name);
    const auto options = decoded("{\"" + one.name + "\":" + one.json + "}");
    CHECK_FALSE(options.empty());
    task_options from_text;
    REQUIRE(set_task_option(from_text, one.name, one.text));
    CHECK(options == from_text);
    task_options from_dashes;
    std::string dashed = one.name;
    std::replace(dashed.begin(), dashed.end(), '_', '-');
    REQUIRE(set_task_option(from_dashes, dashed, one.text));
    CHECK(options == from_dashes);
    CHECK(decoded(encode_task_options(options)) == options);
    CHECK(is_task_option(one.name));
  }
  for (const auto& one : limit_samples) {
    CAPTURE(one.name);
    const auto options = decoded("{\"limits\":{\"" + one.name + "\":" + one.json + "}}");
    task_options from_text;
    REQUIRE(set_task_option(from_text, "limits." + one.name, one.text));
    CHECK(options == from_text);
    CHECK(decoded(encode_task_options(options)) == options);
  }
}

TEST_CASE("what is said is what is decoded") {
  const auto options = decoded(
      R"({"timeout":"5m","grace":1.5,"expires":"500ms","retry_on":[2,2,1],"umask":"022","nice":5,"priority":3,
          "env":{"B":"1","A":"","B":"2"},"limits":{"memory":"1G","cpu":"1500ms"},"backoff":"constant"})");
  CHECK(options.timeout_ms == int64_t{300'000});
  CHECK(options.grace_ms == int64_t{1'500});
  CHECK(options.expires_ms == int64_t{500});
  CHECK(options.retry_on == codes{2, 1});
  CHECK(options.environment.file_mask == 022U);
  CHECK(options.environment.nice == 5);
  CHECK(options.priority == 3);
  CHECK(options.environment.variables == variables{{"B", "2"}, {"A", ""}}); // in their order, the last B
  CHECK(options.environment.limits.memory_bytes == uint64_t{1'073'741'824});
  CHECK(options.environment.limits.cpu_s == uint64_t{2}); // whole seconds, rounded up
  CHECK(options.backoff == backoff_kind::constant);
  CHECK(encode_task_options({}) == "{}");
  CHECK(nlohmann::json::parse(encode_task_options(options)).at("timeout_s") == 300);
  CHECK(nlohmann::json::parse(encode_task_options(options)).at("umask") == "022");
}

TEST_CASE("null says nothing, and the last of equal names counts") {
  CHECK(decoded(R"({"timeout":null,"env":null,"limits":{"memory":null},"retry_on":null})").empty());
  CHECK(decoded(R"({"nice":1,"nice":null})").empty());
  CHECK(decoded(R"({"nice":1,"nice":2})").environment.nice == 2);
  CHECK(decoded(R"({"env":{"A":"1"},"env":{"B":"2"}})").environment.variables == variables{{"B", "2"}});
  CHECK(decoded(R"({"retry_on":[1],"retry_on":[2]})").retry_on == codes{2});
  CHECK(decoded(R"({"retry_on":[]})").retry_on == codes{});
  CHECK(decoded("{}").empty());
}

TEST_CASE("numbers may come as text, as forms and many clients send them") {
  CHECK(decoded(R"({"priority":"-5","max_attempts":"3","jitter":"0.5","timeout":"30","nice":"1"})") ==
        decoded(R"({"priority":-5,"max_attempts":3,"jitter":0.5,"timeout":30,"nice":1})"));
  CHECK(decoded(R"({"max_attempts":3.0})").max_attempts == 3U);
}

TEST_CASE("a duration above nothing never becomes nothing") {
  CHECK(decoded(R"({"timeout":0.0001})").timeout_ms == int64_t{1});
  CHECK(decoded(R"({"timeout":0.07})").timeout_ms == int64_t{70});
}

TEST_CASE("an option of the wrong type or with a value that cannot be read is refused by name") {
  for (const std::string text : {R"({"priority":true})",
                                 R"({"priority":"high"})",
                                 R"({"priority":1.5})",
                                 R"({"priority":{}})",
                                 R"({"priority":[1]})",
                                 R"({"max_attempts":""})",
                                 R"({"backoff":1})",
                                 R"({"backoff":"quadratic"})",
                                 R"({"backoff_s":"soon"})",
                                 R"({"jitter":"nan"})",
                                 R"({"jitter":{}})",
                                 R"({"retry_on":5})",
                                 R"({"retry_on":["5"]})",
                                 R"({"retry_on":[[5]]})",
                                 R"({"retry_on":[{}]})",
                                 R"({"retry_on":[null]})",
                                 R"({"timeout":"5w"})",
                                 R"({"timeout":[5]})",
                                 R"({"grace":true})",
                                 R"({"delivery":"maybe"})",
                                 R"({"concurrency_key":5})",
                                 R"({"concurrency_max":"many"})",
                                 R"({"env":"A=B"})",
                                 R"({"env":["A=B"]})",
                                 R"({"env":{"A":1}})",
                                 R"({"env":{"A":["x"]}})",
                                 R"({"env":{"A":{}}})",
                                 R"({"cwd":7})",
                                 R"({"stdin":7})",
                                 R"({"user":0})",
                                 R"({"nice":"x"})",
                                 R"({"umask":18})",
                                 R"({"umask":"9"})",
                                 R"({"umask":""})",
                                 R"({"limits":5})",
                                 R"({"limits":[]})",
                                 R"({"limits":{"memory":"64X"}})",
                                 R"({"limits":{"memory":-1}})",
                                 R"({"limits":{"memory":{}}})",
                                 R"({"limits":{"memory":[1]}})",
                                 R"({"limits":{"cpu_s":-1}})",
                                 R"({"limits":{"processes":"few"}})",
                                 R"({"limits":{"files":3}})"}) {
    const auto why = refused(text);
    CAPTURE(text, why.message);
    CHECK(why.code == error_code::invalid_argument);
    const auto begin = text.find('"') + 1;
    CHECK_THAT(why.message, Contains("\"" + text.substr(begin, text.find('"', begin) - begin)));
    CHECK_THAT(why.message, Contains("expected") || Contains("allowed"));
    // The same inside of a push; and nothing else of the push hides it.
    const auto item = decode_push_json("{\"task\":\"x\"," + text.substr(1));
    REQUIRE_FALSE(item);
    CHECK(item.failure().message == why.message);
  }
}

TEST_CASE("a value outside its range is refused by name") {
  for (const auto& [name, low, high] : std::vector<sample>{{"priority", "-1001", "1001"},
                                                           {"max_attempts", "0", "1001"},
                                                           {"max_attempts", "-1", "99999999999999999999"},
                                                           {"backoff_s", "-1", "31622401"},
                                                           {"backoff_max_s", "-0.0001", "1e300"},
                                                           {"jitter", "-0.1", "1.1"},
                                                           {"retry_on", "[0]", "[256]"},
                                                           {"retry_on", "[-1]", "[1.5]"},
                                                           {"timeout_s", "0", "315619201"},
                                                           {"grace_s", "-1", "3600.1"},
                                                           {"expires_s", "0", "1e18"},
                                                           {"concurrency_max", "0", "1025"},
                                                           {"nice", "-21", "20"},
                                                           {"umask", "\"1000\"", "\"77777777777777\""}}) {
    for (const auto& value : {low, high}) {
      const auto why = refused("{\"" + name + "\":" + value + "}");
      CAPTURE(name, value, why.message);
      CHECK(why.code == error_code::out_of_range);
      CHECK_THAT(why.message, Contains(name));
    }
  }
  for (const std::string limit : {"memory", "cpu_s", "processes"}) {
    const auto why = refused("{\"limits\":{\"" + limit + "\":0}}");
    CHECK(why.code == error_code::out_of_range);
    CHECK_THAT(why.message, Contains("limits." + limit));
  }
}

TEST_CASE("texts of options are checked") {
  CHECK(refused(R"({"cwd":"tmp"})").code == error_code::invalid_argument);
  CHECK(refused(R"({"cwd":""})").code == error_code::invalid_argument);
  CHECK(refused(R"({"cwd":"/a\u0000b"})").code == error_code::invalid_argument);
  CHECK(refused("{\"cwd\":\"/" + std::string(4'096, 'x') + "\"}").code == error_code::too_large);
  CHECK(refused(R"({"user":""})").code == error_code::invalid_argument);
  CHECK(refused(R"({"env":{"":"x"}})").code == error_code::invalid_argument);
  CHECK(refused(R"({"env":{"A=B":"x"}})").code == error_code::invalid_argument);
  CHECK(refused(R"({"env":{"A":"a\u0000b"}})").code == error_code::invalid_argument);
  CHECK(refused("{\"env\":{\"A\":\"" + std::string(131'072, 'x') + "\"}}").code == error_code::too_large);
  CHECK(refused("{\"concurrency_key\":\"" + std::string(513, 'x') + "\"}").code == error_code::too_large);
  CHECK(refused("{\"stdin\":\"" + std::string(1'048'577, 'x') + "\"}").code == error_code::too_large);
  CHECK(decoded("{\"stdin\":\"" + std::string(1'048'576, 'x') + "\"}").environment.input->size() ==
        1'048'576);
  CHECK(decoded(R"({"stdin":"a\u0000b","concurrency_key":""})").environment.input == std::string("a\0b", 3));

  std::string many = "{\"env\":{";
  for (int i = 0; i < 257; ++i)
    many += (i == 0 ? "\"V" : ",\"V") + std::to_string(i) + "\":\"\"";
  CHECK(refused(many + "}}").code == error_code::too_large);
  std::string much = "{\"env\":{";
  for (int i = 0; i < 3; ++i)
    much += (i == 0 ? "\"V" : ",\"V") + std::to_string(i) + "\":\"" + std::string(100'000, 'x') + "\"";
  CHECK(refused(much + "}}").code == error_code::too_large);
}

TEST_CASE("an object of options holds nothing else, and is an object") {
  CHECK_THAT(refused(R"({"timeot":5})").message, Contains("timeout_s") && Contains("limits.memory"));
  CHECK(refused(R"({"task":"x"})").code == error_code::invalid_argument);
  for (const std::string text : {"[]", "5", "null", "\"x\"", "", "{", R"({"nice":5)"})
    CHECK(refused(text).code == error_code::invalid_argument);
  CHECK_THAT(refused(R"({"timeout":5,"timeout_s":5})").message,
             Contains("\"timeout\" and \"timeout_s\" are both given"));
}

TEST_CASE("named texts are refused by name, and change nothing") {
  CHECK_THAT(refused_text("nope", "1").message, Contains("max_attempts") && Contains("limits.memory"));
  CHECK(refused_text("limits", "64M").code == error_code::invalid_argument);
  CHECK(refused_text("limits.files", "64").code == error_code::invalid_argument);
  CHECK_THAT(refused_text("env", "NAME").message, Contains("NAME=VALUE"));
  CHECK(refused_text("env", "=x").code == error_code::invalid_argument);
  CHECK(refused_text("max-attempts", "x").code == error_code::invalid_argument);
  CHECK(refused_text("max-attempts", "0").code == error_code::out_of_range);
  CHECK(refused_text("retry-on", "1,,2").code == error_code::invalid_argument);
  CHECK(refused_text("retry-on", "one").code == error_code::invalid_argument);
  CHECK(refused_text("timeout", "-1").code == error_code::out_of_range);
  CHECK(refused_text("timeout", " 5").code == error_code::invalid_argument);
  CHECK(refused_text("cwd", "\xff").code == error_code::invalid_argument);
  task_options options;
  REQUIRE(set_task_option(options, "env", "A=1"));
  REQUIRE(set_task_option(options, "env", "B="));
  REQUIRE(set_task_option(options, "env", "A=2"));
  CHECK(options.environment.variables == variables{{"A", "2"}, {"B", ""}});
}

TEST_CASE("what is listed can be set again") {
  task_options options;
  for (const auto& one : samples)
    REQUIRE(set_task_option(options, one.name, one.text));
  for (const auto& one : limit_samples)
    REQUIRE(set_task_option(options, "limits." + one.name, one.text));
  task_options again;
  for (const auto& [name, text] : list_task_options(options)) {
    CAPTURE(name, text);
    if (name.compare(0, 4, "env.") == 0)
      REQUIRE(set_task_option(again, "env", name.substr(4) + "=" + text));
    else
      REQUIRE(set_task_option(again, name, text));
  }
  CHECK(again == options);
  CHECK(list_task_options({}).empty());
}

TEST_CASE("a patch changes what it says, opens what it nulls and leaves the rest") {
  const auto existing = decoded(R"({"timeout":5,"nice":3,"env":{"A":"1","B":"2","C":"3"},
                                    "limits":{"memory":"1M","processes":5},"retry_on":[1]})");
  task_options_reader reader;
  struct forwarder final : json_events {
    explicit forwarder(task_options_reader& to)
        : reader(to) {}
    bool scalar(json_scalar value) override { return reader.scalar(std::move(value)); }
    bool start_object() override { return !reader.is_open() || reader.start_object(); }
    bool key(std::string name) override { return reader.is_open() ? reader.key(name) : reader.begin(name); }
    bool end_object() override { return !reader.is_open() || reader.end_object(); }
    bool start_array() override { return reader.start_array(); }
    bool end_array() override { return reader.end_array(); }
    task_options_reader& reader;
  } events(reader);
  REQUIRE(read_json(R"({"timeout":null,"priority":9,"env":{"A":null,"B":"x","D":"4"},
                        "limits":{"memory":null,"cpu_s":7}})",
                    events));
  const auto patched = apply_patch(existing, reader.patch());
  CHECK(patched == decoded(R"({"nice":3,"priority":9,"env":{"B":"x","C":"3","D":"4"},
                               "limits":{"processes":5,"cpu_s":7},"retry_on":[1]})"));
  CHECK(apply_patch(existing, {}) == existing);
}

TEST_CASE("options of a push stand beside its other members") {
  auto item = decode_push_json(R"({"env":{"A":"1"},"task":"x","args":["1"],"command":"echo","timeout":"5m",
                                   "unknown":{"timeout":[1]},"distinct_key":"order-1","nice":null})");
  REQUIRE(item);
  CHECK(item->name == "x");
  CHECK(item->command.argv == std::vector<std::string>{"echo", "1"});
  CHECK(item->distinct_key == "order-1");
  CHECK(item->options == decoded(R"({"env":{"A":"1"},"timeout":300})"));
  item = decode_push_json(R"({"task":"x","distinct_key":5})");
  REQUIRE_FALSE(item);
  CHECK_THAT(item.failure().message, Contains("\"distinct_key\" is a number; expected text"));
  REQUIRE(decode_push_json(R"({"task":"x","timeot":true,"limits.memory":[]})")); // not options: ignored
}

TEST_CASE("random options survive their way through JSON") {
  std::mt19937_64 random(GENERATE(take(200, Catch::Generators::random(0, 1 << 30))));
  const auto up_to = [&random](uint64_t most) { return random() % (most + 1); };
  task_options options;
  if (up_to(1))
    options.priority = static_cast<int32_t>(up_to(2'000)) - 1'000;
  if (up_to(1))
    options.backoff_ms = static_cast<int64_t>(up_to(static_cast<uint64_t>(year_ms)));
  if (up_to(1))
    options.timeout_ms = 1 + static_cast<int64_t>(up_to(10'000'000'000));
  if (up_to(1))
    options.jitter = static_cast<double>(up_to(1'000'000)) / 1'000'000;
  if (up_to(1))
    options.delivery = delivery_kind::at_least_once;
  if (up_to(1))
    options.environment.input = std::string(up_to(40), static_cast<char>(up_to(127)));
  if (up_to(1))
    options.environment.file_mask = static_cast<uint32_t>(up_to(0777));
  if (up_to(1))
    options.environment.limits.memory_bytes = 1 + up_to(uint64_t{1} << 62U);
  for (uint64_t i = up_to(5); i > 0; --i)
    options.environment.variables.emplace_back("V" + std::to_string(i), std::string(up_to(9), '"'));
  CHECK(decoded(encode_task_options(options)) == options);
}
