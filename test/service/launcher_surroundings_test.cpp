// What a command may ask for: variables, directory, input, user, nice value, umask, limits, a time of its
// own; and that it gets nothing that is ours.
#include "services/launcher/output_file.hpp"
#include "services/launcher/spawn.hpp"
#include "services/launcher/user_identity.hpp"
#include "test/service/launcher_support.hpp"
#include "test/service/launcher_trees.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <functional>
#include <iostream>
#include <pwd.h>
#include <sstream>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using launcher_test::launcher_fixture;

namespace {

/// Runs a line in these surroundings and settles it.
attempt_ended run_in(launcher_fixture& fixture, const std::string& id, const std::string& line,
                     const std::function<void(attempt_start&)>& change) {
  attempt_start wanted;
  wanted.key = {id, 1};
  wanted.channel = "default";
  wanted.line = line;
  change(wanted);
  REQUIRE(fixture.client().start(wanted));
  const attempt_ended end = fixture.await(id);
  fixture.client().settled(wanted.key);
  return end;
}

bool skip_without_root(const char* what) {
  if (::geteuid() == 0)
    return false;
  std::cerr << "\n*** SKIPPED: " << what << ": needs root ***\n\n";
  return true;
}

const outcome well{outcome_kind::exited, 0, {}};

} // namespace

TEST_CASE("variables of a task are added, and the last one wins", "[launcher][surroundings]") {
  ::setenv("LAUNCHER_TEST_OUTER", "outer", 1);
  launcher_fixture fixture;
  CHECK(run_in(fixture, "set", "echo \"$A|$LAUNCHER_TEST_OUTER|$EMPTY|$LONG_ONE\"; env | grep -c ^A=",
               [](attempt_start& wanted) {
                 wanted.environment.variables = {{"A", "first"},
                                                 {"LAUNCHER_TEST_OUTER", "inner"},
                                                 {"EMPTY", ""},
                                                 {"LONG_ONE", "a b=c\n$x"},
                                                 {"A", "second"}};
               })
            .how == well);
  CHECK(fixture.output("set") == "second|inner||a b=c\n$x\n1\n");
  // What names the attempt stays true.
  run_in(fixture, "names",
         "env | grep -c ^TASK_RUNNER_TASK_ID=; echo $TASK_RUNNER_TASK_ID $TASK_RUNNER_ATTEMPT",
         [](attempt_start& wanted) {
           wanted.environment.variables = {{"TASK_RUNNER_TASK_ID", "forged"}, {"TASK_RUNNER_ATTEMPT", "9"}};
         });
  CHECK(fixture.output("names") == "1\nnames 1\n");
  // Programs are looked for where the command's own PATH says, with a shell or without.
  launcher_test::write_file(fixture.dir() + "/only-here", "#!/bin/sh\necho found\n", 0755);
  const auto own_path = [&](attempt_start& wanted) {
    wanted.environment.variables = {{"PATH", fixture.dir() + ":/usr/bin:/bin"}};
  };
  CHECK(run_in(fixture, "plain", "only-here", own_path).how == well);
  CHECK(run_in(fixture, "shell", "only-here && true", own_path).how == well);
  CHECK(run_in(fixture, "argv", "", [&](attempt_start& wanted) {
          own_path(wanted);
          wanted.argv = {"only-here"};
        }).how == well);
  CHECK(fixture.output("plain") + fixture.output("shell") + fixture.output("argv") ==
        "found\nfound\nfound\n");
  ::unsetenv("LAUNCHER_TEST_OUTER");
}

TEST_CASE("a task has a directory of its own", "[launcher][surroundings]") {
  launcher_fixture fixture;
  const std::string place = fixture.dir() + "/a place";
  std::filesystem::create_directory(place);
  launcher_test::write_file(place + "/tool", "#!/bin/sh\npwd\n", 0755);
  const auto there = [&](attempt_start& wanted) { wanted.environment.directory = place; };
  CHECK(run_in(fixture, "pwd", "pwd; env | grep ^PWD=", there).how == well);
  CHECK(fixture.output("pwd") == place + "\nPWD=" + place + "\n");
  // Relative names begin there.
  CHECK(run_in(fixture, "line", "./tool", there).how == well);
  CHECK(run_in(fixture, "argv", "", [&](attempt_start& wanted) {
          there(wanted);
          wanted.argv = {"./tool"};
        }).how == well);
  CHECK(run_in(fixture, "path", "tool", [&](attempt_start& wanted) {
          there(wanted);
          wanted.environment.variables = {{"PATH", ".:/usr/bin:/bin"}};
        }).how == well);
  CHECK(fixture.output("line") + fixture.output("argv") + fixture.output("path") ==
        place + "\n" + place + "\n" + place + "\n");

  const attempt_ended missing = run_in(fixture, "missing", "pwd", [&](attempt_start& wanted) {
    wanted.environment.directory = place + "/none";
  });
  CHECK(missing.how == outcome{outcome_kind::spawn_failed, 0,
                               "cannot enter the directory " + place + "/none: No such file or directory"});
  CHECK(missing.started_at_ms == 0);
  CHECK(run_in(fixture, "file", "pwd", [&](attempt_start& wanted) {
          wanted.environment.directory = place + "/tool";
        }).how.error == "cannot enter the directory " + place + "/tool: Not a directory");
}

TEST_CASE("a task reads the input that it was given", "[launcher][surroundings]") {
  launcher_fixture fixture;
  std::string input("line one\nline two\0with a zero", 29);
  CHECK(run_in(fixture, "text", "cat", [&](attempt_start& wanted) {
          wanted.environment.input = input;
        }).how == well);
  CHECK(fixture.output("text") == input);
  input.assign(input_bytes_max, 'i');
  run_in(fixture, "large", "wc -c; wc -c </dev/stdin",
         [&](attempt_start& wanted) { wanted.environment.input = input; });
  CHECK(fixture.output("large") == "1048576\n1048576\n");
  run_in(fixture, "empty", "cat; echo end", [](attempt_start& wanted) { wanted.environment.input = ""; });
  CHECK(fixture.output("empty") == "end\n");
  // One that reads nothing is not held up, and nobody else can be by changing it.
  CHECK(run_in(fixture, "unread", "true", [&](attempt_start& wanted) {
          wanted.environment.input = input;
        }).how == well);
  CHECK(run_in(fixture, "sealed", "echo x >>/dev/stdin", [](attempt_start& wanted) {
          wanted.environment.input = "mine";
        }).how.code != 0);
}

TEST_CASE("nothing that is ours reaches a command", "[launcher][surroundings]") {
  launcher_fixture fixture;
  const auto list = [&](const std::string& id, const std::function<void(attempt_start&)>& change) {
    attempt_start wanted;
    wanted.key = {id, 1};
    wanted.channel = "default";
    // The directory itself is opened for the listing: what is open is what can be read back twice.
    wanted.argv = {"/bin/sh", "-c",
                   "for n in /proc/$$/fd/*; do readlink $n >/dev/null && echo ${n##*/}; done"};
    change(wanted);
    REQUIRE(fixture.client().start(wanted));
    fixture.await(id);
    fixture.client().settled(wanted.key);
    return fixture.output(id);
  };
  fixture.start("beside", "sleep 300");
  CHECK(list("bare", [](attempt_start&) {}) == "0\n1\n2\n");
  CHECK(list("rich", [&](attempt_start& wanted) {
          wanted.environment.input = "text";
          wanted.environment.directory = fixture.dir();
          wanted.environment.nice = 3;
          wanted.environment.limits.cpu_s = 100;
          wanted.timeout_ms = 60'000;
        }) == "0\n1\n2\n");
  CHECK(fixture.client().signal(fixture.key("beside"), SIGKILL));
  fixture.await("beside");
}

TEST_CASE("nice value, umask and limits of a task", "[launcher][surroundings]") {
  launcher_fixture fixture;
  run_in(fixture, "nice", "nice", [](attempt_start& wanted) { wanted.environment.nice = 7; });
  CHECK(fixture.output("nice") == "7\n");
  run_in(fixture, "mask", "umask", [](attempt_start& wanted) { wanted.environment.file_mask = 0137; });
  CHECK(fixture.output("mask") == "0137\n");

  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NPROC, &before) == 0);
  const auto limited = [](attempt_start& wanted) {
    wanted.environment.limits.memory_bytes = 512U << 20U;
    wanted.environment.limits.cpu_s = 40;
    wanted.environment.limits.processes = 200;
    wanted.environment.limits.file_size_bytes = 1U << 20U;
  };
  CHECK(run_in(fixture, "limits", "cat /proc/self/limits", limited).how == well);
  const std::string text = fixture.output("limits");
  const auto row = [&text](const std::string& name) {
    const size_t at = text.find(name);
    REQUIRE(at != std::string::npos);
    std::istringstream fields(text.substr(at + 26, 42));
    std::string soft;
    std::string hard;
    fields >> soft >> hard;
    return soft + " " + hard;
  };
  CHECK(row("Max address space") == "536870912 536870912");
  CHECK(row("Max cpu time") == "40 41");
  CHECK(row("Max processes") == "200 200");
  CHECK(row("Max file size") == "1048576 1048576");

  // And they bite.
  const auto small = [](attempt_start& wanted) {
    wanted.environment.limits.cpu_s = 1;
    wanted.environment.limits.file_size_bytes = 1'000;
  };
  CHECK(run_in(fixture, "burn", "exec perl -e '1 while 1'", small).how ==
        outcome{outcome_kind::signalled, SIGXCPU, {}});
  CHECK(run_in(fixture, "ignore", "exec perl -e '$SIG{XCPU}=\"IGNORE\"; 1 while 1'", small).how ==
        outcome{outcome_kind::signalled, SIGKILL, {}});
  const std::string big = fixture.dir() + "/big";
  CHECK(run_in(fixture, "write", "exec head -c 5000 /dev/zero >" + big, small).how ==
        outcome{outcome_kind::signalled, SIGXFSZ, {}});
  CHECK(std::filesystem::file_size(big) == 1'000);
  CHECK_FALSE(run_in(fixture, "eat", "exec perl -e '$x = \"x\" x 300_000_000'", [](attempt_start& wanted) {
                wanted.environment.limits.memory_bytes = 100'000'000;
              }).how.succeeded());
}

TEST_CASE("commands get the original limit of descriptors back", "[launcher][surroundings]") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit lowered = before;
  lowered.rlim_cur = 300;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &lowered) == 0);
  {
    launcher_fixture fixture;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    fixture.run("limit", "ulimit -Sn; ulimit -Hn");
    CHECK(fixture.output("limit") == "300\n" + std::to_string(before.rlim_max) + "\n");
    // The launcher itself has raised its own.
    rlimit own{};
    REQUIRE(::prlimit(fixture.launcher_pid(), RLIMIT_NOFILE, nullptr, &own) == 0);
    CHECK(own.rlim_cur == before.rlim_max);
  }
}

TEST_CASE("a task runs as the user it names", "[launcher][surroundings]") {
  if (skip_without_root("running as another user"))
    return;
  launcher_fixture fixture;
  const passwd* entry = ::getpwnam("nobody");
  REQUIRE(entry != nullptr);
  const std::string uid = std::to_string(entry->pw_uid);
  const auto as = [](const std::string& user) {
    return [user](attempt_start& wanted) { wanted.environment.user = user; };
  };
  CHECK(
      run_in(fixture, "name", "id -un; id -u; id -ru; id -Gn; echo $HOME $USER $LOGNAME $SHELL", as("nobody"))
          .how == well);
  CHECK(fixture.output("name") == "nobody\n" + uid + "\n" + uid + "\nnogroup\n" + entry->pw_dir +
                                      " nobody nobody " + entry->pw_shell + "\n");
  run_in(fixture, "number", "id -un", as(uid));
  CHECK(fixture.output("number") == "nobody\n");
  // What the task says itself wins, and the streams can be opened by their names.
  CHECK(run_in(fixture, "own", "echo $HOME $USER; cat /dev/stdin >/dev/stdout", [&](attempt_start& wanted) {
          wanted.environment.user = "nobody";
          wanted.environment.variables = {{"HOME", "/elsewhere"}};
          wanted.environment.input = "read";
        }).how == well);
  CHECK(fixture.output("own") == "/elsewhere nobody\nread");
  // No right of root is left.
  CHECK(run_in(fixture, "rights",
               "grep -E '^Cap(Prm|Eff):' /proc/self/status; cat " + fixture.dir() + "/launcher.journal",
               as("nobody"))
            .how.code != 0);
  CHECK(fixture.output("rights").find("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n") == 0);
  // A directory that only root may enter.
  CHECK(run_in(fixture, "closed", "pwd", [&](attempt_start& wanted) {
          wanted.environment.user = "nobody";
          wanted.environment.directory = fixture.dir();
        }).how.error == "cannot enter the directory " + fixture.dir() + ": Permission denied");
  CHECK(run_in(fixture, "negative", "nice", [&](attempt_start& wanted) {
          wanted.environment.user = "nobody";
          wanted.environment.nice = -3;
        }).how == well);
  CHECK(fixture.output("negative") == "-3\n");
  CHECK(
      run_in(fixture, "unknown", "id", as("no-such-user-here")).how ==
      outcome{outcome_kind::spawn_failed, 0, "cannot run as user no-such-user-here: there is no such user"});
  CHECK(run_in(fixture, "unknown-number", "id", as("4000000000")).how.kind == outcome_kind::spawn_failed);
}

TEST_CASE("a full disk drops output, counts it, and holds nobody up", "[launcher][surroundings]") {
  if (skip_without_root("output on a full disk"))
    return;
  // Only output/ lies on the small disk; the launcher's own files do not.
  launcher_fixture fixture;
  const std::string output = fixture.dir() + "/output";
  if (::mount("tmpfs", output.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=256k,mode=0700") != 0) {
    std::cerr << "\n*** SKIPPED: output on a full disk: a tmpfs cannot be mounted ***\n\n";
    return;
  }
  struct unmount {
    std::string path;
    ~unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } const at_end{output};
  // The launcher that runs holds the directory below the mount; the next one sees the mount.
  const int pid = fixture.launcher_pid();
  REQUIRE(::kill(pid, SIGKILL) == 0);
  REQUIRE(launcher_test::wait_gone(pid));
  fixture.next_daemon();
  const attempt_ended end = fixture.run("flood", "head -c 3000000 /dev/zero | tr '\\0' x; exit 5");
  CHECK(end.how == outcome{outcome_kind::exited, 5, {}});
  CHECK(end.output_bytes == 3'000'000);
  CHECK(fixture.run("after", "echo hello").how == well);
}
