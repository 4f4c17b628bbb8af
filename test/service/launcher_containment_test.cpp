// What holds trees together: cgroups from a pool, tags, and what a launcher that died has left behind.
#include "services/launcher/cgroup_pool.hpp"
#include "services/launcher/child_clone.hpp"
#include "services/launcher/process_tag.hpp"
#include "services/launcher/spawn.hpp"
#include "test/service/launcher_support.hpp"
#include "test/service/launcher_trees.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <set>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

using namespace task_runner;
using namespace launcher_test;
using task_runner::launcher::cgroup_of;
using task_runner::launcher::cgroup_pool;
using task_runner::launcher::span_of_tag;
using task_runner::launcher::tag_holds;
using task_runner::launcher::tag_source;

namespace {

/// Whether a cgroup is there, as far as a mounted hierarchy shows it.
bool cgroup_exists(const std::string& path) {
  return std::filesystem::exists("/sys/fs/cgroup" + path + "/cgroup.procs") ||
         std::filesystem::exists("/sys/fs/cgroup/unified" + path + "/cgroup.procs");
}

} // namespace

TEST_CASE("tags are unique, nest, and tell whose they are", "[launcher][tag]") {
  const auto check_level = [](uint64_t own_limit, size_t at_least, uint64_t span) {
    tag_source source(own_limit);
    REQUIRE(source.available());
    std::set<uint64_t> seen;
    for (size_t i = 0; i < at_least; ++i) {
      const uint64_t tag = source.next();
      REQUIRE(tag != 0);
      REQUIRE(tag < own_limit);
      REQUIRE(span_of_tag(tag) == span);
      seen.insert(tag);
    }
    return seen;
  };
  const std::set<uint64_t> outer = check_level(RLIM_INFINITY, 10'000, uint64_t{1} << 28U);
  CHECK(outer.size() == 10'000);
  const uint64_t tag = *outer.begin();
  const uint64_t other = *outer.rbegin();
  CHECK_FALSE(tag_holds(tag, other));
  CHECK_FALSE(tag_holds(other, tag));
  CHECK_FALSE(tag_holds(tag, RLIM_INFINITY));
  const std::set<uint64_t> inner = check_level(tag, 1'000, 256);
  for (const uint64_t one : inner) {
    CHECK(tag_holds(tag, one));
    CHECK_FALSE(tag_holds(one, tag));
    CHECK_FALSE(tag_holds(other, one));
  }
  const std::set<uint64_t> innermost = check_level(*inner.begin(), 100, 1);
  for (const uint64_t one : innermost) {
    CHECK(tag_holds(*inner.begin(), one));
    CHECK(tag_holds(tag, one));
    CHECK_FALSE(tag_holds(*inner.rbegin(), one));
  }
  CHECK_FALSE(tag_source(*innermost.begin()).available());

  // A limit that somebody has set.
  for (const uint64_t limit : {uint64_t{200'000}, uint64_t{100'000'000}, uint64_t{1} << 40U}) {
    const std::set<uint64_t> below = check_level(limit, 500, 1);
    CHECK_FALSE(tag_source(*below.begin()).available());
  }
  CHECK_FALSE(tag_source(100).available());
}

TEST_CASE("a tag that some process has is not handed out", "[launcher][tag]") {
  // Few tags, so that a collision would be certain without the look at all processes.
  constexpr uint64_t limit = 20'000;
  std::set<uint64_t> all;
  {
    tag_source source(limit);
    for (int i = 0; i < 2'000; ++i)
      all.insert(source.next());
  }
  REQUIRE(all.size() > 50);
  const uint64_t taken = *std::next(all.begin(), 20);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit mark{taken, taken};
    ::setrlimit(RLIMIT_RTTIME, &mark);
    ::pause();
    ::_exit(0);
  }
  REQUIRE(test::wait_until([&] { return tag_of(child) == taken; }));
  tag_source source(limit);
  bool handed_out = false;
  for (int i = 0; i < 2'000; ++i)
    handed_out = handed_out || source.next() == taken;
  CHECK_FALSE(handed_out);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("cgroups come from a pool and go back to it", "[launcher][cgroup]") {
  if (!cgroups_available())
    return;
  std::string why_not;
  std::unique_ptr<cgroup_pool> pool = cgroup_pool::open("test-" + std::to_string(::getpid()), why_not);
  INFO(why_not);
  REQUIRE(pool);
  const std::string first = pool->acquire();
  const std::string second = pool->acquire();
  REQUIRE_FALSE(first.empty());
  CHECK(first != second);
  pool->release(first);
  CHECK(pool->acquire() == first);

  const auto start_in = [&](const std::string& slot) {
    const launcher::owned_descriptor into = pool->open_for_child(slot);
    REQUIRE(into);
    int process = -1;
    const int pid = launcher::fork_child(pool->clones_into() ? into.get() : -1, process);
    if (pid == 0) {
      if (!pool->clones_into() && !launcher::enter_cgroup(into.get()))
        ::_exit(1);
      for (;;)
        ::pause();
    }
    REQUIRE(pid > 0);
    const launcher::owned_descriptor owned(process);
    REQUIRE(test::wait_until([&] { return pool->processes(slot) == std::vector<int>{pid}; }));
    CHECK(cgroup_of(pid) == slot);
    return pid;
  };
  const int sleeper = start_in(first);
  CHECK(pool->is_populated(first));
  CHECK_FALSE(pool->is_populated(second));
  // Occupied by what was left in the background: not handed out until that has gone.
  pool->release(first);
  pool->release(second);
  CHECK(pool->acquire() == second);
  const std::string third = pool->acquire();
  CHECK(third != first);
  ::kill(sleeper, SIGKILL);
  ::waitpid(sleeper, nullptr, 0);
  REQUIRE(test::wait_until([&] { return !pool->is_populated(first); }));
  CHECK(pool->acquire() == first);

  // One that was killed is never used again: some kernels would kill what is made in it later.
  const int victim = start_in(third);
  if (pool->kill(third)) {
    int status = 0;
    REQUIRE(::waitpid(victim, &status, 0) == victim);
    CHECK(WIFSIGNALED(status));
    pool->release(third);
    const std::string fresh = pool->acquire();
    CHECK(fresh != third);
    const int after = start_in(fresh);
    ::kill(after, SIGKILL);
    ::waitpid(after, nullptr, 0);
  } else {
    ::kill(victim, SIGKILL);
    ::waitpid(victim, nullptr, 0);
  }
  pool.reset();
  // Nothing of it stays.
  pool = cgroup_pool::open("test-" + std::to_string(::getpid()), why_not);
  REQUIRE(pool);
  CHECK(pool->size() <= 1);
}

TEST_CASE("slots are used again and removed when the launcher leaves", "[launcher][cgroup]") {
  if (!cgroups_available())
    return;
  std::string directory;
  {
    launcher_fixture fixture({"--containment", "cgroup"});
    std::set<std::string> slots;
    for (int i = 0; i < 20; ++i) {
      const std::string id = "slot" + std::to_string(i);
      REQUIRE(fixture.run(id, "grep ^0:: /proc/self/cgroup").how == outcome{outcome_kind::exited, 0, {}});
      slots.insert(fixture.output(id));
    }
    CHECK(slots.size() <= 2);
    const std::string slot = slots.begin()->substr(3);
    CHECK(slot.find("/task-runner.") != std::string::npos);
    directory = slot.substr(0, slot.rfind('/'));
    // Commands see the mounts that everybody sees.
    fixture.run("mounts", "readlink /proc/self/ns/mnt");
    CHECK(fixture.output("mounts") == std::filesystem::read_symlink("/proc/self/ns/mnt").string() + "\n");
  }
  // The fixture has waited for the launcher's end.
  CHECK_FALSE(cgroup_exists(directory));
}

TEST_CASE("pools of launchers that are no more are removed by the next one", "[launcher][cgroup]") {
  if (!cgroups_available())
    return;
  const std::string number = std::to_string(::getpid());
  std::string why_not;
  const std::unique_ptr<cgroup_pool> living = cgroup_pool::open("living-" + number, why_not);
  REQUIRE(living);
  const std::string unused = living->acquire();
  living->release(unused);
  const pid_t child = ::fork();
  if (child == 0) {
    // It goes without a word, as one that is killed. Only it can tell that its pool was there: whatever
    // launcher starts next, that of another test too, removes what it left.
    std::unique_ptr<cgroup_pool> pool = cgroup_pool::open("dead-" + number, why_not);
    ::_exit(pool && !pool->acquire().empty() && pool.release() != nullptr ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  const std::string parent = unused.substr(0, unused.find("/task-runner."));
  const bool seen = cgroup_exists(unused);
  const std::unique_ptr<cgroup_pool> next = cgroup_pool::open("next-" + number, why_not);
  REQUIRE(next);
  CHECK_FALSE(cgroup_exists(parent + "/task-runner.dead-" + number));
  // That of one that lives is left alone, though nothing is in it.
  CHECK(cgroup_exists(unused) == seen);
  CHECK(living->acquire() == unused);
  CHECK(living->open_for_child(unused));
}

TEST_CASE("what a launcher that was killed left of its attempts dies before they are lost",
          "[launcher][crash][containment]") {
  for (const std::string containment : {"cgroup", "tag"}) {
    if (containment == "cgroup" && !cgroups_available())
      continue;
    INFO(containment);
    launcher_fixture fixture({"--containment", containment});
    const tree_register lost;
    const tree_register kept;
    // A background process of an attempt that had ended is nobody's business.
    REQUIRE(fixture
                .run("ended", "setsid sh -c 'echo $$ >>" + kept.path() +
                                  "; exec sleep 60' >/dev/null 2>&1 & while [ ! -s " + kept.path() +
                                  " ]; do sleep 0.01; done")
                .how == outcome{outcome_kind::exited, 0, {}});
    REQUIRE(kept.wait_for(1));
    for (int i = 0; i < 5; ++i)
      fixture.start("lost" + std::to_string(i), "trap '' TERM; (setsid sh -c 'echo $$ >>" + lost.path() +
                                                    "; exec sleep 60') & echo $$ >>" + lost.path() +
                                                    "; while :; do sleep 0.05; done");
    REQUIRE(lost.wait_for(10));
    const std::vector<launcher::process_facts> before = lost.living();
    REQUIRE(before.size() == 10);
    const int pid = fixture.launcher_pid();
    REQUIRE(::kill(pid, SIGKILL) == 0);
    REQUIRE(wait_gone(pid));
    for (int i = 0; i < 5; ++i) {
      const attempt_ended end = fixture.await("lost" + std::to_string(i));
      CHECK(end.how.kind == outcome_kind::lost);
      CHECK(end.survivors == 0);
    }
    CHECK(lost.living().empty());
    CHECK(kept.living().size() == 1);
    for (const int one : kept.pids())
      ::kill(one, SIGKILL);
    CHECK(fixture.run("on", "echo on").how == outcome{outcome_kind::exited, 0, {}});
    for (int i = 0; i < 5; ++i)
      fixture.client().settled(fixture.key("lost" + std::to_string(i)));
  }
}

TEST_CASE("a launcher under a limit that somebody has set", "[launcher][containment]") {
  const scratch_directory scratch;
  const std::string starter = scratch.path() + "/starter";
  // Room for tags below it; and the limit of a tag inside of which no other fits.
  for (const auto& [limit, containment] :
       {std::pair<uint64_t, std::string>{100'000'000, "tag"}, {333, "process-group"}}) {
    INFO(containment);
    const std::string number = std::to_string(limit);
    write_file(starter,
               "#!/bin/sh\nexec prlimit --rttime=" + number + ":" + number + " -- " +
                   std::filesystem::read_symlink("/proc/self/exe").string() + " \"$@\"\n",
               0755);
    launcher_fixture fixture({"--containment", "tag"}, {}, starter);
    CHECK(fixture.client().health().containment == containment);
    const tree_register book;
    fixture.start("tree", "trap '' TERM; (setsid sh -c 'echo $$ >>" + book.path() +
                              "; exec sleep 60') & echo $$ >>" + book.path() +
                              "; while :; do sleep 0.05; done");
    REQUIRE(book.wait_for(2));
    const std::optional<attempt_started> started = fixture.events().wait_started(fixture.key("tree"));
    REQUIRE(started);
    CHECK(tag_of(started->pid) <= limit);
    CHECK((tag_of(started->pid) == limit) == (containment == "process-group"));
    REQUIRE(fixture.client().stop(fixture.key("tree"), 50));
    const attempt_ended end = fixture.await("tree");
    CHECK(end.how.kind == outcome_kind::cancelled);
    CHECK(end.survivors == 0);
    CHECK(book.living().empty());
    fixture.client().settled(fixture.key("tree"));
  }
}

TEST_CASE("a launcher inside an attempt of another one", "[launcher][containment]") {
  for (const std::string containment : {"cgroup", "tag"}) {
    if (containment == "cgroup" && !cgroups_available())
      continue;
    INFO(containment);
    launcher_fixture outer({"--containment", containment});
    const scratch_directory inner_state;
    const std::string self = std::filesystem::read_symlink("/proc/self/exe");
    // The inner one is started by hand, and lives as long as its command.
    outer.start("nested", self + " --doomed-daemon " + inner_state.path() + " 'sleep 300'; sleep 300");
    const std::string pid_file = inner_state.path() + "/launcher.pid";
    REQUIRE(wait_file(pid_file));
    const auto started = outer.events().wait_started(outer.key("nested"));
    REQUIRE(started);
    const uint64_t tag = tag_of(started->pid);
    REQUIRE(tag != 0);
    // A process whose tag lies inside of the outer one: the inner launcher's command.
    const auto inner_command = [&] {
      for (const int pid : living_with_tag(tag))
        if (tag_of(pid) != tag && tag_of(pid) != 0)
          return pid;
      return 0;
    };
    REQUIRE(test::wait_until([&] { return inner_command() != 0; }));
    const int inner_launcher = std::stoi(read_file(pid_file));
    CHECK(span_of_tag(tag_of(inner_command())) < span_of_tag(tag));
    const std::optional<launcher::process_facts> before = launcher::look_at_process(inner_launcher);
    REQUIRE(before);
    REQUIRE(outer.client().stop(outer.key("nested"), 100));
    CHECK(outer.await("nested").how.kind == outcome_kind::cancelled);
    CHECK(living_with_tag(tag).empty());
    CHECK_FALSE(still_lives(*before));
    outer.client().settled(outer.key("nested"));
  }
}

TEST_CASE("how much a pool of cgroups costs", "[.][measure]") {
  if (!cgroups_available())
    return;
  const auto rate = [](const std::string& containment) {
    launcher_fixture fixture({"--containment", containment});
    constexpr int count = 2'000;
    constexpr int at_once = 16;
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      fixture.start("t" + std::to_string(i), "/bin/true");
      if (i >= at_once) {
        const std::string done = "t" + std::to_string(i - at_once);
        fixture.await(done);
        fixture.client().settled(fixture.key(done));
      }
    }
    for (int i = count - at_once; i < count; ++i)
      fixture.await("t" + std::to_string(i));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    for (int i = count - at_once; i < count; ++i)
      fixture.client().settled(fixture.key("t" + std::to_string(i)));
    return count / took.count();
  };
  std::vector<double> with;
  std::vector<double> without;
  for (int round = 0; round < 7; ++round) {
    without.push_back(rate("tag"));
    with.push_back(rate("cgroup"));
  }
  std::sort(with.begin(), with.end());
  std::sort(without.begin(), without.end());
  std::cout << "starts per second, 16 at a time, medians of 7: tag " << without[3] << ", pooled cgroup "
            << with[3] << ", ratio " << with[3] / without[3] << "\n";
  CHECK(with[3] > 0.5 * without[3]);
}
