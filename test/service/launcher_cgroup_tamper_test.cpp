// Somebody outside meddles with the launcher's pool of cgroups: kills, removes or replaces the slots in it.
// Commands that come later are innocent of that: none may die of it, be refused for it, or run twice.
#include "services/launcher/owned_descriptor.hpp"
#include "test/service/launcher_support.hpp"
#include "test/service/launcher_trees.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using namespace launcher_test;

namespace {

/// A launcher with cgroups, and the eyes and hands of somebody outside on them.
class meddled_pool {
public:
  launcher_fixture fixture{{"--containment", "cgroup"}};

  /// Runs so many commands at once, so that the pool has so many slots, all of them idle afterwards.
  explicit meddled_pool(int slots) {
    const std::string go = fixture.dir() + "/go-first";
    for (int i = 0; i < slots; ++i)
      fixture.start("first" + std::to_string(i),
                    "grep ^0:: /proc/self/cgroup; while [ ! -e " + go + " ]; do sleep 0.01; done");
    for (int i = 0; i < slots; ++i)
      REQUIRE(fixture.events().wait_started(fixture.key("first" + std::to_string(i))));
    write_file(go, "go");
    for (int i = 0; i < slots; ++i) {
      const std::string id = "first" + std::to_string(i);
      REQUIRE(fixture.await(id).how.succeeded());
      slots_.insert(slot_in(fixture.output(id)));
      fixture.client().settled(fixture.key(id));
    }
    REQUIRE(slots_.size() == static_cast<size_t>(slots));
    find_view();
  }

  const std::set<std::string>& slots() const { return slots_; }
  std::string pool() const { return slots_.begin()->substr(0, slots_.begin()->rfind('/')); }
  /// Where a cgroup of the hierarchy can be reached.
  std::string path(const std::string& cgroup) const { return view_ + cgroup; }
  void kill(const std::string& cgroup) const {
    // Asked of the writing itself: the launcher may have removed the cgroup a moment later.
    const launcher::owned_descriptor file(
        ::open((path(cgroup) + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(file);
    REQUIRE(::write(file.get(), "1", 1) == 1);
  }
  void remove(const std::string& cgroup) const { REQUIRE(::rmdir(path(cgroup).c_str()) == 0); }
  void make(const std::string& cgroup) const { REQUIRE(::mkdir(path(cgroup).c_str(), 0755) == 0); }

  static std::string slot_in(const std::string& output) {
    REQUIRE(output.compare(0, 3, "0::") == 0);
    return output.substr(3, output.find('\n') - 3);
  }

  /// Commands one after the other and many at once: each runs once, to its own end, in a cgroup of the pool.
  void check_innocent() {
    const std::string ran = fixture.dir() + "/ran";
    const std::string line = "echo $TASK_RUNNER_TASK_ID >>" + ran + "; grep ^0:: /proc/self/cgroup; exit 5";
    std::set<std::string> ids;
    for (int i = 0; i < 10; ++i) {
      const std::string id = "single" + std::to_string(i);
      ids.insert(id);
      fixture.start(id, line);
      check_end(id);
    }
    for (int i = 0; i < 30; ++i) {
      const std::string id = "many" + std::to_string(i);
      ids.insert(id);
      fixture.start(id, line);
    }
    for (int i = 0; i < 30; ++i)
      check_end("many" + std::to_string(i));
    std::istringstream lines(read_file(ran));
    std::multiset<std::string> seen;
    for (std::string id; std::getline(lines, id);)
      seen.insert(id);
    CHECK(seen == std::multiset<std::string>(ids.begin(), ids.end()));
    CHECK(fixture.client().health().restarts == 0);
    CHECK(fixture.client().health().containment == "cgroup");
    size_t again = 0;
    const std::string log = read_file(fixture.dir() + "/launcher.log");
    const std::string words = "was killed before it began";
    for (size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1))
      ++again;
    std::cout << "of 40 commands " << again << " were started again\n";
  }

private:
  void check_end(const std::string& id) {
    const attempt_ended end = fixture.await(id);
    INFO(id << ": " << to_string(end.how.kind) << " " << end.how.code << " " << end.how.error);
    CHECK(end.how == outcome{outcome_kind::exited, 5, {}});
    CHECK(end.started_at_ms > 0);
    CHECK(fixture.events().times_ended(fixture.key(id)) == 1);
    CHECK(slot_in(fixture.output(id)).compare(0, pool().size() + 1, pool() + "/") == 0);
    fixture.client().settled(fixture.key(id));
  }

  /// Through a mount that everybody sees, else through the descriptor of the launcher's own.
  void find_view() {
    std::vector<std::string> views{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    const std::string descriptors = "/proc/" + std::to_string(fixture.launcher_pid()) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(descriptors))
      views.push_back(entry.path().string());
    for (const std::string& view : views)
      if (std::filesystem::exists(view + *slots_.begin() + "/cgroup.procs")) {
        view_ = view;
        return;
      }
    FAIL("the launcher's cgroups cannot be seen");
  }

  std::set<std::string> slots_;
  std::string view_;
};

} // namespace

TEST_CASE("a pooled cgroup that somebody has killed kills no later command", "[launcher][cgroup][tamper]") {
  if (!cgroups_available())
    return;
  meddled_pool pool(4);
  SECTION("one slot, while it is idle") {
    pool.kill(*pool.slots().begin());
  }
  SECTION("every slot, while they are idle") {
    for (const std::string& slot : pool.slots())
      pool.kill(slot);
  }
  SECTION("the pool as a whole") {
    pool.kill(pool.pool());
  }
  SECTION("a slot that a background process of an ended command holds") {
    const tree_register book;
    REQUIRE(pool.fixture
                .run("leaves", "setsid sh -c 'echo $$ >>" + book.path() +
                                   "; exec sleep 60' >/dev/null 2>&1 & while [ ! -s " + book.path() +
                                   " ]; do sleep 0.01; done; grep ^0:: /proc/self/cgroup")
                .how.succeeded());
    pool.kill(pool.slot_in(pool.fixture.output("leaves")));
    CHECK(test::wait_until([&] { return book.living().empty(); }));
  }
  SECTION("the slot of a command that runs, which dies of it as it was told to") {
    const std::string told = pool.fixture.dir() + "/told";
    pool.fixture.start("victim", "grep ^0:: /proc/self/cgroup; echo yes >" + told + "; exec sleep 300");
    REQUIRE(wait_file(told));
    REQUIRE(test::wait_until([&] { return !pool.fixture.output("victim").empty(); }));
    pool.kill(pool.slot_in(pool.fixture.output("victim")));
    CHECK(pool.fixture.await("victim").how == outcome{outcome_kind::signalled, SIGKILL, {}});
    pool.fixture.client().settled(pool.fixture.key("victim"));
  }
  pool.check_innocent();
}

TEST_CASE("a pooled cgroup that somebody has removed refuses no later command",
          "[launcher][cgroup][tamper]") {
  if (!cgroups_available())
    return;
  meddled_pool pool(4);
  SECTION("one slot") {
    pool.remove(*pool.slots().begin());
  }
  SECTION("every slot, and the pool") {
    for (const std::string& slot : pool.slots())
      pool.remove(slot);
    // The launcher's own test slot may be there.
    for (const auto& entry : std::filesystem::directory_iterator(pool.path(pool.pool())))
      if (entry.is_directory())
        ::rmdir(entry.path().c_str());
    pool.remove(pool.pool());
  }
  SECTION("every slot, made again by name") {
    for (const std::string& slot : pool.slots()) {
      pool.remove(slot);
      pool.make(slot);
    }
  }
  SECTION("every slot, made again by name and killed") {
    for (const std::string& slot : pool.slots()) {
      pool.remove(slot);
      pool.make(slot);
      pool.kill(slot);
    }
  }
  pool.check_innocent();
}

TEST_CASE("commands go on being found whole after their pool was meddled with",
          "[launcher][cgroup][tamper]") {
  if (!cgroups_available())
    return;
  meddled_pool pool(3);
  pool.kill(pool.pool());
  const tree_register book;
  pool.fixture.start("tree", "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$ >>" + book.path() +
                                 "; while :; do sleep 0.05; done') & echo $$ >>" + book.path() +
                                 "; while :; do sleep 0.05; done");
  REQUIRE(book.wait_for(2));
  const auto started = pool.fixture.events().wait_started(pool.fixture.key("tree"));
  REQUIRE(started);
  REQUIRE(pool.fixture.client().stop(pool.fixture.key("tree"), 50));
  const attempt_ended end = pool.fixture.await("tree");
  CHECK(end.how.kind == outcome_kind::cancelled);
  CHECK(end.survivors == 0);
  CHECK(book.living().empty());
  pool.fixture.client().settled(pool.fixture.key("tree"));
  // A cancellation right behind the start holds, whether the command has begun or not.
  for (int i = 0; i < 20; ++i) {
    const std::string id = "early" + std::to_string(i);
    pool.kill(pool.pool());
    pool.fixture.start(id, "exec sleep 300");
    REQUIRE(pool.fixture.client().stop(pool.fixture.key(id), 0));
    CHECK(pool.fixture.await(id).how.kind == outcome_kind::cancelled);
    pool.fixture.client().settled(pool.fixture.key(id));
  }
}
