// The file system of the state directory turns read-only under the running daemon, as ext4 does after an
// error. Nothing is accepted that cannot be kept, what was accepted stays, and all of it runs once the cause
// is gone.
#include "test/e2e/faults_support.hpp"
#include "test/e2e/gate.hpp"
#include "test/e2e/preloaded.hpp"
#include "test/support/redis_server.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sched.h>
#include <sys/mount.h>

using namespace task_runner::test;
using nlohmann::json;

namespace {

constexpr size_t waiting_count = 10;
constexpr size_t message_count = 30;
const json exited_seven{{"kind", "exited"}, {"code", 7}};

/// A file system in a file that turns read-only at its next error, and the means to cause one. Mounted where
/// only the test and what it starts can see it. Not thread-safe; make it before any thread.
class failing_disk {
public:
  failing_disk() {
    const auto image = directory_ / "image";
    write_file(image, "");
    std::filesystem::resize_file(image, 32 * 1024 * 1024);
    std::filesystem::create_directory(path());
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      why_not_ = std::strerror(errno);
    else
      run({"mkfs.ext4", "-q", "-F", image}, 0);
    mount();
    if (mounted()) {
      std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
      const auto trigger = "/sys/fs/ext4/" + device() + "/trigger_fs_error";
      if (!std::filesystem::exists(trigger))
        why_not_ = "no " + trigger;
    }
  }
  ~failing_disk() { ::umount2(path().c_str(), MNT_DETACH); }
  failing_disk(const failing_disk&) = delete;
  failing_disk& operator=(const failing_disk&) = delete;

  bool mounted() const noexcept { return why_not_.empty(); }
  const std::string& why_not() const noexcept { return why_not_; }
  std::string path() const { return directory_ / "mounted"; }

  /// Everything is on the disk, then it fails: the kernel lets nobody write any more.
  void fail() {
    run({"sync", "-f", path()}, 0);
    write_file("/sys/fs/ext4/" + device() + "/trigger_fs_error", "1\n");
    // Not by statvfs, which newer kernels leave as it was.
    std::ofstream probe(path() + "/probe");
    if (probe)
      why_not_ = "the file system can be written after its error";
  }
  /// What an administrator does about it; nothing may use it any more.
  void repair() {
    REQUIRE(wait_until([&] { return ::umount2(path().c_str(), 0) == 0; }));
    run({"e2fsck", "-p", "-f", directory_ / "image"}, 1); // 1: errors were corrected
    mount();
    INFO(why_not_);
    REQUIRE(mounted());
  }

private:
  void mount() {
    run({"mount", "-t", "ext4", "-o", "loop,errors=remount-ro", directory_ / "image", path()}, 0);
  }
  void run(std::vector<std::string> words, int code_max) {
    if (!why_not_.empty())
      return;
    const auto name = words.front();
    const auto ran = run_process(program(std::move(words)), std::chrono::seconds(30));
    if (!ran.end.exited || ran.end.code > code_max)
      why_not_ = name + ": " + ran.output + ran.error_output;
  }
  /// The name of its loop device.
  std::string device() const {
    const auto found = run_process(program({"findmnt", "-n", "-o", "SOURCE", path()})).output;
    return found.substr(found.rfind('/') + 1, found.find('\n') - found.rfind('/') - 1);
  }

  temp_dir directory_{"tr-disk"};
  std::string why_not_;
};

/// Refuses, and says why where readiness is asked for.
void check_refused(test_daemon& runner) {
  check_unavailable(runner.http().post_form("/push", {{"task", "echo unheard"}}), "read-only");
  const auto readiness = runner.http().get("/readyz");
  CHECK(readiness.status == 503);
  CHECK(readiness.body.find("read-only") != std::string::npos);
  CHECK(runner.http().get("/status?limit=1").status == 200);
}

/// A running command that ends with code 7 when its gate opens, and what waits behind it.
std::string push_held(test_daemon& runner, const gate& end, const std::string& ran) {
  runner.create_channel("held", {{"worker", "1"}});
  auto held = runner.push_line(
      append_line("held-$TASK_RUNNER_ATTEMPT", ran) + "; " + end.wait_line() + "; exit 7", "held");
  REQUIRE(wait_lines(ran, 1));
  for (size_t i = 0; i < waiting_count; ++i)
    runner.push_line(append_line("waiting-" + std::to_string(i), ran), "held");
  return held;
}

void check_each_once(const std::string& ran, size_t count) {
  const auto counts = count_lines(ran);
  CHECK(counts.size() == count);
  for (const auto& [line, times] : counts)
    if (times != 1)
      FAIL_CHECK(line << " ran " << times << " times");
}

} // namespace

TEST_CASE(
    "fault: a file system that turns read-only refuses pushes, and when it can be written all is well") {
  const bool killed = GENERATE(false, true); // the daemon, while nothing can be written
  CAPTURE(killed);
  preloaded page;
  const redis_server redis;
  daemon_options options;
  options.redis_port = redis.port();
  page.add_to(options);
  test_daemon runner(options);
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  runner.create_channel("free", {{"worker", "2"}});
  const auto held = push_held(runner, end, ran);

  page.take_writing(runner.state_dir());
  check_refused(runner);
  CHECK(page.writes_refused() > 0);
  const auto client = redis.client();
  push_messages_that_stay(*client, runner, message_count, ran);
  // The running command ends while nothing can be written about it.
  CHECK(runner.task(held).at("state") == "running");
  end.open();
  REQUIRE(wait_until([&] { return runner.commands().empty(); }));
  check_refused(runner);
  CHECK(count_lines(ran).size() == 1); // a lease is committed before its command starts
  if (killed)
    runner.kill();

  page.give_writing();
  if (killed)
    runner.start();
  const auto settled = runner.settled(held, healing_deadline);
  CHECK(settled.at("outcome") == exited_seven);
  CHECK(settled.at("attempt") == 1);
  REQUIRE(wait_lines(ran, 1 + waiting_count + message_count, healing_deadline));
  REQUIRE(wait_until([&] { return messages_in(*client) == 0; }, healing_deadline));
  CHECK(runner.run_line("echo as before") == "as before\n");
  REQUIRE(wait_until([&] { return runner.http().get("/readyz").status == 200; }));
  check_each_once(ran, 1 + waiting_count + message_count);
}

TEST_CASE("fault: an ext4 that fails under the daemon costs nothing that was accepted, once it is repaired") {
  failing_disk disk;
  if (!disk.mounted()) {
    TR_SKIP(disk.why_not());
    return;
  }
  test_daemon runner;
  move_state(runner, disk);
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  const auto held = push_held(runner, end, ran);
  disk.fail();
  REQUIRE(disk.why_not().empty());
  check_refused(runner);
  end.open();
  REQUIRE(wait_until([&] { return runner.commands().empty(); }));
  check_refused(runner);
  CHECK(count_lines(ran).size() == 1);
  CHECK(runner.child().running());

  kill_whole(runner); // whoever repairs a file system ends what uses it
  disk.repair();
  runner.start();
  // Nobody could write down how the command ended.
  const auto settled = runner.settled(held, healing_deadline);
  CHECK(settled.at("outcome") == exited_seven);
  CHECK(settled.at("attempt") == 2);
  REQUIRE(wait_lines(ran, 2 + waiting_count, healing_deadline));
  check_each_once(ran, 2 + waiting_count);
  CHECK(count_lines(ran).count("held-2") == 1);
  CHECK(runner.run_line("echo as before") == "as before\n");
  stop_whole(runner);
}
