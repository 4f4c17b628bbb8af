// A launcher that goes over to another program while its commands run: nothing may be lost on the way, and a
// program that is no good changes nothing. Copies of this test program are the other programs; see
// launcher_main.cpp for what they do by their names.
#include "services/launcher/launcher_link.hpp"
#include "services/launcher/output_file.hpp"
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/protocol.hpp"
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <poll.h>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using launcher_test::copy_of_self;
using launcher_test::idle_descriptors_max;
using launcher_test::launcher_fixture;
using launcher_test::open_descriptors;
using launcher_test::program_of;
using launcher_test::read_file;
using launcher_test::scratch_directory;
using launcher_test::settle_ended;
using launcher_test::settles_on;
using launcher_test::wait_file;
using launcher_test::write_file;

namespace {

launcher::program_identity identity_of(const std::string& path) {
  const launcher::owned_descriptor file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  return launcher::identify_program(file.get());
}

bool hears_failure(launcher_fixture& fixture) {
  return test::wait_until([&] {
    const launcher_health health = fixture.client().health();
    return health.connected && !health.upgrade_failure.empty();
  });
}

attempt_start wanted(const std::string& id, const std::string& line) {
  attempt_start start;
  start.key = {id, 1};
  start.channel = "default";
  start.line = line;
  return start;
}

/// Numbered lines until the file exists, then the last number; the exit code is given.
std::string counting(const std::string& go, int code) {
  return "i=0; while [ ! -e " + go + " ]; do echo $i; i=$((i+1)); sleep 0.002; done; echo end $i; exit " +
         std::to_string(code);
}

/// Whether the output is 0, 1, 2 … end N without a gap.
bool counts_on(const std::string& output) {
  std::istringstream lines(output);
  std::string line;
  for (int next = 0; std::getline(lines, line); ++next) {
    if (line == "end " + std::to_string(next))
      return !std::getline(lines, line) && output.back() == '\n';
    if (line != std::to_string(next))
      return false;
  }
  return false;
}

} // namespace

TEST_CASE("a launcher goes over to another program and no command notices", "[launcher][upgrade]") {
  const scratch_directory programs;
  const std::string next = copy_of_self(programs.path(), "next");
  launcher_fixture fixture({"--head-bytes", "100000", "--tail-bytes", "50000"});
  const std::string go = fixture.dir() + "/go";
  const int pid = fixture.launcher_pid();

  for (int i = 0; i < 6; ++i)
    fixture.start("counts" + std::to_string(i), counting(go, 40 + i));
  // More than the pipe, the head and the tail hold together, before, while and after.
  fixture.start("flood", "while [ ! -e " + go + " ]; do head -c 40000 /dev/zero | tr '\\0' x; done; exit 3");
  fixture.start("ended", "echo kept; exit 9");
  fixture.await("ended");
  // The outcome is told once the pipe had its grace; the background process holds it on.
  fixture.start("lingers",
                "(while [ ! -e " + go + " ]; do sleep 0.01; done; echo late) & echo early; exit 4");
  fixture.await("lingers");
  std::map<std::string, int> pids;
  for (const char* id : {"counts0", "counts1", "counts2", "counts3", "counts4", "counts5", "flood"}) {
    const auto started = fixture.events().wait_started(fixture.key(id));
    REQUIRE(started);
    pids[id] = started->pid;
  }
  REQUIRE(wait_file(fixture.dir() + "/" + output_path(fixture.key("flood")) + ".tail"));

  const auto began = std::chrono::steady_clock::now();
  fixture.next_daemon(next);
  REQUIRE(settles_on(fixture, 1));
  std::printf("a new daemon had its own program in the launcher after %lld ms\n",
              static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                         std::chrono::steady_clock::now() - began)
                                         .count()));
  CHECK(fixture.launcher_pid() == pid);
  CHECK(program_of(pid) == next);
  CHECK(read_file("/proc/" + std::to_string(pid) + "/comm") == "tr-launcher\n");
  CHECK(fixture.client().health().restarts == 0);
  CHECK(fixture.client().health().upgrade_failure.empty());
  for (const known_attempt& one : fixture.client().known_attempts("default")) {
    INFO(one.key.task_id);
    if (pids.count(one.key.task_id) != 0) {
      CHECK(one.pid == pids.at(one.key.task_id));
      CHECK_FALSE(one.ended);
    } else {
      CHECK(one.ended);
    }
  }
  CHECK(fixture.run("fresh", "echo new; exit 5").how == outcome{outcome_kind::exited, 5, {}});

  write_file(go, "go");
  for (int i = 0; i < 6; ++i) {
    const std::string id = "counts" + std::to_string(i);
    const attempt_ended end = fixture.await(id);
    CHECK(end.how == outcome{outcome_kind::exited, 40 + i, {}});
    CHECK(counts_on(fixture.output(id)));
    CHECK(end.output_bytes == fixture.output(id).size());
  }
  const attempt_ended flood = fixture.await("flood");
  CHECK(flood.how == outcome{outcome_kind::exited, 3, {}});
  CHECK(flood.output_bytes % 40'000 == 0);
  CHECK(flood.output_bytes > 150'000);
  const std::string marker =
      "\n[task-runner: " + std::to_string(flood.output_bytes - 150'000) + " bytes of output left out here]\n";
  CHECK(fixture.output("flood") == std::string(100'000, 'x') + marker + std::string(50'000, 'x'));
  CHECK(fixture.events().times_ended(fixture.key("ended")) == 0);
  CHECK(test::wait_until([&] { return fixture.output("lingers") == "early\nlate\n"; }));

  settle_ended(fixture);
  fixture.next_daemon(next);
  CHECK(fixture.client().known_attempts("default").empty());
  CHECK(fixture.client().health().upgrades == 1);
}

TEST_CASE("what happens while nobody looks is found by the next program", "[launcher][upgrade]") {
  const scratch_directory programs;
  const std::string next = copy_of_self(programs.path(), "waits");
  launcher_fixture fixture;
  const std::string go = fixture.dir() + "/go";
  const std::string until = "while [ ! -e " + go + " ]; do sleep 0.01; done; ";
  fixture.start("exits", until + "echo last words; exit 17");
  fixture.start("killed", until + "echo x; kill -9 $$");
  fixture.start("orphans", "(sh -c '" + until + "exit 1' & ) ; " + until + "exit 0");
  fixture.start("writes", until + "head -c 60000 /dev/zero | tr '\\0' y; exit 0");
  std::vector<int> pids;
  for (const char* id : {"exits", "killed", "orphans", "writes"}) {
    const auto started = fixture.events().wait_started(fixture.key(id));
    REQUIRE(started);
    pids.push_back(started->pid);
  }
  const int pid = fixture.launcher_pid();
  fixture.next_daemon(next);
  // The process executes the new program, which has not begun to look at what was handed to it.
  REQUIRE(wait_file(programs.path() + "/waiting"));
  write_file(go, "go");
  const auto is_zombie = [](int one) {
    return read_file("/proc/" + std::to_string(one) + "/stat").find(") Z ") != std::string::npos;
  };
  for (const int one : pids)
    REQUIRE(test::wait_until([&] { return is_zombie(one); }));
  fixture.start("asked-for-meanwhile", "exit 23");
  write_file(programs.path() + "/go-on", "yes");

  CHECK(fixture.await("exits").how == outcome{outcome_kind::exited, 17, {}});
  CHECK(fixture.output("exits") == "last words\n");
  CHECK(fixture.await("killed").how == outcome{outcome_kind::signalled, 9, {}});
  CHECK(fixture.output("killed") == "x\n");
  CHECK(fixture.await("orphans").how.succeeded());
  CHECK(fixture.await("writes").output_bytes == 60'000);
  CHECK(fixture.output("writes") == std::string(60'000, 'y'));
  CHECK(fixture.await("asked-for-meanwhile").how == outcome{outcome_kind::exited, 23, {}});
  CHECK(fixture.launcher_pid() == pid);
  CHECK(fixture.client().health().restarts == 0);
  settle_ended(fixture);
}

TEST_CASE("what waits, is being stopped or runs out of time goes on so", "[launcher][upgrade]") {
  const std::string containment = GENERATE(as<std::string>{}, "tag", "auto");
  INFO(containment);
  const scratch_directory programs;
  const std::string next = copy_of_self(programs.path(), "next");
  // So few descriptors that eight commands run at once.
  const std::string binary = programs.path() + "/starter";
  write_file(binary,
             "#!/bin/sh\nulimit -n 96\nexec " + std::filesystem::read_symlink("/proc/self/exe").string() +
                 " \"$@\"\n",
             0755);
  launcher_fixture fixture({"--containment", containment}, {}, binary);
  const std::string go = fixture.dir() + "/go";
  const std::string until = "while [ ! -e " + go + " ]; do sleep 0.01; done; ";
  const uint32_t room = fixture.client().health().running_max;
  REQUIRE(room >= 4);
  REQUIRE(room <= 16);

  attempt_start late = wanted("late", "trap '' TERM; while :; do sleep 0.05; done");
  late.timeout_ms = 1'500;
  late.grace_ms = 500;
  REQUIRE(fixture.client().start(late));
  fixture.start("stopped", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
  for (uint32_t i = 2; i < room; ++i)
    fixture.start("holds" + std::to_string(i), until + "exit 0");
  REQUIRE(wait_file(fixture.dir() + "/" + output_path(fixture.key("stopped"))));
  for (uint32_t i = 2; i < room; ++i)
    REQUIRE(fixture.events().wait_started(fixture.key("holds" + std::to_string(i))));
  attempt_start waits = wanted("waits", "cat; echo $COLOUR; umask; exit 8");
  waits.environment.variables = {{"COLOUR", "green"}};
  waits.environment.input = "from its input\n";
  waits.environment.file_mask = 037;
  REQUIRE(fixture.client().start(waits));
  fixture.start("dropped", "exit 1");
  REQUIRE(fixture.client().stop(fixture.key("dropped"), 0));
  CHECK(fixture.await("dropped").how.kind == outcome_kind::cancelled);
  REQUIRE(fixture.client().stop(fixture.key("stopped"), 1'000));
  fixture.client().settled(fixture.key("dropped"));

  fixture.next_daemon(next);
  REQUIRE(settles_on(fixture, 1));
  CHECK(fixture.await("stopped").how.kind == outcome_kind::cancelled);
  CHECK(fixture.await("late").how.kind == outcome_kind::timed_out);
  write_file(go, "go");
  const attempt_ended waited = fixture.await("waits");
  INFO(to_string(waited.how.kind) << " " << waited.how.error);
  CHECK(waited.how == outcome{outcome_kind::exited, 8, {}});
  CHECK(fixture.output("waits") == "from its input\ngreen\n0037\n");
  for (uint32_t i = 2; i < room; ++i)
    CHECK(fixture.await("holds" + std::to_string(i)).how.succeeded());
  settle_ended(fixture);
}

TEST_CASE("a program that is no good changes nothing", "[launcher][upgrade]") {
  const scratch_directory programs;
  write_file(programs.path() + "/text", "just words\n", 0755);
  write_file(programs.path() + "/not-executable", "just words\n");
  write_file(programs.path() + "/script", "#!/bin/sh\nexit 86\n", 0755);
  copy_of_self(programs.path(), "vanishes");
  copy_of_self(programs.path(), "hangs");
  const std::vector<std::pair<std::string, std::string>> programs_and_words{
      {"/bin/false", "does not understand the handover (it ended with code 1)"},
      {"/bin/true", "does not understand the handover (it ended with code 0)"},
      {programs.path() + "/text", "cannot be executed: Exec format error"},
      {programs.path() + "/not-executable", "cannot be executed: Permission denied"},
      {programs.path() + "/script", "cannot be executed: No such file or directory"},
      {programs.path(), "what was sent as the new program is no file"},
      // It understands the handover, and then cannot be executed all the same.
      {programs.path() + "/vanishes", "the new program cannot be executed: Permission denied"},
      {programs.path() + "/hangs", "did not say in time"},
  };
  launcher_fixture fixture;
  const std::string go = fixture.dir() + "/go";
  const int pid = fixture.launcher_pid();
  const std::string program = program_of(pid);
  fixture.start("counts", counting(go, 7));
  REQUIRE(fixture.events().wait_started(fixture.key("counts")));
  int round = 0;
  for (const auto& [path, words] : programs_and_words) {
    INFO(path);
    fixture.next_daemon(path);
    // It serves while the program is asked.
    CHECK(fixture.run("served" + std::to_string(++round), "echo yes").how.succeeded());
    REQUIRE(hears_failure(fixture));
    CHECK_THAT(fixture.client().health().upgrade_failure, Catch::Contains(words));
    CHECK_THAT(read_file(fixture.dir() + "/launcher.log"), Catch::Contains(words));
    CHECK(fixture.client().health().upgrades == 0);
    CHECK(fixture.client().health().restarts == 0);
    CHECK(fixture.launcher_pid() == pid);
    CHECK(program_of(pid) == program);
    CHECK(fixture.run("after" + std::to_string(round), "exit 2").how == outcome{outcome_kind::exited, 2, {}});
    REQUIRE(fixture.client().known_attempts("default").size() == 1);
    CHECK_FALSE(fixture.client().known_attempts("default").front().ended);
  }
  write_file(go, "go");
  CHECK(fixture.await("counts").how == outcome{outcome_kind::exited, 7, {}});
  CHECK(counts_on(fixture.output("counts")));
  settle_ended(fixture);
}

TEST_CASE("a program that cannot go on gives the process back to the one before", "[launcher][upgrade]") {
  const scratch_directory programs;
  const std::string next = copy_of_self(programs.path(), "stumbles");
  const std::string binary = programs.path() + "/starter";
  write_file(binary,
             "#!/bin/sh\nulimit -n 256\nexec " + std::filesystem::read_symlink("/proc/self/exe").string() +
                 " \"$@\"\n",
             0755);
  launcher_fixture fixture({}, {}, binary);
  const int pid = fixture.launcher_pid();
  const std::string program = program_of(pid);
  const std::string go = fixture.dir() + "/go";
  fixture.start("counts", counting(go, 6));
  REQUIRE(fixture.events().wait_started(fixture.key("counts")));
  fixture.next_daemon(next);
  REQUIRE(hears_failure(fixture));
  CHECK(fixture.client().health().upgrade_failure == "the new program could not go on from the handover");
  CHECK(fixture.launcher_pid() == pid);
  CHECK(program_of(pid) == program);
  CHECK(fixture.client().health().restarts == 0);
  write_file(go, "go");
  CHECK(fixture.await("counts").how == outcome{outcome_kind::exited, 6, {}});
  CHECK(counts_on(fixture.output("counts")));
  settle_ended(fixture);
}

TEST_CASE("requests made while the launcher goes over are carried out once", "[launcher][upgrade]") {
  const scratch_directory programs;
  const std::string one = copy_of_self(programs.path(), "one");
  const std::string other = copy_of_self(programs.path(), "other");
  launcher_fixture fixture;
  const int pid = fixture.launcher_pid();
  constexpr int rounds = 6;
  constexpr int each = 60;
  for (int round = 0; round < rounds; ++round) {
    fixture.next_daemon(round % 2 == 0 ? one : other);
    const std::string prefix = "r" + std::to_string(round) + "-";
    for (int i = 0; i < each; ++i)
      fixture.start(prefix + std::to_string(i),
                    "echo $TASK_RUNNER_TASK_ID >>" + fixture.dir() + "/ran; exit " + std::to_string(i));
    for (int i = 0; i < each; ++i) {
      const std::string id = prefix + std::to_string(i);
      CHECK(fixture.await(id).how == outcome{outcome_kind::exited, i, {}});
      CHECK(fixture.events().times_ended(fixture.key(id)) == 1);
      fixture.client().settled(fixture.key(id));
    }
    REQUIRE(settles_on(fixture, static_cast<uint32_t>(round + 1)));
    CHECK(fixture.client().health().restarts == 0);
  }
  std::istringstream ran(read_file(fixture.dir() + "/ran"));
  std::multiset<std::string> ids;
  for (std::string id; std::getline(ran, id);)
    ids.insert(id);
  CHECK(ids.size() == rounds * each);
  CHECK(std::set<std::string>(ids.begin(), ids.end()).size() == ids.size());
  CHECK(fixture.launcher_pid() == pid);
  // Nothing is left open by all the going over.
  CHECK(open_descriptors(pid) < idle_descriptors_max);
}

TEST_CASE("a launcher that shares no version with a daemon can still go over", "[launcher][upgrade]") {
  const scratch_directory programs;
  const std::string next = copy_of_self(programs.path(), "next");
  launcher_fixture fixture;
  const std::string go = fixture.dir() + "/go";
  const int pid = fixture.launcher_pid();
  fixture.start("counts", counting(go, 5));
  REQUIRE(fixture.events().wait_started(fixture.key("counts")));
  fixture.client().stop();
  {
    // Such a daemon is refused its hello, so the upgrade is the first that it says.
    auto link = launcher::launcher_link::open({fixture.dir(), {}, {}, next, identity_of(next)},
                                              launcher::link_purpose::upgrade, -1);
    REQUIRE(link);
    pollfd end{(*link)->descriptor(), POLLIN, 0};
    REQUIRE(::poll(&end, 1, launcher_test::patience_ms) == 1);
    launcher::any_message answer;
    CHECK((*link)->receive(answer) == launcher::packet_status::closed);
  }
  REQUIRE(test::wait_until([&] { return program_of(pid) == next; }));
  fixture.next_daemon(next);
  CHECK(fixture.client().health().upgrades == 1);
  CHECK(fixture.launcher_pid() == pid);
  write_file(go, "go");
  CHECK(fixture.await("counts").how == outcome{outcome_kind::exited, 5, {}});
  CHECK(counts_on(fixture.output("counts")));
  settle_ended(fixture);
}
