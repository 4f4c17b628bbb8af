// Channels as users meet them: which exist, which are distinct, how many workers they have, what survives.
// Duplicates are refused by the holder of their place, and the holder is named.
#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

using namespace task_runner::test;

TEST_CASE("default, biz and cron exist at the first start and are distinct") {
  test_daemon runner({"127.0.0.1:0", {}, {"-task-mode=false"}, {}, {}, {}, false});
  for (const std::string name : {"default", "biz", "cron"}) {
    CAPTURE(name);
    CHECK(runner.channel(name).at("distinct") == true);
    CHECK(runner.channel(name).at("worker") == 5);
    const auto first = runner.push({{"task", "echo same"}, {"channel", name}});
    const auto second = runner.push({{"task", "echo same"}, {"channel", name}});
    CHECK(first.at("result") == true);
    CHECK(second.at("result") == false);
    CHECK(second.at("task_name") == "echo same");
    CHECK(second.at("task_id") == first.at("task_id"));
    CHECK(runner.push({{"task", "echo other"}, {"channel", name}}).at("result") == true);
    CHECK(runner.channel(name).at("count") == 2);
  }
}

TEST_CASE("a new channel is distinct only when asked") {
  test_daemon runner({"127.0.0.1:0", {}, {"-task-mode=false"}, {}, {}, {}, false});
  runner.create_channel("plain");
  runner.create_channel("asked", {{"distinct", "true"}});
  runner.create_channel("declined", {{"distinct", "false"}});
  for (const std::string name : {"plain", "declined"}) {
    runner.push_line("echo same", name);
    runner.push_line("echo same", name);
    CHECK(runner.channel(name).at("count") == 2);
  }
  const auto holder = runner.push_line("echo same", "asked");
  const auto duplicate = runner.push({{"task", "echo same"}, {"channel", "asked"}});
  CHECK(duplicate.at("result") == false);
  CHECK(duplicate.at("task_id") == holder);
  CHECK(runner.channel("asked").at("count") == 1);
}

TEST_CASE("a duplicate is refused while its holder waits and while it runs, and taken once that has ended") {
  test_daemon runner;
  runner.create_channel("one", {{"distinct", "true"}, {"worker", "1"}});
  const gate end(runner.path("gate"));
  const gate second_end(runner.path("second-gate"));
  const auto running = runner.push_line(end.wait_line(), "one");
  REQUIRE(wait_until([&] { return runner.task(running).at("state") == "running"; }));
  const auto pending = runner.push_line(second_end.wait_line(), "one");

  auto again = runner.push({{"task", end.wait_line()}, {"channel", "one"}});
  CHECK(again.at("result") == false);
  CHECK(again.at("task_id") == running);
  again = runner.push({{"task", second_end.wait_line()}, {"channel", "one"}});
  CHECK(again.at("result") == false);
  CHECK(again.at("task_id") == pending);
  CHECK(runner.channel("one").at("count") == 2);

  end.open();
  second_end.open();
  runner.settled(running);
  runner.settled(pending);
  const auto after = runner.push_line(end.wait_line(), "one");
  CHECK(after != running);
  CHECK(runner.settled(after).at("state") == "finished");
}

TEST_CASE("a duplicate is still refused after a restart, with the holder named") {
  test_daemon runner({"127.0.0.1:0", {}, {"-task-mode=false"}, {}, {}, {}, false});
  const auto holder = runner.push_line("echo same", "biz");
  CHECK(runner.stop() == process_end{true, 0});
  runner.start();
  const auto again = runner.push({{"task", "echo same"}, {"channel", "biz"}});
  CHECK(again.at("result") == false);
  CHECK(again.at("task_id") == holder);
}

TEST_CASE("an id given by the client names the task, and is taken once") {
  test_daemon runner({"127.0.0.1:0", {}, {"-task-mode=false"}, {}, {}, {}, false});
  runner.create_channel("plain");
  const auto first = runner.push({{"task", "echo one"}, {"channel", "plain"}, {"id", "order:17_a.b-c"}});
  CHECK(first.at("result") == true);
  CHECK(first.at("task_id") == "order:17_a.b-c");
  const auto second = runner.push({{"task", "echo one"}, {"channel", "plain"}, {"id", "order:17_a.b-c"}});
  CHECK(second.at("result") == false);
  CHECK(second.at("task_id") == "order:17_a.b-c");
  // Another command, or another channel, under the same id is a mistake that somebody has to hear of.
  for (const auto& [task, channel] : {std::pair{"echo two", "plain"}, std::pair{"echo one", "biz"}}) {
    const auto refused =
        runner.http().post_form("/push", {{"task", task}, {"channel", channel}, {"id", "order:17_a.b-c"}});
    CHECK(refused.status == 409);
  }
  CHECK(runner.channel("plain").at("count") == 1);
  CHECK(runner.task("order:17_a.b-c").at("task_name") == "echo one");
}

TEST_CASE("a missing channel means channel-default") {
  test_daemon runner;
  CHECK(runner.task(runner.push_line("echo here")).at("channel") == "default");
  CHECK(runner.stop() == process_end{true, 0});
  runner.options().flags = {"-channel-default", "biz"};
  runner.start();
  CHECK(runner.task(runner.push_line("echo here")).at("channel") == "biz");
  CHECK(runner.stop() == process_end{true, 0});
  // A default channel that does not exist yet is made: a push without a channel must never find none.
  runner.options().flags = {"-channel-default", "fresh"};
  runner.start();
  CHECK(runner.task(runner.push_line("echo here")).at("channel") == "fresh");
}

TEST_CASE("channels made over HTTP persist across restarts") {
  test_daemon runner;
  runner.create_channel("mail", {{"distinct", "true"}, {"worker", "3"}});
  runner.create_channel("follows");
  CHECK(runner.stop() == process_end{true, 0});
  runner.options().flags = {"-concurrent", "9"};
  runner.start();
  CHECK(runner.channel("mail").at("distinct") == true);
  CHECK(runner.channel("mail").at("worker") == 3);
  CHECK(runner.channel("follows").at("distinct") == false);
  CHECK(runner.channel("follows").at("worker") == 9); // no number of its own
  CHECK(runner.run_line("echo works", "mail") == "works\n");
}

TEST_CASE("channels made over HTTP survive kill -9") {
  test_daemon runner;
  runner.create_channel("mail", {{"worker", "3"}});
  runner.kill();
  runner.start();
  CHECK(runner.channel("mail").at("worker") == 3);
}

TEST_CASE("channel sections of the INI file make channels, and what HTTP made stays until the INI changes") {
  daemon_options options;
  options.ini = "[channel.mail]\nworker = 2\ndistinct = true\n";
  test_daemon runner(options);
  CHECK(runner.channel("mail").at("worker") == 2);
  CHECK(runner.channel("mail").at("distinct") == true);
  CHECK(runner.http().post_form("/queue", {{"name", "mail"}}).status == 409);
  CHECK(runner.stop() == process_end{true, 0});
  runner.options().ini = "[channel.mail]\nworker = 4\ndistinct = true\n";
  runner.start();
  CHECK(runner.channel("mail").at("worker") == 4);
}
