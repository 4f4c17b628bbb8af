// How commands are run, seen from outside: outcomes, streams, environment, descriptors, size of output.
#include "services/launcher/output_file.hpp"
#include "test/service/launcher_support.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using launcher_test::launcher_fixture;
using launcher_test::read_file;

TEST_CASE("exit codes and signals come back as they were", "[launcher]") {
  launcher_fixture fixture;
  CHECK(fixture.run("zero", "/bin/true").how == outcome{outcome_kind::exited, 0, {}});
  CHECK(fixture.run("one", "false").how == outcome{outcome_kind::exited, 1, {}});
  CHECK(fixture.run("odd", "exit 37").how == outcome{outcome_kind::exited, 37, {}});
  CHECK(fixture.run("killed", "kill -9 $$").how == outcome{outcome_kind::signalled, 9, {}});
  CHECK(fixture.run("none", "no-such-program-here").how == outcome{outcome_kind::exited, 127, {}});
  CHECK(fixture.output("none") == "/bin/sh: 1: no-such-program-here: not found\n");
  const attempt_ended slow = fixture.run("times", "sleep 0.2");
  CHECK(slow.started_at_ms > 1'600'000'000'000);
  CHECK(slow.ended_at_ms - slow.started_at_ms >= 200);
  CHECK(slow.ended_at_ms - slow.started_at_ms < launcher_test::patience_ms);
}

TEST_CASE("an explicit argv is never parsed", "[launcher]") {
  launcher_fixture fixture;
  fixture.start_argv("argv", {"printf", "%s|", "a  b", "$HOME", "; exit 3", "", "*"});
  CHECK(fixture.await("argv").how == outcome{outcome_kind::exited, 0, {}});
  CHECK(fixture.output("argv") == "a  b|$HOME|; exit 3||*|");

  fixture.start_argv("missing", {"no-such-program-here", "x"});
  const attempt_ended missing = fixture.await("missing");
  CHECK(missing.how.kind == outcome_kind::spawn_failed);
  CHECK(missing.how.error == "no such program: no-such-program-here");
  CHECK(missing.started_at_ms == 0);

  fixture.start_argv("directory", {"/tmp"});
  const attempt_ended directory = fixture.await("directory");
  CHECK(directory.how.kind == outcome_kind::spawn_failed);
  CHECK(directory.how.error == "cannot start /tmp: Permission denied");

  launcher_test::write_file(fixture.dir() + "/plain-script", "echo script $1\n", 0755);
  fixture.start_argv("script", {fixture.dir() + "/plain-script", "arg"});
  CHECK(fixture.await("script").how == outcome{outcome_kind::exited, 0, {}});
  CHECK(fixture.output("script") == "script arg\n");

  launcher_test::write_file(fixture.dir() + "/broken", "#!/no/such/interpreter\n", 0755);
  fixture.start_argv("broken", {fixture.dir() + "/broken"});
  CHECK(fixture.await("broken").how.error ==
        "cannot start " + fixture.dir() + "/broken: the interpreter it names does not exist");
}

TEST_CASE("the longest arguments arrive whole", "[launcher]") {
  launcher_fixture fixture;
  const std::string longest(131'071, 'x');
  fixture.start_argv("long", {"/usr/bin/wc", "-c", "--files0-from=-", "--"});
  CHECK(fixture.await("long").how.kind == outcome_kind::exited);
  fixture.start("line", "printf %s '" + std::string(131'000, 'y') + "' | wc -c");
  CHECK(fixture.await("line").how == outcome{outcome_kind::exited, 0, {}});
  CHECK(fixture.output("line") == "131000\n");

  std::vector<std::string> argv{"/bin/sh", "-c", "echo $# ${#1} ${#8}", "sh"};
  for (int i = 0; i < 7; ++i)
    argv.push_back(longest);
  argv.emplace_back("end");
  fixture.start_argv("many", argv);
  CHECK(fixture.await("many").how == outcome{outcome_kind::exited, 0, {}});
  CHECK(fixture.output("many") == "8 131071 3\n");

  attempt_start over;
  over.key = {"over", 1};
  over.channel = "default";
  over.line = std::string(131'072, 'z');
  const result<void> refused = fixture.client().start(over);
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == error_code::too_large);
  over.line = std::string("a\0b", 3);
  REQUIRE_FALSE(fixture.client().start(over));
}

TEST_CASE("both streams are kept in order, with an unterminated last line", "[launcher]") {
  launcher_fixture fixture;
  const attempt_ended end = fixture.run("order", "echo 1; echo 2 >&2; echo 3; echo 4 >&2; printf last");
  CHECK(fixture.output("order") == "1\n2\n3\n4\nlast");
  CHECK(end.output_bytes == 12);
  CHECK(fixture.run("silent", "/bin/true").output_bytes == 0);
  CHECK_FALSE(std::filesystem::exists(fixture.dir() + "/" + output_path(fixture.key("silent"))));
  CHECK(fixture.output("silent").empty());

  struct stat facts {};
  REQUIRE(::stat((fixture.dir() + "/" + output_path(fixture.key("order"))).c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);

  fixture.run("shell", "echo 'a  b' \"c\" && echo $((1+1)) | cat");
  CHECK(fixture.output("shell") == "a  b c\n2\n");
}

TEST_CASE("ten megabytes are capped to head and tail without blocking the command", "[launcher]") {
  launcher_fixture fixture;
  const attempt_ended end =
      fixture.run("big", "i=0; printf BEGIN; head -c 10000000 /dev/zero | tr '\\0' a; printf END");
  CHECK(end.how == outcome{outcome_kind::exited, 0, {}});
  CHECK(end.output_bytes == 10'000'008);
  const std::string kept = fixture.output("big");
  const std::string marker =
      "\n[task-runner: " + std::to_string(10'000'008 - 2 * 1'048'576) + " bytes of output left out here]\n";
  REQUIRE(kept.size() == 2 * 1'048'576 + marker.size());
  CHECK(kept.substr(0, 6) == "BEGINa");
  CHECK(kept.substr(1'048'576, marker.size()) == marker);
  CHECK(kept.substr(kept.size() - 4) == "aEND");
  CHECK(*output_size(fixture.dir(), fixture.key("big")) == kept.size());
  CHECK(*read_output(fixture.dir(), fixture.key("big"), kept.size() - 3, 100) == "END");
  CHECK_FALSE(std::filesystem::exists(fixture.dir() + "/" + output_path(fixture.key("big")) + ".tail"));
}

TEST_CASE("a background grandchild that holds the output cannot hold back the end", "[launcher]") {
  launcher_fixture fixture;
  fixture.start("background", "sleep 300 & echo $!; echo hi");
  const attempt_ended end = fixture.await("background");
  CHECK(end.how == outcome{outcome_kind::exited, 0, {}});
  CHECK(end.ended_at_ms - end.started_at_ms < 10'000);
  const std::string text = fixture.output("background");
  const int sleeper = std::stoi(text);
  CHECK(text == std::to_string(sleeper) + "\nhi\n");
  fixture.client().settled(fixture.key("background"));

  // The launcher has adopted it: the process lives, and when it ends it is reaped.
  CHECK(::kill(sleeper, 0) == 0);
  REQUIRE(::kill(sleeper, SIGKILL) == 0);
  CHECK(launcher_test::wait_gone(sleeper));

  // One that writes later is not killed by SIGPIPE, and what it writes is kept.
  fixture.start("late", "(while [ ! -e " + fixture.dir() +
                            "/go ]; do sleep 0.01; done; echo late; echo done >" + fixture.dir() +
                            "/wrote) & echo early");
  CHECK(fixture.await("late").how == outcome{outcome_kind::exited, 0, {}});
  launcher_test::write_file(fixture.dir() + "/go", "go");
  CHECK(launcher_test::wait_file(fixture.dir() + "/wrote"));
  fixture.client().settled(fixture.key("late"));
}

TEST_CASE("commands see the daemon's directory and environment, and their own names", "[launcher]") {
  ::setenv("TASK_RUNNER_REDIS_PASSWORD", "hush", 1);
  ::setenv("TASK_RUNNER_REDIS_PASSWORD_FILE", "/hush", 1);
  ::setenv("LAUNCHER_TEST_FIRST", "one", 1);
  launcher_fixture fixture;
  fixture.start("env",
                "echo $TASK_RUNNER_TASK_ID $TASK_RUNNER_CHANNEL $TASK_RUNNER_ATTEMPT $LAUNCHER_TEST_FIRST",
                "mail");
  fixture.await("env");
  CHECK(fixture.output("env") == "env mail 1 one\n");
  fixture.run("direct", "printenv TASK_RUNNER_TASK_ID");
  CHECK(fixture.output("direct") == "direct\n");
  fixture.run("all", "env");
  CHECK(fixture.output("all").find("hush") == std::string::npos);
  fixture.run("pwd", "pwd; env | grep ^PWD=");
  const std::string here = std::filesystem::current_path().string();
  CHECK(fixture.output("pwd") == here + "\nPWD=" + here + "\n");
  // The launcher itself was not told either.
  CHECK(read_file("/proc/" + std::to_string(fixture.launcher_pid()) + "/environ").find("hush") ==
        std::string::npos);
  ::unsetenv("TASK_RUNNER_REDIS_PASSWORD");
  ::unsetenv("TASK_RUNNER_REDIS_PASSWORD_FILE");

  // The next daemon stands elsewhere, with another environment; the same launcher follows.
  const int pid = fixture.launcher_pid();
  const launcher_test::scratch_directory elsewhere;
  std::filesystem::current_path(elsewhere.path());
  ::setenv("LAUNCHER_TEST_FIRST", "two", 1);
  fixture.next_daemon();
  CHECK(fixture.launcher_pid() == pid);
  fixture.run("moved", "pwd; echo $LAUNCHER_TEST_FIRST; env | grep ^PWD=");
  CHECK(fixture.output("moved") == elsewhere.path() + "\ntwo\nPWD=" + elsewhere.path() + "\n");
  std::filesystem::current_path(here);
  ::unsetenv("LAUNCHER_TEST_FIRST");
}

TEST_CASE("commands start clean: descriptors, stdin, session, signals, limits", "[launcher]") {
  launcher_fixture fixture;
  fixture.start("hold", "sleep 300");
  REQUIRE(fixture.events().wait_started(fixture.key("hold")));
  fixture.run("descriptors", "ls /proc/self/fd");
  CHECK(fixture.output("descriptors") == "0\n1\n2\n3\n");
  fixture.run("stdin", "readlink /proc/self/fd/0; cat");
  CHECK(fixture.output("stdin") == "/dev/null\n");
  fixture.run("signals-argv", "exec grep -E '^Sig(Blk|Ign):' /proc/self/status");
  CHECK(fixture.output("signals-argv") == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  fixture.run("session", "read -r pid comm state ppid pgrp session rest < /proc/self/stat; "
                         "[ $session = $pgrp ] && [ $ppid = " +
                             std::to_string(fixture.launcher_pid()) + " ] && echo own");
  CHECK(fixture.output("session") == "own\n");
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  fixture.run("limits", "ulimit -Sn");
  CHECK(fixture.output("limits") == std::to_string(limit.rlim_cur) + "\n");
  CHECK(fixture.client().signal(fixture.key("hold"), SIGTERM));
  CHECK(fixture.await("hold").how == outcome{outcome_kind::signalled, SIGTERM, {}});
}

TEST_CASE("signals reach the whole process group", "[launcher]") {
  launcher_fixture fixture;
  fixture.start("group", "trap 'echo caught; exit 5' TERM; sleep 300 & echo $!; wait");
  REQUIRE(fixture.events().wait_started(fixture.key("group")));
  REQUIRE(launcher_test::wait_file(fixture.dir() + "/" + output_path(fixture.key("group"))));
  const int sleeper = std::stoi(fixture.output("group"));
  // Until it executes, the shell's own handler would swallow the signal.
  REQUIRE(launcher_test::wait_comm(sleeper, "sleep"));
  CHECK(fixture.client().signal(fixture.key("group"), SIGTERM));
  CHECK(fixture.await("group").how == outcome{outcome_kind::exited, 5, {}});
  CHECK(launcher_test::wait_gone(sleeper));
  CHECK(fixture.output("group") == std::to_string(sleeper) + "\ncaught\n");

  const result<void> late = fixture.client().signal(fixture.key("group"), SIGTERM);
  REQUIRE_FALSE(late);
  CHECK(late.failure().code == error_code::not_found);
  CHECK(fixture.client().signal(fixture.key("group"), 0).failure().code == error_code::out_of_range);
}

TEST_CASE("a signal right behind the start is not lost", "[launcher]") {
  launcher_fixture fixture;
  for (int i = 0; i < 40; ++i) {
    const std::string id = "early" + std::to_string(i);
    fixture.start(id, i % 2 == 0 ? "sleep 300" : "sleep 300; true");
    CHECK(fixture.client().signal(fixture.key(id), SIGTERM));
  }
  for (int i = 0; i < 40; ++i) {
    const std::string id = "early" + std::to_string(i);
    CHECK(fixture.await(id).how == outcome{outcome_kind::signalled, SIGTERM, {}});
    fixture.client().settled(fixture.key(id));
  }
}

TEST_CASE("a start that is known already changes nothing", "[launcher]") {
  launcher_fixture fixture;
  fixture.start("same", "echo x");
  fixture.start("same", "echo y");
  CHECK(fixture.await("same").how == outcome{outcome_kind::exited, 0, {}});
  fixture.start("same", "echo z");
  fixture.run("after", "/bin/true");
  CHECK(fixture.output("same") == "x\n");
  CHECK(fixture.events().times_ended(fixture.key("same")) == 1);
  fixture.client().settled(fixture.key("same"));
}
