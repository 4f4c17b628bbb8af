// A store that is busy, damaged or torn, under the real daemon.
// Nothing is ever begun afresh in silence, and what was acknowledged is there.
#include "test/e2e/faults_support.hpp"
#include "test/e2e/gate.hpp"

#include <algorithm>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

using namespace task_runner::test;

namespace {

/// Holds the one lock that a writer of an SQLite database in WAL mode needs (byte 120 of the shared-memory
/// file), as a program does between BEGIN IMMEDIATE and COMMIT.
class write_lock {
public:
  explicit write_lock(const std::string& database)
      : fd_(open((database + "-shm").c_str(), O_RDWR | O_CLOEXEC)) {
    REQUIRE(fd_ >= 0);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 120;
    lock.l_len = 1;
    REQUIRE(wait_until([&] { return fcntl(fd_, F_SETLK, &lock) == 0; }));
  }
  ~write_lock() { release(); }
  write_lock(const write_lock&) = delete;
  write_lock& operator=(const write_lock&) = delete;

  void release() {
    if (fd_ >= 0)
      close(fd_);
    fd_ = -1;
  }

private:
  int fd_;
};

/// Twenty tasks that wait, named 0 to 19, in a daemon that runs nothing.
std::vector<std::string> push_twenty(test_daemon& runner, const std::string& ran) {
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i)
    ids.push_back(runner.push_line(append_line(std::to_string(i), ran) + " #" + std::string(3'000, 'x')));
  return ids;
}

void check_refused_and_untouched(test_daemon& runner, const std::string& database) {
  const auto before = read_file(database);
  for (int i = 0; i < 2; ++i) {
    const auto refused = run_process(runner.start_options());
    INFO(refused.error_output);
    CHECK(refused.end.exited);
    CHECK((refused.end.code == 1 || refused.end.code == 2));
    CHECK(lines_of(refused.error_output).size() == 1);
    CHECK(refused.error_output.find(database) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(runner.pid_file()));
  }
  CHECK(read_file(database) == before);
}

daemon_options storing_only() {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  return options;
}

} // namespace

TEST_CASE("fault: a store that another program holds for a while makes pushes wait, not fail") {
  test_daemon runner;
  write_lock held(runner.state_dir() + "/task-runner.db");
  std::thread releaser([&] {
    const auto began = std::chrono::steady_clock::now();
    // The pause is the fault itself.
    (void)wait_until([&] { return std::chrono::steady_clock::now() - began > std::chrono::seconds(2); });
    held.release();
  });
  const auto answer = runner.http().post_form("/push", {{"task", "echo patient"}});
  releaser.join();
  CHECK(answer.status == 200);
  const std::string id = answer.json().at("data").at("task_id");
  runner.settled(id);
  CHECK(runner.output(id) == "patient\n");
}

TEST_CASE("fault: a store that another program holds too long refuses, and heals when it is let go") {
  test_daemon runner;
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  runner.create_channel("held", {{"worker", "1"}});
  const auto running = runner.push_line(end.wait_line() + "; exit 7", "held");
  REQUIRE(wait_until([&] { return runner.task(running).at("state") == "running"; }));
  runner.push_line(append_line("waited", ran), "held");
  {
    const write_lock held(runner.state_dir() + "/task-runner.db");
    check_unavailable(runner.http().post_form("/push", {{"task", "echo unheard"}}), "busy");
    end.open();
    REQUIRE(wait_until([&] { return runner.commands().empty(); }));
    CHECK(runner.http().get("/").status == 200);
  }
  CHECK(runner.settled(running, healing_deadline).at("outcome") ==
        nlohmann::json{{"kind", "exited"}, {"code", 7}});
  REQUIRE(wait_lines(ran, 1, healing_deadline));
  CHECK(runner.run_line("echo as before") == "as before\n");
}

TEST_CASE("fault: a damaged database is refused in one line and never begun afresh") {
  test_daemon runner(storing_only());
  const auto ran = runner.path("ran");
  const auto database = runner.state_dir() + "/task-runner.db";
  push_twenty(runner, ran);
  CHECK(runner.stop() == process_end{true, 0}); // folds the log into the database
  const auto whole = read_file(database);
  REQUIRE(whole.size() > 60'000);
  auto broken = whole;
  SECTION("cut to half") {
    broken.resize(whole.size() / 2 / 4'096 * 4'096);
  }
  SECTION("cut within a page") {
    broken.resize(whole.size() - 1'000);
  }
  SECTION("emptied") {
    broken.clear();
  }
  SECTION("garbage in its header") {
    std::fill_n(broken.begin(), 100, '\x5a');
  }
  SECTION("garbage in its first page") {
    std::fill_n(broken.begin() + 100, 3'900, '\x5a');
  }
  SECTION("garbage in the middle") {
    std::fill_n(broken.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2 / 4'096 * 4'096), 20'480,
                '\x5a');
  }
  write_file(database, broken);
  check_refused_and_untouched(runner, database);
  // The backup that the message speaks of.
  write_file(database, whole);
  runner.options().flags.clear();
  runner.start();
  REQUIRE(wait_lines(ran, 20));
  CHECK(count_lines(ran).size() == 20);
}

TEST_CASE("fault: a database that is missing beside its log is refused, not begun afresh") {
  test_daemon runner(storing_only());
  push_twenty(runner, runner.path("ran"));
  kill_whole(runner);
  const auto database = runner.state_dir() + "/task-runner.db";
  std::filesystem::rename(database, database + ".away");
  const auto refused = run_process(runner.start_options());
  INFO(refused.error_output);
  CHECK((refused.end == process_end{true, 1} || refused.end == process_end{true, 2}));
  CHECK(refused.error_output.find("is missing") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(database));
  std::filesystem::rename(database + ".away", database);
  runner.options().flags.clear();
  runner.start();
  CHECK(wait_lines(runner.path("ran"), 20));
}

TEST_CASE("fault: of a log with a torn tail only what was being written is missing") {
  test_daemon runner(storing_only());
  const auto ran = runner.path("ran");
  const auto log = runner.state_dir() + "/task-runner.db-wal";
  push_twenty(runner, ran);
  const auto acknowledged = std::filesystem::file_size(log);
  runner.push_line(append_line("torn", ran) + " #" + std::string(9'000, 'x'));
  kill_whole(runner);
  const auto whole = read_file(log);
  REQUIRE(whole.size() > acknowledged);
  bool may_be_missing = true;
  SECTION("cut within the last transaction") {
    write_file(log, whole.substr(0, acknowledged + (whole.size() - acknowledged) / 2));
  }
  SECTION("the last transaction overwritten with garbage") {
    write_file(log, whole.substr(0, acknowledged) + std::string(whole.size() - acknowledged, '\x5a'));
  }
  SECTION("garbage behind the last transaction") {
    write_file(log, whole + std::string(5'000, '\x5a'));
    may_be_missing = false;
  }
  runner.options().flags.clear();
  runner.start();
  const size_t expected = may_be_missing ? 20 : 21;
  REQUIRE(wait_lines(ran, expected));
  const auto counts = count_lines(ran);
  CHECK(counts.size() == expected);
  for (int i = 0; i < 20; ++i)
    CHECK(counts.count(std::to_string(i)) == 1);
  CHECK(runner.run_line("echo as before") == "as before\n");
}
