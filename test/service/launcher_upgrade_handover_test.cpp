// The handover as bytes: it comes back as it went in, and whatever is not one is refused without harm.
#include "services/launcher/handover.hpp"
#include "services/launcher/launcher_arguments.hpp"
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/program_change.hpp"
#include "test/service/launcher_support.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <functional>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::launcher;

namespace {

handed_attempt attempt_of(const std::string& id) {
  handed_attempt one;
  one.known.attempt.key = {id, 1};
  one.known.attempt.channel = "default";
  return one;
}

/// One of everything: running and being stopped, lingering, waiting, ended.
handover example() {
  handover value;
  value.version = "0.1.0";
  value.to = {7, 123'456, 4'000'000, 1'700'000'000'123'456'789};
  value.upgrades = 3;
  value.state_dir = 3;
  value.lock = 4;
  value.listener = 5;
  value.output_dir = 6;
  value.null_input = 7;
  value.command_descriptors = {1'024, 4'096};
  value.surroundings = {std::string("A=1\0B=2\0", 8), "/srv", 027};

  handed_attempt runs = attempt_of("runs");
  runs.known.attempt.pid = 4'711;
  runs.known.attempt.started_at_ms = 1'700'000'000'000;
  runs.known.process_began_ms = 99;
  runs.known.tag = uint64_t{1} << 61U;
  runs.known.slot = "/task-runner.x/slot-1";
  runs.known.stopping = outcome_kind::timed_out;
  runs.child = 11;
  handed_attempt waits = attempt_of("waits");
  waits.ticket = 12;
  waits.early_signal = 15;
  handed_attempt ended = attempt_of("ended");
  ended.known.attempt.ended = true;
  ended.known.attempt.end.key = ended.known.attempt.key;
  ended.known.attempt.end.channel = "default";
  ended.known.attempt.end.how = {outcome_kind::exited, 3, {}};
  ended.known.attempt.end.survivors = 2;
  value.table.attempts = {runs, waits, ended};

  handed_start start;
  start.ticket = 12;
  start.request.key = {"waits", 1};
  start.request.channel = "default";
  start.request.line = "cat";
  start.request.environment.input = "input";
  value.table.waiting = {start};

  handed_child child;
  child.number = 11;
  child.key = {"runs", 1};
  child.pid = 4'711;
  child.process = 8;
  child.output = 9;
  child.writer = output_progress{100, 50, 170, 20, true, true, false};
  child.failure_place = 5;
  child.context = {"/bin/cat", "/srv", "nobody"};
  child.tag = runs.known.tag;
  child.slot = runs.known.slot;
  child.timeout_at = 5'000;
  child.grace_ms = 10'000;
  child.wake_at = 5'000;
  child.asked = outcome_kind::timed_out;
  child.asked_grace_ms = 10;
  handed_child lingers;
  lingers.number = 10;
  lingers.key = {"ended", 1};
  lingers.pid = 4'700;
  lingers.output = 10;
  lingers.how = {outcome_kind::exited, 3, {}};
  lingers.ended_at_ms = 1'700'000'000'500;
  lingers.exited = true;
  lingers.lingering = true;
  value.table.children = {child, lingers};

  stopping_tree tree;
  tree.tree = {4'711, runs.known.tag, runs.known.slot};
  tree.kill_at = 6'000;
  tree.next_look = 5'500;
  tree.look_pause_ms = 20;
  tree.warned = true;
  tree.members = {{4'711, 1}, {4'712, 2}};
  value.table.stopping = {{11, tree}};
  value.table.asked = {11};
  value.table.next_number = 13;
  value.table.failure_memory = 11;
  value.table.outcomes = {4'096, "pending", true};
  return value;
}

std::string encoded(const handover& value) {
  result<std::string> bytes = encode_handover(value);
  REQUIRE(bytes);
  return *bytes;
}

} // namespace

TEST_CASE("a handover comes back as it went in", "[launcher][upgrade][handover]") {
  const handover original = example();
  const std::string bytes = encoded(original);
  const result<handover> read = decode_handover(bytes);
  REQUIRE(read);
  CHECK(encoded(*read) == bytes);
  CHECK(read->version == "0.1.0");
  CHECK(read->to == original.to);
  CHECK(read->surroundings.environment == original.surroundings.environment);
  CHECK(read->table.attempts.at(0).known.stopping == outcome_kind::timed_out);
  CHECK(read->table.waiting.at(0).request.environment.input == "input");
  CHECK(read->table.children.at(0).writer->total_bytes == 170);
  CHECK(read->table.children.at(0).context.user == "nobody");
  CHECK(read->table.stopping.at(0).second.members.at(4'712) == 2);
  CHECK(read->table.outcomes.pending == "pending");
  CHECK(descriptors_of(*read) == std::vector<int>{3, 4, 5, 6, 7, 11, 8, 9, 10});
}

TEST_CASE("a handover of another format is refused by its number", "[launcher][upgrade][handover]") {
  std::string bytes = encoded(example());
  bytes[8] = 2;
  const result<handover> read = decode_handover(bytes);
  REQUIRE_FALSE(read);
  CHECK_THAT(read.failure().message, Catch::Contains("version 2, this program reads 1 to 1"));
}

TEST_CASE("a handover cut short or changed anywhere is refused", "[launcher][upgrade][handover]") {
  const std::string bytes = encoded(example());
  for (size_t length = 0; length < bytes.size(); ++length)
    CHECK_FALSE(decode_handover(std::string_view(bytes).substr(0, length)));
  CHECK_FALSE(decode_handover(bytes + '\0'));
  for (size_t at = 0; at < bytes.size(); ++at)
    for (const char mask : {'\x01', '\x80', '\x55'}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      CHECK_FALSE(decode_handover(changed));
    }
}

TEST_CASE("bytes that only look like a handover do no harm", "[launcher][upgrade][handover]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto any_byte = [&random] { return static_cast<char>(random() & 0xffU); };
  const std::string good = encoded(example());
  constexpr size_t head = 24;
  size_t understood = 0;
  for (int round = 0; round < 30'000; ++round) {
    // With a true mark, length and checksum, so that the body is read.
    std::string body = good.substr(head);
    if (round % 3 == 0) {
      body.assign(random() % 400, '\0');
      for (char& one : body)
        one = any_byte();
    } else {
      for (auto flips = 1 + random() % 4; flips > 0; --flips)
        body[random() % body.size()] = any_byte();
      if (round % 3 == 1)
        body.resize(random() % body.size());
    }
    byte_writer out;
    out.raw(std::string_view(good).substr(0, 12));
    out.number(crc32(body));
    out.number(static_cast<uint64_t>(body.size()));
    out.raw(body);
    const result<handover> read = decode_handover(out.bytes());
    if (!read)
      continue;
    ++understood;
    // What is taken is a handover in its own right.
    CHECK(encoded(*read) == out.bytes());
  }
  // A flipped time or number is as good as another.
  CHECK(understood > 100);
  CHECK(understood < 20'000);
}

TEST_CASE("a handover that does not go together is refused", "[launcher][upgrade][handover]") {
  const std::vector<std::pair<std::string, std::function<void(handover&)>>> changes{
      {"a child without its attempt",
       [](handover& one) { one.table.attempts.erase(one.table.attempts.begin()); }},
      {"an attempt without its child", [](handover& one) { one.table.children.clear(); }},
      {"a child twice", [](handover& one) { one.table.children.push_back(one.table.children[0]); }},
      {"an attempt twice", [](handover& one) { one.table.attempts.push_back(one.table.attempts[2]); }},
      {"a child of a number to come", [](handover& one) { one.table.next_number = 11; }},
      {"an attempt that waits for nothing", [](handover& one) { one.table.waiting.clear(); }},
      {"a tree of nobody", [](handover& one) { one.table.stopping[0].first = 99; }},
      {"an end nobody asked for", [](handover& one) { one.table.children[0].asked.reset(); }},
      {"a descriptor twice", [](handover& one) { one.table.children[0].output = 3; }},
      {"the terminal as a descriptor", [](handover& one) { one.lock = 1; }},
      {"no lock", [](handover& one) { one.lock = -1; }},
      {"a living child nobody watches", [](handover& one) { one.table.children[0].process = -1; }},
      {"a process group of everybody", [](handover& one) { one.table.children[0].pid = 0; }},
      {"a process group of others", [](handover& one) { one.table.children[0].pid = -1; }},
      {"a leader that is a group", [](handover& one) { one.table.stopping[0].second.tree.leader = -5; }},
      {"a member that is a group", [](handover& one) { one.table.stopping[0].second.members[-1] = 1; }},
      {"an end by itself before its time",
       [](handover& one) { one.table.attempts[0].known.stopping = outcome_kind::exited; }},
      {"a signal that is none", [](handover& one) { one.table.attempts[1].early_signal = 65; }},
      {"a umask that is none", [](handover& one) { one.surroundings.file_mask = 01000; }},
  };
  for (const auto& [what, change] : changes) {
    INFO(what);
    handover value = example();
    change(value);
    CHECK_FALSE(decode_handover(encoded(value)));
  }
}

TEST_CASE("words behind --launcher are read strictly, and given again", "[launcher][upgrade]") {
  launcher_options options;
  options.state_dir = "/var/lib/x";
  options.containment = "tag";
  options.idle_grace_ms = 77;
  options.output = {10, 20};
  std::vector<std::string> words = launcher_words(options);
  words.insert(words.end(), {"--resume", "5", "--fallback", "6"});
  const result<launcher_command> read = parse_launcher_words(words);
  REQUIRE(read);
  CHECK(read->options.state_dir == options.state_dir);
  CHECK(read->options.containment == "tag");
  CHECK(read->options.idle_grace_ms == 77);
  CHECK(read->options.output.head_bytes == 10);
  CHECK(read->options.output.tail_bytes == 20);
  CHECK(read->resume == 5);
  CHECK(read->fallback == 6);
  CHECK(read->check == -1);
  REQUIRE(parse_launcher_words({"--launcher", "--check-handover", "9"}));
  const std::vector<std::pair<std::vector<std::string>, std::string>> refused{
      {{}, "--launcher is missing"},
      {{"--launcher"}, "give --launcher --state-dir DIR"},
      {{"--launcher", "--state-dir"}, "the value behind --state-dir is missing"},
      {{"--launcher", "--state-dir", ""}, "needs a directory"},
      {{"--launcher", "--state-dir", "/x", "--http-addr", "y"}, "unknown word --http-addr"},
      {{"--launcher", "--state-dir", "/x", "--containment", "none"}, "auto, cgroup or tag, not none"},
      {{"--launcher", "--state-dir", "/x", "--resume", "-1"}, "takes a number from 0"},
      {{"--launcher", "--state-dir", "/x", "--resume", "5x"}, "takes a number from 0"},
      {{"--launcher", "--state-dir", "/x", "--idle-grace-ms", ""}, "takes a number from 0"},
  };
  for (const auto& [given, sentence] : refused) {
    const result<launcher_command> failed = parse_launcher_words(given);
    REQUIRE_FALSE(failed);
    CHECK_THAT(failed.failure().message, Catch::Contains(sentence));
  }
}

TEST_CASE("a program that is asked about a handover answers by its exit code", "[launcher][upgrade]") {
  for (const bool good : {true, false}) {
    std::string bytes = encoded(example());
    if (!good)
      bytes.back() = static_cast<char>(bytes.back() ^ 1);
    owned_descriptor self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    auto probe = program_probe::start(std::move(self), bytes);
    REQUIRE(probe);
    REQUIRE(launcher_test::wait_gone((*probe)->pid()));
    const result<void> verdict = (*probe)->verdict();
    CHECK(static_cast<bool>(verdict) == good);
    if (!good)
      CHECK(verdict.failure().message ==
            "the new program does not understand the handover (it ended with code 1)");
  }
}
