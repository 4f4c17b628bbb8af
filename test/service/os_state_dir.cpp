// The state directory, made private and held by one daemon. One id names it for ever.
#include "services/os/pid_file.hpp"
#include "services/os/state_dir.hpp"
#include "test/service/os_helper.hpp"
#include "test/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;
using Catch::Matchers::Contains;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

std::string refusal_of(const std::string& path, error_code code = error_code::invalid_argument) {
  const auto opened = state_dir::open(path);
  REQUIRE_FALSE(opened);
  CHECK(opened.failure().code == code);
  CHECK(opened.failure().message.find('\n') == std::string::npos);
  return opened.failure().message;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

} // namespace

TEST_CASE("the state directory is made with its parents, for its owner alone") {
  const temp_dir directory;
  const std::string path = directory / "a/b/c";
  const auto opened = state_dir::open(path);
  REQUIRE(opened);
  CHECK(opened->path() == path);
  CHECK(opened->warnings().empty());
  for (const char* part : {"a", "a/b", "a/b/c"})
    CHECK(mode_of(directory / part) == 0700);
  CHECK(mode_of(path + "/lock") == 0600);
  CHECK(mode_of(path + "/node-id") == 0600);
  CHECK(read_bytes(path + "/node-id") == opened->node_id() + "\n");
  CHECK(read_bytes(path + "/lock") == std::to_string(getpid()) + "\n");
  CHECK(fcntl(opened->directory(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("the node id stays") {
  const temp_dir directory;
  std::string first;
  {
    const auto opened = state_dir::open(directory / "s");
    REQUIRE(opened);
    first = opened->node_id();
    CHECK(first.size() == 36);
  }
  // What a crash between writing and renaming leaves behind.
  write_file(directory / "s/node-id.new", "half");
  const auto again = state_dir::open(directory / "s");
  REQUIRE(again);
  CHECK(again->node_id() == first);
  const auto other = state_dir::open(directory / "other");
  REQUIRE(other);
  CHECK(other->node_id() != first);
}

TEST_CASE("a draft of a node id from a crash is no obstacle") {
  const temp_dir directory;
  write_file(directory / "node-id.new", "half");
  const auto opened = state_dir::open(directory.path());
  REQUIRE(opened);
  CHECK(read_bytes(directory / "node-id") == opened->node_id() + "\n");
  CHECK(access((directory / "node-id.new").c_str(), F_OK) != 0);
}

TEST_CASE("a damaged node id is told, with its file") {
  const temp_dir directory;
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("not a uuid"), std::string(36, '0'),
        std::string(100, 'a'), std::string("01234567-89ab-7def-8123-456789abcdeg\n"),
        std::string("01234567-89ab-7def-8123-456789abcdef\n\n")}) {
    CAPTURE(text);
    write_file(directory / "node-id", text);
    CHECK_THAT(refusal_of(directory.path()),
               Contains("the file " + (directory / "node-id") + " holds no UUID"));
    CHECK(read_bytes(directory / "node-id") == text);
  }
  write_file(directory / "node-id", "01234567-89ab-7def-8123-456789ABCDEF");
  const auto opened = state_dir::open(directory.path());
  REQUIRE(opened);
  CHECK(opened->node_id() == "01234567-89ab-7def-8123-456789ABCDEF");
}

TEST_CASE("a second daemon is kept out until the first has gone") {
  const temp_dir directory;
  process daemon(part_of_helper("state-dir", {directory.path()}));
  REQUIRE(daemon.wait_output("held\n"));
  CHECK(refusal_of(directory.path(), error_code::conflict) ==
        "another task-runner uses " + directory.path() + " (pid " + std::to_string(daemon.pid()) +
            "); stop it first, or give another directory with -state-dir");
  daemon.kill();
  auto first = state_dir::open(directory.path());
  REQUIRE(first);
  CHECK(run_process(part_of_helper("state-dir", {directory.path()})).end == process_end{true, 2});
  // Moved, the lock goes along; ended, it is free.
  {
    const state_dir moved = *std::move(first);
    CHECK_FALSE(state_dir::open(directory.path()));
  }
  CHECK(state_dir::open(directory.path()));
}

TEST_CASE("what a killed daemon leaves behind for a moment keeps no successor out") {
  const temp_dir directory;
  const std::string state = directory / "state";
  const std::string pid = directory / "pid";
  process daemon(part_of_helper("outlived", {state, pid}));
  REQUIRE(daemon.wait_output("held\n"));
  CHECK_THAT(refusal_of(state, error_code::conflict), Contains("another task-runner uses"));
  daemon.kill();
  const auto opened = state_dir::open(state);
  INFO((opened ? "" : opened.failure().message));
  REQUIRE(opened);
  CHECK(read_bytes(state + "/lock") == std::to_string(getpid()) + "\n");
  CHECK(pid_file::acquire(pid));
}

TEST_CASE("a directory open to others is tightened where that is safe") {
  const temp_dir directory;
  const std::string path = directory / "s";
  REQUIRE(mkdir(path.c_str(), 0700) == 0);
  SECTION("others could read: nothing can have been planted") {
    REQUIRE(state_dir::open(path));
    write_file(path + "/old", "x");
    REQUIRE(chmod(path.c_str(), 0755) == 0);
    const auto opened = state_dir::open(path);
    REQUIRE(opened);
    REQUIRE(opened->warnings().size() == 1);
    CHECK_THAT(opened->warnings()[0], Contains(path) && Contains("0700 now"));
    CHECK(mode_of(path) == 0700);
  }
  SECTION("others could write, but it is empty") {
    REQUIRE(chmod(path.c_str(), 0777) == 0);
    CHECK(state_dir::open(path)->warnings().size() == 1);
    CHECK(mode_of(path) == 0700);
  }
  SECTION("others could write, and something is there") {
    REQUIRE(state_dir::open(path));
    write_file(path + "/planted", "x");
    for (mode_t mode : {0770, 0702}) {
      REQUIRE(chmod(path.c_str(), mode) == 0);
      CHECK_THAT(refusal_of(path), Contains("other users can write to it") && Contains("chmod 700"));
      CHECK(mode_of(path) == mode);
    }
  }
}

TEST_CASE("a directory of somebody else's files is refused and left as it was") {
  const temp_dir directory;
  const std::string path = directory / "home";
  REQUIRE(mkdir(path.c_str(), 0755) == 0);
  write_file(path + "/precious", "x");
  write_file(path + "/lock", "mine");
  for (mode_t mode : {0755, 0700}) {
    REQUIRE(chmod(path.c_str(), mode) == 0);
    CHECK_THAT(refusal_of(path), Contains(path) && Contains("not task-runner's"));
    CHECK(mode_of(path) == mode);
    std::ifstream lock(path + "/lock");
    CHECK(std::string(std::istreambuf_iterator<char>(lock), {}) == "mine");
  }
  const std::string shared = directory / "shared";
  REQUIRE(mkdir(shared.c_str(), 0700) == 0);
  REQUIRE(chmod(shared.c_str(), 01777) == 0);
  CHECK_THAT(refusal_of(shared), Contains("several users share"));
  CHECK(mode_of(shared) == 01777);
}

TEST_CASE("what cannot be a state directory is refused with the reason") {
  const temp_dir directory;
  write_file(directory / "file", "");
  CHECK_THAT(refusal_of(directory / "file"), Contains("Not a directory"));
  CHECK_THAT(refusal_of(directory / "file/s"), Contains("Not a directory"));
  CHECK_THAT(refusal_of("relative"), Contains("must be absolute"));
  CHECK_THAT(refusal_of(""), Contains("must be absolute"));
  CHECK_THAT(refusal_of("/proc/task-runner-test"), Contains("cannot create"));
  if (geteuid() == 0) {
    const std::string foreign = directory / "foreign";
    REQUIRE(mkdir(foreign.c_str(), 0700) == 0);
    REQUIRE(chown(foreign.c_str(), 12'345, 12'345) == 0);
    CHECK_THAT(refusal_of(foreign), Contains("belongs to user 12345"));
  } else {
    WARN("only root can make a directory of somebody else; not checked");
  }
}

TEST_CASE("links inside are not followed") {
  const temp_dir directory;
  const std::string path = directory / "s";
  REQUIRE(mkdir(path.c_str(), 0700) == 0);
  REQUIRE(symlink((directory / "target").c_str(), (path + "/lock").c_str()) == 0);
  CHECK_THAT(refusal_of(path), Contains("cannot open the file lock"));
  REQUIRE(unlink((path + "/lock").c_str()) == 0);
  REQUIRE(symlink((directory / "target").c_str(), (path + "/node-id").c_str()) == 0);
  CHECK_THAT(refusal_of(path), Contains("cannot open the file node-id"));
  CHECK(access((directory / "target").c_str(), F_OK) != 0);
}
