// The protocol's packets: they come back as they went in, and nothing that is not one gets through or does
// harm.
#include "services/domain/names.hpp"
#include "services/launcher/attempt_codec.hpp"
#include "services/launcher/protocol.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace task_runner;
using namespace task_runner::launcher;

namespace {

attempt_ended example_end() {
  attempt_ended end;
  end.key = {"0190-task.1:x_y", 7};
  end.channel = "mail";
  end.how = {outcome_kind::spawn_failed, 0, "no such program: x"};
  end.started_at_ms = 1'700'000'000'123;
  end.ended_at_ms = 1'700'000'001'456;
  end.output_bytes = 5'000'000'000;
  end.survivors = 3;
  return end;
}

program_identity example_program() {
  return {7, 123'456, 4'000'000, 1'700'000'000'123'456'789};
}

std::vector<any_message> examples() {
  attempt_start start;
  start.key = {"a", 1};
  start.channel = "default";
  start.line = "echo 'x' | cat";
  attempt_start with_argv;
  with_argv.key = {"b", 4'294'967'295U};
  with_argv.channel = "biz";
  with_argv.argv = {"/bin/echo", "", "a b"};
  with_argv.timeout_ms = 90'000;
  with_argv.grace_ms = 0;
  with_argv.environment.variables = {{"A", "1"}, {"B", ""}};
  with_argv.environment.directory = "/srv";
  with_argv.environment.input = std::string("in\0put", 6);
  with_argv.environment.user = "nobody";
  with_argv.environment.nice = -5;
  with_argv.environment.file_mask = 027;
  with_argv.environment.limits = {1'000'000'000, 60, 50, 1'000};
  attempt_started started;
  started.key = {"a", 1};
  started.channel = "default";
  started.pid = 4'711;
  started.started_at_ms = 1'700'000'000'000;
  known_attempt waiting;
  waiting.key = {"w", 1};
  waiting.channel = "c";
  known_attempt ended;
  ended.key = {"e", 2};
  ended.channel = "c";
  ended.pid = 77;
  ended.started_at_ms = 1'700'000'000'123;
  ended.ended = true;
  ended.end = example_end();
  ended.end.key = ended.key;
  ended.end.channel = ended.channel;
  return {hello_message{1, 3, 4'711, "0.1.0"},
          refused_message{1, 1, "no common version"},
          welcome_message{2, 99, "0.1.0", example_program(), "tag: cgroups cannot be had", 4'096, 2, "why"},
          listing_message{{waiting, ended}},
          ready_message{},
          requests_message{{start, with_argv, signal_request{{"a", 1}, 15}, settle_request{{"b", 2}},
                            stop_request{{"c", 3}, 10'000}}},
          introduction_message{example_program(), 027},
          upgrade_message{"0.2.0"},
          upgrade_failed_message{"it cannot be executed"},
          requests_message{{large_start_request{1'000'000}}},
          events_message{{started, example_end()}},
          ping_message{},
          pong_message{7, "no more processes", 5'000'000'000}};
}

} // namespace

TEST_CASE("every message survives the way there and back", "[launcher][protocol]") {
  for (const any_message& original : examples()) {
    const std::string packet = encode(original);
    const result<any_message> decoded = decode(packet);
    REQUIRE(decoded);
    CHECK(decoded->index() == original.index());
    CHECK(encode(*decoded) == packet);
  }
  const result<any_message> events = decode(encode(events_message{{example_end()}}));
  REQUIRE(events);
  const auto& end = std::get<attempt_ended>(std::get<events_message>(*events).events.at(0));
  CHECK(end.key == attempt_key{"0190-task.1:x_y", 7});
  CHECK(end.how == example_end().how);
  CHECK(end.started_at_ms == 1'700'000'000'123);
  CHECK(end.output_bytes == 5'000'000'000);
  CHECK(end.survivors == 3);
}

TEST_CASE("a start brings its surroundings and its times", "[launcher][protocol]") {
  const result<any_message> decoded = decode(encode(std::get<requests_message>(examples()[5])));
  REQUIRE(decoded);
  const auto& requests = std::get<requests_message>(*decoded).requests;
  CHECK(std::get<attempt_start>(requests.at(0)).environment.empty());
  CHECK(std::get<attempt_start>(requests.at(0)).grace_ms == grace_ms_default);
  const auto& start = std::get<attempt_start>(requests.at(1));
  CHECK(start.timeout_ms == 90'000);
  CHECK(start.grace_ms == 0);
  const auto sent =
      std::get<attempt_start>(std::get<requests_message>(examples()[5]).requests.at(1)).environment;
  CHECK(start.environment == sent);
  CHECK(std::get<stop_request>(requests.at(4)).grace_ms == 10'000);
}

TEST_CASE("a packet cut short or lengthened anywhere is refused", "[launcher][protocol]") {
  for (const any_message& original : examples()) {
    const std::string packet = encode(original);
    for (size_t length = 0; length < packet.size(); ++length)
      CHECK_FALSE(decode(std::string_view(packet).substr(0, length)));
    CHECK_FALSE(decode(packet + '\0'));
  }
  CHECK_FALSE(decode(std::string(packet_size_max + 1, 'x')));
}

TEST_CASE("random bytes and flipped bytes never do more than be refused", "[launcher][protocol]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto any_byte = [&random] { return static_cast<char>(random() & 0xffU); };
  size_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (char& one : bytes)
      one = any_byte();
    refused += decode(bytes) ? 0 : 1;
    if (bytes.size() >= 8) {
      // With a true head, so that the bodies are reached.
      const std::string head = encode(ready_message{});
      bytes.replace(0, 6, head, 0, 6);
      bytes[6] = static_cast<char>(random() % 14);
      bytes[7] = 0;
      const result<any_message> decoded = decode(bytes);
      if (decoded)
        CHECK(decode(encode(*decoded)));
    }
  }
  CHECK(refused == 20'000);
  const std::vector<any_message> originals = examples();
  for (int round = 0; round < 20'000; ++round) {
    std::string packet = encode(originals[random() % originals.size()]);
    for (auto flips = 1 + random() % 3; flips > 0; --flips)
      packet[random() % packet.size()] = any_byte();
    const result<any_message> decoded = decode(packet);
    if (decoded)
      CHECK(encode(*decoded).size() <= packet_size_max);
  }
}

TEST_CASE("values outside the law are refused", "[launcher][protocol]") {
  CHECK_FALSE(decode(encode(requests_message{{settle_request{{"", 1}}}})));
  CHECK_FALSE(decode(encode(requests_message{{settle_request{{"../x", 1}}}})));
  CHECK_FALSE(decode(encode(requests_message{{settle_request{{std::string(129, 'a'), 1}}}})));
  CHECK_FALSE(decode(encode(requests_message{{settle_request{{"a", 0}}}})));
  CHECK_FALSE(decode(encode(requests_message{{signal_request{{"a", 1}, 0}}})));
  CHECK_FALSE(decode(encode(requests_message{{signal_request{{"a", 1}, 65}}})));
  CHECK_FALSE(decode(encode(requests_message{{large_start_request{large_start_bytes_max + 1}}})));
  CHECK(decode(encode(requests_message{{settle_request{{std::string(128, 'a'), 1}}}})));
  CHECK_FALSE(decode(encode(requests_message{{stop_request{{"a", 1}, -1}}})));
  CHECK_FALSE(decode(encode(requests_message{{stop_request{{"a", 1}, grace_ms_max + 1}}})));
  CHECK(decode(encode(requests_message{{stop_request{{"a", 1}, grace_ms_max}}})));
  CHECK_FALSE(decode(encode(introduction_message{{}, 01000})));
}

TEST_CASE("a start beyond the bounds of the domain is refused on both sides", "[launcher][protocol]") {
  attempt_start good;
  good.key = {"a", 1};
  good.channel = "default";
  good.line = "true";
  REQUIRE(check_start(good));
  const auto refused = [&good](auto change, error_code code) {
    attempt_start bad = good;
    change(bad);
    const result<void> checked = check_start(bad);
    REQUIRE_FALSE(checked);
    CHECK(checked.failure().code == code);
    CHECK_FALSE(decode_start(encode_start(bad)));
  };
  using start = attempt_start;
  refused([](start& one) { one.line.clear(); }, error_code::invalid_argument);
  refused([](start& one) { one.line = std::string("a\0b", 3); }, error_code::invalid_argument);
  refused([](start& one) { one.timeout_ms = -1; }, error_code::out_of_range);
  refused([](start& one) { one.grace_ms = grace_ms_max + 1; }, error_code::out_of_range);
  refused([](start& one) { one.environment.nice = 20; }, error_code::out_of_range);
  refused([](start& one) { one.environment.file_mask = 01000; }, error_code::out_of_range);
  refused([](start& one) { one.environment.variables = {{"A=B", "x"}}; }, error_code::invalid_argument);
  refused([](start& one) { one.environment.variables = {{"", "x"}}; }, error_code::invalid_argument);
  refused([](start& one) { one.environment.directory = ""; }, error_code::invalid_argument);
  refused([](start& one) { one.environment.input = std::string(input_bytes_max + 1, 'x'); },
          error_code::too_large);
  refused([](start& one) { one.argv.assign(argument_count_max + 1, "x"); }, error_code::too_large);

  // The largest that is legal fits into its memfd.
  attempt_start largest = good;
  largest.line = std::string(command_length_max, 'x');
  largest.argv.assign(8, std::string(command_length_max, 'y'));
  largest.environment.input = std::string(input_bytes_max, 'z');
  largest.environment.variables.assign(2 * variables_max, {"N", std::string(1'000, 'v')});
  REQUIRE(check_start(largest));
  CHECK(encode_start(largest).size() <= large_start_bytes_max);
  REQUIRE(decode_start(encode_start(largest)));
}

TEST_CASE("strangers of other versions can read each other's hello and refusal", "[launcher][protocol]") {
  for (const any_message& original :
       {any_message(hello_message{7, 9, 1, "9.0"}), any_message(refused_message{7, 9, "x"}),
        any_message(upgrade_message{"9.0"}), any_message(upgrade_failed_message{"x"}),
        any_message(ready_message{})}) {
    std::string packet = encode(original);
    packet[4] = 9; // the version
    CHECK(static_cast<bool>(decode(packet)) == !std::holds_alternative<ready_message>(original));
  }
}

TEST_CASE("what every version had is sent as the oldest, what is new is not", "[launcher][protocol]") {
  for (const any_message& original : examples()) {
    std::string packet = encode(original);
    const bool is_new =
        std::holds_alternative<ping_message>(original) || std::holds_alternative<pong_message>(original);
    CHECK(packet[4] == (is_new ? protocol_version_ping : protocol_version_min));
    packet[4] = static_cast<char>(protocol_version_min);
    CHECK(static_cast<bool>(decode(packet)) == !is_new);
  }
}

TEST_CASE("a batch becomes packets within the limit, in order", "[launcher][protocol]") {
  packet_batch batch(packet_batch::kind::requests);
  CHECK(batch.empty());
  attempt_start start;
  start.channel = "default";
  start.line = std::string(20'000, 'x');
  for (uint32_t i = 1; i <= 50; ++i) {
    start.key = {"t", i};
    batch.add(any_request(start));
  }
  const std::vector<std::string> packets = batch.take();
  CHECK(batch.empty());
  CHECK(packets.size() == 17);
  uint32_t next = 1;
  for (const std::string& packet : packets) {
    CHECK(packet.size() <= packet_size_max);
    const result<any_message> decoded = decode(packet);
    REQUIRE(decoded);
    for (const any_request& one : std::get<requests_message>(*decoded).requests)
      CHECK(std::get<attempt_start>(one).key.attempt == next++);
  }
  CHECK(next == 51);
  CHECK(batch.take().empty());

  start.line = std::string(32'000, 'x');
  CHECK_FALSE(needs_descriptor(start));
  start.environment.input = std::string(1'000, 'x');
  CHECK(needs_descriptor(start));
  const result<attempt_start> same = decode_start(encode_start(start));
  REQUIRE(same);
  CHECK(same->line == start.line);
  CHECK_FALSE(decode_start(encode_start(start).substr(1)));
}
