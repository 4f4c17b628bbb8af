// The pid file between honest daemons and crashed ones. Files that somebody else has put in its place are
// left alone.
#include "services/os/pid_file.hpp"
#include "test/service/os_helper.hpp"
#include "test/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;
using Catch::Matchers::Contains;

namespace {

const std::string own_pid = std::to_string(getpid()) + "\n";

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string refusal_of(const std::string& path, error_code code) {
  const auto file = pid_file::acquire(path);
  REQUIRE_FALSE(file);
  CHECK(file.failure().code == code);
  CHECK_THAT(file.failure().message, Contains(path));
  CHECK(file.failure().message.find('\n') == std::string::npos);
  return file.failure().message;
}

/// A pid that no process has: that of a child which has ended and been waited for.
std::string ended_pid() {
  const pid_t child = fork();
  if (child == 0)
    _exit(0);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  return std::to_string(child);
}

bool exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

} // namespace

TEST_CASE("a successor takes the pid file over from what a killed daemon leaves behind for a moment") {
  const temp_dir directory;
  const std::string path = directory / "pid";
  process daemon(part_of_helper("outlived", {directory / "state", path}));
  REQUIRE(daemon.wait_output("held\n"));
  CHECK_THAT(refusal_of(path, error_code::conflict), Contains("pid " + std::to_string(daemon.pid())));
  daemon.kill();
  const auto file = pid_file::acquire(path);
  INFO((file ? "" : file.failure().message));
  REQUIRE(file);
  CHECK(read_bytes(path) == own_pid);
}

TEST_CASE("the pid file holds the pid and a newline, and goes with its owner") {
  const temp_dir directory;
  const std::string path = directory / "task-runner.pid";
  {
    auto file = pid_file::acquire(path);
    REQUIRE(file);
    CHECK(file->path() == path);
    CHECK(read_bytes(path) == own_pid);
    const pid_file moved = *std::move(file);
    CHECK(exists(path));
  }
  CHECK_FALSE(exists(path));
}

TEST_CASE("a live daemon keeps its pid file") {
  const temp_dir directory;
  const std::string path = directory / "p";
  process daemon(part_of_helper("pid-file", {path}));
  REQUIRE(daemon.wait_output("held\n"));
  CHECK_THAT(refusal_of(path, error_code::conflict),
             Contains("a task-runner runs already (pid " + std::to_string(daemon.pid()) + ")"));
  CHECK(read_bytes(path) == std::to_string(daemon.pid()) + "\n");

  SECTION("after its crash the file is taken over") {
    daemon.kill();
    CHECK(exists(path));
    const auto file = pid_file::acquire(path);
    REQUIRE(file);
    CHECK(read_bytes(path) == own_pid);
  }
}

TEST_CASE("a daemon that does not lock is respected while it lives") {
  const temp_dir directory;
  const std::string path = directory / "p";
  process daemon(part_of_helper("unlocked-daemon", {path, "task-runner"}));
  REQUIRE(daemon.wait_output("written\n"));
  CHECK_THAT(refusal_of(path, error_code::conflict), Contains("(pid " + std::to_string(daemon.pid()) + ")"));
  daemon.kill();
  CHECK(pid_file::acquire(path));
}

TEST_CASE("a pid that another program has now is stale") {
  const temp_dir directory;
  const std::string path = directory / "p";
  for (const char* name : {"tr-launcher", "task-runnerx", "sleep"}) {
    process other(part_of_helper("unlocked-daemon", {path, name}));
    REQUIRE(other.wait_output("written\n"));
    CHECK(pid_file::acquire(path));
  }
}

TEST_CASE("stale content is taken over") {
  const temp_dir directory;
  const std::string path = directory / "p";
  for (const std::string& text : {ended_pid() + "\n", ended_pid(), std::string(), std::string("\n"), own_pid,
                                  std::string(" 999999999 \r\n"), std::string("0\n")}) {
    CAPTURE(text);
    write_file(path, text);
    const auto file = pid_file::acquire(path);
    REQUIRE(file);
    CHECK(read_bytes(path) == own_pid);
  }
}

TEST_CASE("what is no pid file is never touched") {
  const temp_dir directory;
  const std::string path = directory / "p";
  const std::string target = directory / "target";
  SECTION("a file with other content") {
    for (const std::string& text :
         {std::string("export PATH=/bin\n"), std::string("12x\n"), std::string(100, '1'), std::string("-5\n"),
          std::string("1 2\n"), std::string("1234567890\n")}) {
      CAPTURE(text);
      write_file(path, text);
      CHECK_THAT(refusal_of(path, error_code::invalid_argument),
                 Contains("something else than a process id"));
      CHECK(read_bytes(path) == text);
    }
  }
  SECTION("a symbolic link, dangling or not") {
    REQUIRE(symlink(target.c_str(), path.c_str()) == 0);
    CHECK_THAT(refusal_of(path, error_code::invalid_argument), Contains("symbolic link"));
    CHECK_FALSE(exists(target));
    write_file(target, "1\n");
    CHECK_THAT(refusal_of(path, error_code::invalid_argument), Contains("symbolic link"));
    CHECK(read_bytes(target) == "1\n");
  }
  SECTION("a second name of another file") {
    write_file(target, "1\n");
    REQUIRE(link(target.c_str(), path.c_str()) == 0);
    CHECK_THAT(refusal_of(path, error_code::invalid_argument), Contains("hard link"));
    CHECK(read_bytes(target) == "1\n");
  }
  SECTION("a pipe, which must not make it wait") {
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    CHECK_THAT(refusal_of(path, error_code::invalid_argument), Contains("not a regular file"));
  }
  SECTION("a directory") {
    REQUIRE(mkdir(path.c_str(), 0700) == 0);
    CHECK_THAT(refusal_of(path, error_code::invalid_argument), Contains("Is a directory"));
  }
  SECTION("a file of somebody else") {
    if (geteuid() != 0) {
      WARN("only root can make a file of somebody else; not checked");
      return;
    }
    write_file(path, "1\n");
    REQUIRE(chown(path.c_str(), 12'345, 12'345) == 0);
    // In a sticky directory of others the kernel itself may refuse; here it is our own check.
    CHECK_THAT(refusal_of(path, error_code::invalid_argument), Contains("belongs to user 12345"));
    CHECK(read_bytes(path) == "1\n");
  }
}

TEST_CASE("a pid file that cannot be made is told with the reason") {
  const temp_dir directory;
  CHECK_THAT(refusal_of(directory / "none/p", error_code::invalid_argument),
             Contains("cannot create it: No such file or directory"));
}

TEST_CASE("only what is still ours is removed") {
  const temp_dir directory;
  const std::string path = directory / "p";
  {
    const auto file = pid_file::acquire(path);
    REQUIRE(file);
    // Somebody removed ours and put another in its place.
    REQUIRE(unlink(path.c_str()) == 0);
    write_file(path, "somebody else's");
  }
  CHECK(read_bytes(path) == "somebody else's");
  REQUIRE(unlink(path.c_str()) == 0);
  {
    auto file = pid_file::acquire(path);
    REQUIRE(file);
    const pid_t child = fork();
    if (child == 0) {
      // A forked child that unwinds is not the owner.
      { const pid_file inherited = *std::move(file); }
      _exit(0);
    }
    REQUIRE(waitpid(child, nullptr, 0) == child);
    CHECK(read_bytes(path) == own_pid);
  }
  CHECK_FALSE(exists(path));
}

TEST_CASE("of many that start and stop at once, one at a time holds the file") {
  const temp_dir directory;
  const std::string path = directory / "p";
  // Threads stand in for daemons: flock() belongs to the open file, not to the process.
  std::atomic<int> holders{0};
  std::atomic<int> acquired{0};
  std::atomic<int> overlaps{0};
  std::atomic<int> other_errors{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const auto file = pid_file::acquire(path);
        if (!file) {
          other_errors += file.failure().code == error_code::conflict ? 0 : 1;
          continue;
        }
        overlaps += holders.fetch_add(1) == 0 ? 0 : 1;
        ++acquired;
        --holders;
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(overlaps == 0);
  CHECK(other_errors == 0);
  CHECK(acquired > 0);
  CHECK_FALSE(exists(path));
}
