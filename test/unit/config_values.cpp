// The grammars of single values, with examples at every edge. Properties over random values print their seed.
#include "config/values.hpp"
#include "services/domain/channel.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <random>

using namespace task_runner;

namespace {

constexpr int rounds = 2'000;

/// Seeded by Catch2's own seed, which a failure prints and --rng-seed repeats.
std::mt19937_64 generator() {
  return std::mt19937_64(Catch::rngSeed());
}

int64_t between(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

std::string noise(std::mt19937_64& random) {
  constexpr char letters[] = "0123456789.:[]msdhkMG-+ ,ex\xff";
  std::string text;
  for (int64_t length = between(random, 0, 12); length > 0; --length)
    text += letters[between(random, 0, static_cast<int64_t>(sizeof letters) - 2)];
  return text;
}

} // namespace

TEST_CASE("a switch takes the usual words and no others") {
  for (const char* text : {"true", "1", "yes", "on"})
    CHECK(*parse_switch(text));
  for (const char* text : {"false", "0", "no", "off"})
    CHECK_FALSE(*parse_switch(text));
  for (const char* text : {"", "TRUE", "2", "truee", " true", "y"})
    CHECK_FALSE(parse_switch(text));
}

TEST_CASE("a duration has a unit or is in seconds") {
  const std::pair<const char*, int64_t> good[] = {
      {"500ms", 500},    {"10s", 10'000},    {"5m", 300'000},
      {"2h", 7'200'000}, {"1d", 86'400'000}, {"10", 10'000},
      {"0", 0},          {"0s", 0},          {"0.0", 0},
      {"1.5", 1'500},    {"0.25h", 900'000}, {"1.000000001", 1'001},
      {"0.1ms", 1},      {"007", 7'000},     {"3653d", duration_ms_max}};
  for (const auto& [text, expected] : good) {
    CAPTURE(text);
    REQUIRE(parse_duration_ms(text));
    CHECK(*parse_duration_ms(text) == expected);
  }
  for (const char* text : {"",
                           "s",
                           "ms",
                           "-1",
                           "+1",
                           "1 s",
                           " 1s",
                           "1s ",
                           "1e3",
                           "1.",
                           ".5",
                           "1..2",
                           "1.2.3",
                           "1w",
                           "1S",
                           "3654d",
                           "3653.1d",
                           "99999999999999999999",
                           "1.0000000001",
                           "0x10",
                           "1ss",
                           "1,5",
                           "nan",
                           "inf"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration_ms(text));
  }
}

TEST_CASE("a size is in bytes or has k, M or G") {
  const std::pair<const char*, uint64_t> good[] = {
      {"0", 0},          {"1", 1},
      {"1k", 1'024},     {"2K", 2'048},
      {"1M", 1'048'576}, {"3G", 3'221'225'472},
      {"0G", 0},         {"9223372036854775807", 9'223'372'036'854'775'807ULL}};
  for (const auto& [text, expected] : good) {
    CAPTURE(text);
    REQUIRE(parse_size(text));
    CHECK(*parse_size(text) == expected);
  }
  for (const char* text :
       {"", "k", "1m", "1g", "1kb", "1 k", "-1", "1.5M", "9223372036854775808", "8589934592G", "1T"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
  CHECK(*parse_body_size("1k") == body_bytes_min);
  CHECK(*parse_body_size("64M") == body_bytes_max);
  CHECK_FALSE(parse_body_size("1023"));
  CHECK_FALSE(parse_body_size("67108865"));
}

TEST_CASE("numbers keep to their ranges") {
  CHECK(*parse_concurrent("1") == 1);
  CHECK(*parse_concurrent("1024") == worker_max);
  CHECK(*parse_worker("0") == 0);
  CHECK(*parse_redis_db("15") == 15);
  for (const char* text :
       {"0", "1025", "", "-1", "+5", "5.0", " 5", "five", "4294967301", "18446744073709551621"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_concurrent(text));
  }
  CHECK_FALSE(parse_redis_db("16"));
  CHECK(parse_concurrent("0").failure().message == "give a whole number from 1 to 1024");
}

TEST_CASE("a Redis address may leave out host or port") {
  const std::pair<const char*, host_port> good[] = {{"127.0.0.1:6379", {"127.0.0.1", 6379}},
                                                    {"redis", {"redis", 6379}},
                                                    {"redis.example.com:7000", {"redis.example.com", 7000}},
                                                    {"my_redis:1", {"my_redis", 1}},
                                                    {":6380", {"127.0.0.1", 6380}},
                                                    {"[::1]", {"::1", 6379}},
                                                    {"[fe80::1]:65535", {"fe80::1", 65535}}};
  for (const auto& [text, expected] : good) {
    CAPTURE(text);
    REQUIRE(parse_redis_address(text));
    CHECK(*parse_redis_address(text) == expected);
  }
  for (const char* text : {"", "::1", "::1:6379", "host:", "host:0", "host:65536", "host:6379x", "[::1",
                           "::1]:1", "[::1]6379", "[127.0.0.1]:1", "999.1.1.1:1", "1.2.3:1", "a b:1",
                           "redis://h:1", "-h:1", "a..b:1", "/run/redis.sock", "h:-1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_redis_address(text));
  }
}

TEST_CASE("a listening address names its port, and without a host means every interface") {
  const std::pair<const char*, host_port> good[] = {
      {"127.0.0.1:60001", {"127.0.0.1", 60001}},
      {"localhost:60001", {"127.0.0.1", 60001}},
      {"LocalHost:0", {"127.0.0.1", 0}},
      {":60001", {"0.0.0.0", 60001}},
      {"*:80", {"0.0.0.0", 80}},
      {"[::1]:60001", {"::1", 60001}},
      {"[::]:1", {"::", 1}},
      {"tasks.example.com:65535", {"tasks.example.com", 65535}}};
  for (const auto& [text, expected] : good) {
    CAPTURE(text);
    REQUIRE(parse_listen_address(text));
    CHECK(*parse_listen_address(text) == expected);
  }
  for (const char* text : {"", "60001", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:60001", "[]:1",
                           "[::1]", "127.0.0.1:http", "127.0.0:1", "http://127.0.0.1:1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_listen_address(text));
  }
}

TEST_CASE("only 127/8 and ::1 are loopback") {
  for (const char* host : {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"})
    CHECK(is_loopback(host));
  for (const char* host :
       {"0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "::ffff:10.0.0.1", "example.com", "127.evil.example", ""})
    CHECK_FALSE(is_loopback(host));
}

TEST_CASE("lists are split at commas") {
  CHECK(*split_list("a") == std::vector<std::string>{"a"});
  CHECK(*split_list(" a ,b,\tc ") == std::vector<std::string>{"a", "b", "c"});
  CHECK(split_list("")->empty());
  CHECK(split_list("   ")->empty());
  for (const char* text : {",", "a,", ",a", "a,,b", "a, ,b"})
    CHECK_FALSE(split_list(text));
  std::string long_list = "x";
  for (size_t i = 1; i < list_length_max; ++i)
    long_list += ",x";
  CHECK(split_list(long_list)->size() == list_length_max);
  CHECK_FALSE(split_list(long_list + ",x"));
}

TEST_CASE("intake keys are lists that others push to") {
  CHECK(*parse_intake_keys("task:prepare:queue,:task:prepare:queue") ==
        std::vector<std::string>{"task:prepare:queue", ":task:prepare:queue"});
  for (const char* text : {"", "a,a", "task:prepare:rejected", "a,{a}:taken:node:1"})
    CHECK_FALSE(parse_intake_keys(text));
  CHECK_FALSE(parse_intake_keys(std::string(513, 'k')));
}

TEST_CASE("allowed hosts carry no port") {
  CHECK(*parse_allow_hosts("Tasks.Example.com,10.0.0.1,[::1],fe80::1") ==
        std::vector<std::string>{"tasks.example.com", "10.0.0.1", "::1", "fe80::1"});
  CHECK(parse_allow_hosts("")->empty());
  for (const char* text : {"a:80", "*", "http://a", "a b", "[::1]:80", "[]"})
    CHECK_FALSE(parse_allow_hosts(text));
}

TEST_CASE("text for a message is quoted, safe and short") {
  CHECK(quote_for_message("a b") == "'a b'");
  CHECK(quote_for_message("a\nb\x7f") == "'a\\x0ab\\x7f'");
  CHECK(quote_for_message("\xff\xc3\xa4") == "'\\xff\\xc3\\xa4'");
  CHECK(quote_for_message("ä") == "'ä'");
  CHECK(quote_for_message(std::string(81, 'x')) == "'" + std::string(80, 'x') + "…'");
  // The 80th byte falls into a character: it is left out whole.
  CHECK(quote_for_message(std::string(79, 'x') + "ää") == "'" + std::string(79, 'x') + "…'");
}

TEST_CASE("property: what is formatted is read back the same") {
  auto random = generator();
  for (int i = 0; i < rounds; ++i) {
    // Log-uniform, so that small values and round ones occur as well as large ones.
    const int64_t limit = int64_t{1} << between(random, 0, 38);
    const int64_t duration_ms = between(random, 0, std::min(limit, duration_ms_max));
    REQUIRE(*parse_duration_ms(format_duration(duration_ms)) == duration_ms);
    const auto size = static_cast<uint64_t>(between(random, 0, limit)) << between(random, 0, 24);
    REQUIRE(*parse_size(format_size(size)) == size);
    host_port address{std::to_string(between(random, 0, 255)) + "." +
                          std::to_string(between(random, 0, 255)) + ".0.9",
                      static_cast<uint16_t>(between(random, 1, 65'535))};
    if (i % 3 == 0)
      address.host = "::" + std::to_string(between(random, 1, 9'999));
    if (i % 3 == 1)
      address.host = "host-" + std::to_string(i) + ".example";
    const std::string text = format_host_port(address.host, address.port);
    CAPTURE(text);
    REQUIRE(*parse_listen_address(text) == address);
    REQUIRE(*parse_redis_address(text) == address);
  }
}

TEST_CASE("property: units agree with each other") {
  auto random = generator();
  for (int i = 0; i < rounds; ++i) {
    const int64_t number = between(random, 0, 3'653);
    const std::string text = std::to_string(number);
    REQUIRE(*parse_duration_ms(text + "d") == *parse_duration_ms(std::to_string(number * 24) + "h"));
    REQUIRE(*parse_duration_ms(text + "h") == *parse_duration_ms(std::to_string(number * 60) + "m"));
    REQUIRE(*parse_duration_ms(text + "m") == *parse_duration_ms(std::to_string(number * 60) + "s"));
    REQUIRE(*parse_duration_ms(text + "s") == *parse_duration_ms(std::to_string(number * 1'000) + "ms"));
    REQUIRE(*parse_duration_ms(text) == *parse_duration_ms(text + "s"));
    REQUIRE(*parse_size(text + "M") == *parse_size(std::to_string(number * 1'024) + "k"));
    // Decimals: n milliseconds written as seconds.
    std::string fraction = std::to_string(1'000 + number % 1'000).substr(1);
    REQUIRE(*parse_duration_ms(text + "." + fraction) == number * 1'000 + number % 1'000);
  }
}

TEST_CASE("property: noise is refused or stays within its limits, and never shows in the message") {
  auto random = generator();
  for (int i = 0; i < rounds; ++i) {
    const std::string text = noise(random);
    CAPTURE(text);
    if (const auto duration = parse_duration_ms(text)) {
      REQUIRE(*duration >= 0);
      REQUIRE(*duration <= duration_ms_max);
    } else {
      REQUIRE(duration.failure().code == error_code::invalid_argument);
      REQUIRE(duration.failure().message.rfind("give ", 0) == 0);
    }
    if (const auto size = parse_size(text))
      REQUIRE(*size <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
    if (const auto address = parse_listen_address(text))
      REQUIRE_FALSE(address->host.empty());
    if (const auto address = parse_redis_address(text))
      REQUIRE(address->port != 0);
    REQUIRE(quote_for_message(text).find('\n') == std::string::npos);
  }
}
