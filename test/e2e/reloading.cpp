// HUP: channel sections are read again, the log file is opened anew, and nothing else is disturbed.
// A file that has become wrong changes nothing.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace task_runner::test;

TEST_CASE("HUP puts changed and new channel sections into force") {
  daemon_options options;
  options.ini = "[channel.mail]\nworker = 2\n";
  test_daemon runner(options);
  CHECK(runner.channel("mail").at("worker") == 2);
  const gate end(runner.path("gate"));
  const auto running = runner.push_line(end.wait_line(), "mail");
  write_file(runner.ini_file(),
             "[channel.mail]\nworker = 6\ndistinct = true\n\n[channel.fresh]\nworker = 3\n");
  REQUIRE(runner.child().signal(SIGHUP));
  CHECK(wait_until([&] {
    const auto data = runner.http().get("/status").json().at("data");
    return data.contains("fresh") && data.at("fresh").at("worker") == 3 &&
           data.at("mail").at("worker") == 6 && data.at("mail").at("distinct") == true;
  }));
  CHECK(runner.run_line("echo works", "fresh") == "works\n");
  CHECK(runner.task(running).at("state") == "running");
  end.open();
  CHECK(runner.settled(running).at("state") == "finished");
}

TEST_CASE("more workers after HUP start what waits at once, fewer let what runs end") {
  daemon_options options;
  options.ini = "[channel.mail]\nworker = 1\n";
  test_daemon runner(options);
  const auto starts = runner.path("starts");
  const gate end(runner.path("gate"));
  std::string last;
  for (int i = 0; i < 4; ++i)
    last = runner.push_line("echo + >> " + starts + "; " + end.wait_line(), "mail");
  REQUIRE(wait_lines(starts, 1));
  CHECK(runner.channel("mail").at("running") == 1);
  write_file(runner.ini_file(), "[channel.mail]\nworker = 3\n");
  REQUIRE(runner.child().signal(SIGHUP));
  REQUIRE(wait_lines(starts, 3));
  CHECK(runner.channel("mail").at("running") == 3);
  write_file(runner.ini_file(), "[channel.mail]\nworker = 1\n");
  REQUIRE(runner.child().signal(SIGHUP));
  REQUIRE(wait_until([&] { return runner.channel("mail").at("worker") == 1; }));
  CHECK(runner.channel("mail").at("running") == 3);
  end.open();
  CHECK(runner.settled(last).at("state") == "finished");
  CHECK(lines_of(read_file(starts)).size() == 4);
}

TEST_CASE("HUP with a file that is wrong is logged and changes nothing") {
  daemon_options options;
  options.ini = "[channel.mail]\nworker = 2\n";
  test_daemon runner(options);
  write_file(runner.ini_file(), "[channel.mail]\nworker = 5000\n\n[channel.fresh]\n");
  REQUIRE(runner.child().signal(SIGHUP));
  REQUIRE(runner.child().wait_output("reload refused"));
  CHECK(runner.log().find("5000") != std::string::npos);
  CHECK(runner.channel("mail").at("worker") == 2);
  CHECK(runner.http().get("/status?channel=fresh").status == 404);
  write_file(runner.ini_file(), "[channel.mail]\nworker = 3\n");
  REQUIRE(runner.child().signal(SIGHUP));
  CHECK(wait_until([&] { return runner.channel("mail").at("worker") == 3; }));
}

TEST_CASE("HUP opens the log file anew, as logrotate needs it") {
  daemon_options options;
  options.log_to_file = true;
  test_daemon runner(options);
  const auto log = runner.path("daemon.log");
  const auto rotated = runner.path("daemon.log.1");
  std::filesystem::rename(log, rotated);
  REQUIRE(runner.child().signal(SIGHUP));
  REQUIRE(wait_until([&] { return read_file(log).find("reload") != std::string::npos; }));
  const auto before = read_file(rotated);
  CHECK(before.find("listening") != std::string::npos);
  runner.create_channel("marked");
  CHECK(wait_until([&] { return read_file(log).find("marked") != std::string::npos; }));
  CHECK(read_file(rotated) == before);
  CHECK(runner.child().error_output().empty());
}

TEST_CASE("HUP without a configuration file is harmless") {
  test_daemon runner;
  const auto id = runner.push_line("echo before");
  REQUIRE(runner.child().signal(SIGHUP));
  REQUIRE(runner.child().wait_output("reloaded"));
  CHECK(runner.settled(id).at("state") == "finished");
  CHECK(runner.run_line("echo after") == "after\n");
}
