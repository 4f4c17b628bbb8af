// Faults of the disk under the real daemon: full, read-only, or the state directory gone from under it.
// What was accepted is kept and run, what cannot be kept is refused, and everything heals by itself.
#include "test/e2e/api_support.hpp"
#include "test/e2e/faults_support.hpp"
#include "test/e2e/gate.hpp"
#include "test/support/redis_server.hpp"

using namespace task_runner::test;

namespace {

constexpr uint64_t disk_bytes = 8 * 1024 * 1024;

} // namespace

TEST_CASE(
    "fault: on a full disk pushes are refused, accepted tasks stay, and all of it runs when there is room") {
  small_disk disk(disk_bytes);
  if (!disk.mounted()) {
    TR_SKIP(disk.why_not());
    return;
  }
  const redis_server redis;
  daemon_options options;
  options.redis_port = redis.port();
  test_daemon runner(options);
  move_state(runner, disk);
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  runner.create_channel("held", {{"worker", "1"}});
  runner.create_channel("free", {{"worker", "2"}});
  const auto held = runner.push_line(end.wait_line() + "; echo its last words; exit 7", "held");
  REQUIRE(wait_until([&] { return runner.task(held).at("state") == "running"; }));

  disk.fill();
  // The log has some room of its own left.
  std::vector<std::string> accepted;
  http_answer refusal;
  for (int i = 0; i < 20'000 && refusal.status == 0; ++i) {
    const auto name = "pushed-" + std::to_string(i);
    const auto answer = runner.http().post_form(
        "/push", {{"task", append_line(name, ran) + " #" + std::string(2'000, 'x')}, {"channel", "held"}});
    if (answer.status == 200)
      accepted.push_back(name);
    else
      refusal = answer;
  }
  check_unavailable(refusal, "disk is full");
  CHECK(runner.http().get("/status?limit=1").status == 200);

  constexpr size_t messages = 30;
  const auto client = redis.client();
  push_messages_that_stay(*client, runner, messages, ran);
  CHECK(runner.report().at("sources").at(0).at("healthy") == false);

  // The running command ends while nothing can be written about it.
  end.open();
  REQUIRE(wait_until([&] { return runner.commands().empty(); }));
  CHECK(count_lines(ran).empty()); // a lease is committed before its command starts
  check_unavailable(runner.http().post_form("/push", {{"task", "true #" + std::string(2'000, 'x')}}),
                    "disk is full");

  disk.make_room();
  const auto settled = runner.settled(held, healing_deadline);
  CHECK(settled.at("outcome") == nlohmann::json{{"kind", "exited"}, {"code", 7}});
  REQUIRE(wait_lines(ran, accepted.size() + messages, healing_deadline));
  REQUIRE(wait_until([&] { return messages_in(*client) == 0; }, healing_deadline));
  CHECK(runner.run_line("echo as before") == "as before\n");
  CHECK(runner.report().at("sources").at(0).at("healthy") == true);
  const auto counts = count_lines(ran);
  CHECK(counts.size() == accepted.size() + messages);
  for (const auto& [line, times] : counts)
    if (times != 1)
      FAIL_CHECK(line << " ran " << times << " times");
}

TEST_CASE("fault: when there is room again the daemon is ready, though nobody pushes") {
  small_disk disk(disk_bytes);
  if (!disk.mounted()) {
    TR_SKIP(disk.why_not());
    return;
  }
  test_daemon runner;
  move_state(runner, disk);
  runner.create_channel("held", {{"worker", "1"}});
  data_of(runner, "POST", "/api/v1/channels/held/pause");
  disk.fill();
  int status = 200;
  for (int i = 0; i < 20'000 && status == 200; ++i)
    status = runner.http()
                 .post_form("/push", {{"task", "true #" + std::to_string(i) + std::string(2'000, 'x')},
                                      {"channel", "held"}})
                 .status;
  CHECK(status == 503);
  CHECK(runner.http().get("/readyz").status == 503);
  disk.make_room();
  CHECK(wait_until([&] { return runner.http().get("/readyz").status == 200; }, healing_deadline));
  CHECK(runner.log().find("the store works again") != std::string::npos);
}

TEST_CASE("fault: kill -9 on a full disk loses nothing that was accepted") {
  small_disk disk(disk_bytes);
  if (!disk.mounted()) {
    TR_SKIP(disk.why_not());
    return;
  }
  test_daemon runner;
  move_state(runner, disk);
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  runner.create_channel("held", {{"worker", "1"}});
  const auto held = runner.push_line(end.wait_line() + "; exit 7", "held");
  REQUIRE(wait_until([&] { return runner.task(held).at("state") == "running"; }));
  for (int i = 0; i < 20; ++i)
    runner.push_line(append_line("waiting-" + std::to_string(i), ran), "held");
  disk.fill();
  end.open();
  REQUIRE(wait_until([&] { return runner.commands().empty(); }));
  runner.kill();
  disk.make_room();
  runner.start();
  CHECK(runner.settled(held, healing_deadline).at("outcome") ==
        nlohmann::json{{"kind", "exited"}, {"code", 7}});
  REQUIRE(wait_lines(ran, 20));
  CHECK(count_lines(ran).size() == 20);
}

TEST_CASE("fault: a read-only file system is refused in one line and left as it is") {
  small_disk disk(disk_bytes);
  if (!disk.mounted()) {
    TR_SKIP(disk.why_not());
    return;
  }
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  move_state(runner, disk);
  const auto ran = runner.path("ran");
  for (int i = 0; i < 5; ++i)
    runner.push_line(append_line(std::to_string(i), ran));
  stop_whole(runner);
  // The kernel may close the last files of a process a moment after it is gone.
  REQUIRE(wait_until([&] { return disk.set_read_only(true); }));
  const auto refused = run_process(runner.start_options());
  INFO(refused.error_output);
  CHECK(refused.end.exited);
  CHECK((refused.end.code == 1 || refused.end.code == 2));
  CHECK(lines_of(refused.error_output).size() == 1);
  CHECK(refused.error_output.find("Read-only file system") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(runner.pid_file()));
  REQUIRE(disk.set_read_only(false));
  runner.options().flags.clear();
  runner.start();
  REQUIRE(wait_lines(ran, 5));
}

TEST_CASE("fault: a state directory that is moved away refuses pushes until it is back") {
  test_daemon runner;
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  runner.create_channel("held", {{"worker", "1"}});
  const auto held = runner.push_line(end.wait_line() + "; exit 7", "held");
  REQUIRE(wait_until([&] { return runner.task(held).at("state") == "running"; }));
  runner.push_line(append_line("waited", ran), "held");

  const auto away = runner.path("away");
  std::filesystem::rename(runner.state_dir(), away);
  check_unavailable(runner.http().post_form("/push", {{"task", "echo unheard"}}), "put them back");
  CHECK(runner.log().find("have been removed or replaced") != std::string::npos);
  CHECK(runner.http().get("/status").status == 200);
  end.open();
  // Without launcher.pid in its place the fixture takes the launcher for a command.
  REQUIRE(wait_until([&] { return runner.commands().size() == 1; }));

  std::filesystem::rename(away, runner.state_dir());
  CHECK(runner.settled(held, healing_deadline).at("outcome") ==
        nlohmann::json{{"kind", "exited"}, {"code", 7}});
  REQUIRE(wait_lines(ran, 1, healing_deadline));
  CHECK(runner.run_line("echo as before") == "as before\n");
  CHECK(runner.log().find("back in their place") != std::string::npos);
}

TEST_CASE("fault: nothing is accepted into a store whose files have been removed or replaced") {
  daemon_options options;
  options.flags = {"-drain-timeout", "1s"};
  test_daemon runner(options);
  const auto database = runner.state_dir() + "/task-runner.db";
  SECTION("the database") {
    REQUIRE(std::filesystem::remove(database));
  }
  SECTION("its log") {
    REQUIRE(std::filesystem::remove(database + "-wal"));
  }
  SECTION("the database, with a copy of it in its place") {
    std::filesystem::copy_file(database, database + ".copy");
    std::filesystem::rename(database + ".copy", database);
  }
  for (int i = 0; i < 3; ++i)
    check_unavailable(runner.http().post_form("/push", {{"task", "echo unheard"}}), "put them back");
  CHECK(runner.http().post_form("/queue", {{"name", "unheard"}}).status == 503);
  CHECK(runner.http().get("/status").status == 200);
  size_t told = 0;
  for (const auto& line : lines_of(runner.log()))
    told += line.find("have been removed or replaced") != std::string::npos ? 1 : 0;
  CHECK(told == 1); // once, not at every push
}
