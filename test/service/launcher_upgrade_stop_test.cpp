// A launcher that goes over to another program while process trees are being ended: what was asked for goes
// on where it was, with its deadlines, down to the last process and with the outcome that was asked for.
#include "services/launcher/output_file.hpp"
#include "services/launcher/process_table.hpp"
#include "test/service/launcher_support.hpp"
#include "test/service/launcher_trees.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using namespace launcher_test;

namespace {

using moment = std::chrono::steady_clock::time_point;

moment now() {
  return std::chrono::steady_clock::now();
}

int64_t ms_since(moment began) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now() - began).count();
}

/// A shell that refuses to end, notes that it was asked to, and has a child far from it that refuses too.
std::string stubborn(const tree_register& book, const std::string& asked) {
  return "(setsid sh -c 'trap \"\" TERM; echo $$ >>" + book.path() +
         "; while :; do sleep 0.05; done') & trap 'echo asked >>" + asked + "' TERM; echo $$ >>" +
         book.path() + "; while :; do sleep 0.05; done";
}

/// One that goes when it is asked, and leaves a child behind that does not.
std::string leaves_child(const tree_register& book, const std::string& asked) {
  return "(setsid sh -c 'trap \"\" TERM; echo $$ >>" + book.path() +
         "; while :; do sleep 0.05; done') & trap 'echo asked >>" + asked + "; exit 0' TERM; echo $$ >>" +
         book.path() + "; while :; do sleep 0.05; done";
}

attempt_start start_of(const std::string& id, const std::string& line) {
  attempt_start wanted;
  wanted.key = {id, 1};
  wanted.channel = "default";
  wanted.line = line;
  return wanted;
}

} // namespace

TEST_CASE("a grace that began before the launcher went over ends when it would have", "[launcher][upgrade]") {
  const std::string containment = GENERATE(as<std::string>{}, "cgroup", "tag");
  if (containment == "cgroup" && !cgroups_available())
    return;
  const bool times_out = GENERATE(false, true);
  const bool leader_leaves = GENERATE(false, true);
  INFO(containment << ", times out: " << times_out << ", leader leaves: " << leader_leaves);
  constexpr int64_t grace_ms = 3'000;
  const scratch_directory programs;
  const std::string next = copy_of_self(programs.path(), "next");
  launcher_fixture fixture({"--containment", containment});
  const int pid = fixture.launcher_pid();
  const tree_register book;
  const std::string asked = fixture.dir() + "/asked";
  attempt_start wanted = start_of("tree", leader_leaves ? leaves_child(book, asked) : stubborn(book, asked));
  if (times_out) {
    wanted.timeout_ms = 700;
    wanted.grace_ms = grace_ms;
  }
  REQUIRE(fixture.client().start(wanted));
  REQUIRE(book.wait_for(2));
  if (!times_out)
    REQUIRE(fixture.client().stop(wanted.key, grace_ms));
  REQUIRE(wait_file(asked));
  const moment term_at = now();

  fixture.next_daemon(next);
  REQUIRE(settles_on(fixture, 1));
  const int64_t gone_over_ms = ms_since(term_at);
  CHECK(program_of(pid) == next);
  const attempt_ended end = fixture.await("tree");
  const int64_t took_ms = ms_since(term_at);
  CHECK(end.how.kind == (times_out ? outcome_kind::timed_out : outcome_kind::cancelled));
  CHECK(end.survivors == 0);
  CHECK(book.living().empty());
  // Neither cut short nor begun anew; only a machine under load finds the deadline over when it comes.
  CHECK(took_ms >= grace_ms - 300);
  CHECK(took_ms < std::max<int64_t>(grace_ms + 2'000, gone_over_ms + 2'000));
  std::cout << "a tree in its grace of " << grace_ms << " ms (" << containment
            << "): over to the new program " << gone_over_ms << " ms, gone " << took_ms << " ms after TERM\n";
  // It was asked once, not once by each program.
  CHECK(read_file(asked) == "asked\n");
  settle_ended(fixture);
}

TEST_CASE("a grace that ends while the launcher goes over ends with KILL right after",
          "[launcher][upgrade]") {
  const scratch_directory programs;
  const std::string next = copy_of_self(programs.path(), "waits");
  launcher_fixture fixture;
  const tree_register book;
  const std::string asked = fixture.dir() + "/asked";
  const std::string never_asked = fixture.dir() + "/timed-out";
  REQUIRE(fixture.client().start(start_of("stopped", stubborn(book, asked))));
  attempt_start late = start_of("late", stubborn(book, never_asked));
  late.timeout_ms = 4'000;
  late.grace_ms = 0;
  REQUIRE(fixture.client().start(late));
  REQUIRE(book.wait_for(4));
  const moment began = now();
  REQUIRE(fixture.client().stop(fixture.key("stopped"), 3'000));
  REQUIRE(wait_file(asked));
  fixture.next_daemon(next);
  REQUIRE(wait_file(programs.path() + "/waiting"));
  // The new program sleeps over both moments.
  REQUIRE(test::wait_until([&] { return ms_since(began) > 5'000; }));
  CHECK(book.living().size() == 4);
  write_file(programs.path() + "/go-on", "yes");
  const moment went_on = now();
  CHECK(fixture.await("stopped").how.kind == outcome_kind::cancelled);
  CHECK(fixture.await("late").how.kind == outcome_kind::timed_out);
  CHECK(ms_since(went_on) < 10'000);
  CHECK(book.living().empty());
  CHECK(read_file(never_asked).empty());
  settle_ended(fixture);
}

TEST_CASE("a tree that is being killed when the launcher goes over is killed to the end",
          "[launcher][upgrade]") {
  // A process in a frozen cgroup of version 1 dies only once it is let out, so that the test decides when.
  const std::string freezer = "/sys/fs/cgroup/freezer/tr-test-" + std::to_string(::getpid());
  if (::mkdir(freezer.c_str(), 0755) != 0) {
    std::cerr << "\n*** SKIPPED: KILL phase: there is no freezer of version 1 that may be used ***\n\n";
    return;
  }
  const bool comes_out = GENERATE(true, false);
  CAPTURE(comes_out);
  {
    const scratch_directory programs;
    const std::string next = copy_of_self(programs.path(), "next");
    launcher_fixture fixture;
    const tree_register book;
    const std::string asked = fixture.dir() + "/asked";
    REQUIRE(fixture.client().start(start_of("tree", stubborn(book, asked))));
    REQUIRE(book.wait_for(2));
    // One of the two is beyond KILL, the other one is not.
    const int frozen = book.pids().at(0);
    write_file(freezer + "/cgroup.procs", std::to_string(frozen));
    write_file(freezer + "/freezer.state", "FROZEN");
    REQUIRE(test::wait_until([&] { return read_file(freezer + "/freezer.state") == "FROZEN\n"; }));
    const std::string status = "/proc/" + std::to_string(frozen) + "/status";
    const moment began = now();
    REQUIRE(fixture.client().stop(fixture.key("tree"), 0));
    // KILL waits for it.
    REQUIRE(test::wait_until([&] {
      const std::string text = read_file(status);
      const size_t at = text.find("\nShdPnd:");
      const size_t own = text.find("\nSigPnd:");
      const auto pending = [&text](size_t from) {
        return from != std::string::npos && (std::stoull(text.substr(from + 8), nullptr, 16) & 0x100U) != 0;
      };
      return pending(at) || pending(own);
    }));
    fixture.next_daemon(next);
    REQUIRE(settles_on(fixture, 1));
    if (comes_out)
      write_file(freezer + "/freezer.state", "THAWED");
    const attempt_ended end = fixture.await("tree");
    CHECK(end.how.kind == outcome_kind::cancelled);
    if (comes_out) {
      // On a machine so slow that it was given up before it was let out, nobody waited for it.
      CHECK((end.survivors == 0 || ms_since(began) > 2'000));
    } else {
      CHECK(end.survivors == 1);
      CHECK(ms_since(began) >= 2'000);
      CHECK(ms_since(began) < 15'000);
      write_file(freezer + "/freezer.state", "THAWED");
    }
    CHECK(test::wait_until([&] { return book.living().empty(); }));
    settle_ended(fixture);
  }
  CHECK(test::wait_until([&] { return ::rmdir(freezer.c_str()) == 0; }));
}
