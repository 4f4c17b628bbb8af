// `push --stdin-list` of the command-line client: many lines, each of them taken exactly once, whatever
// happens to the daemon meanwhile.
#include "test/e2e/api_support.hpp"
#include "test/e2e/cli_support.hpp"
#include "test/e2e/cli_terminal.hpp"

#include <algorithm>
#include <csignal>
#include <set>

using namespace task_runner::test;
using json = nlohmann::json;

namespace {

/// So many lines, each of which appends its number to a file.
std::string counting_lines(int count, const std::string& path) {
  std::string text;
  for (int i = 1; i <= count; ++i)
    text += "echo " + std::to_string(i) + " >> " + path + "\n";
  return text;
}

} // namespace

TEST_CASE("10,000 lines become 10,000 tasks, in their order") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  runner.create_channel("bulk");
  std::string input;
  for (int i = 1; i <= 10'000; ++i)
    input += "echo " + std::to_string(i) + " 'a  b'\n";
  const auto printed = called(runner, 0, {"push", "-c", "bulk", "--stdin-list"}, input);
  const auto ids = lines_of(printed);
  REQUIRE(ids.size() == 10'000);
  CHECK(std::set<std::string>(ids.begin(), ids.end()).size() == 10'000);
  CHECK(runner.channel("bulk").at("pending") == 10'000);
  for (const size_t i : {0U, 999U, 1'000U, 5'432U, 9'999U})
    CHECK(runner.task(ids[i]).at("task_name") == "echo " + std::to_string(i + 1) + " 'a  b'");
  const auto first = runner.channel("bulk").at("tasks");
  for (size_t i = 0; i < first.size(); ++i)
    CHECK(first[i].at("task_id") == ids[i]);
}

TEST_CASE("lines become arguments of a command, exactly; blank ones are left out") {
  test_daemon runner;
  runner.create_channel("bulk", {{"worker", "1"}});
  const auto printed = called(runner, 0, {"push", "-c", "bulk", "--stdin-list", "--", "printf", "[%s]"},
                              "a  b\n\n   \n$HOME 'c'\nlast");
  const auto ids = lines_of(printed);
  REQUIRE(ids.size() == 3);
  std::string all;
  for (const auto& id : ids) {
    CHECK(runner.settled(id).at("state") == "finished");
    all += runner.output(id);
  }
  CHECK(all == "[a  b][$HOME 'c'][last]");
}

TEST_CASE("lines that are refused are told by their number, and the others are taken") {
  test_daemon runner;
  runner.create_channel("bulk");
  const auto ran = call(runner, {"push", "-c", "bulk", "--stdin-list"},
                        "echo 1\necho \xff\n" + std::string(200'000, 'x') + "\n\necho 5\n");
  CHECK(ran.end == process_end{true, 1});
  CHECK(lines_of(ran.output).size() == 2);
  CHECK(ran.error_output.find("line 2 is refused") != std::string::npos);
  CHECK(ran.error_output.find("line 3 is refused") != std::string::npos);
  CHECK(ran.error_output.find("line 5") == std::string::npos);

  std::string many;
  for (int i = 0; i < 50; ++i)
    many += "echo " + std::to_string(i) + "\n";
  const auto unknown = call(runner, {"push", "-c", "none", "--stdin-list"}, many);
  CHECK(unknown.end == process_end{true, 4});
  CHECK(unknown.output.empty());
  CHECK(unknown.error_output.find("and 30 more lines") != std::string::npos);
  CHECK(called(runner, 0, {"push", "--stdin-list"}, "").empty());
}

TEST_CASE("in JSON the list is told as counts") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  const auto told =
      json::parse(called(runner, 0, {"push", "--json", "--stdin-list"}, "echo a\necho b\necho a\n"));
  CHECK(told == json{{"accepted", 2}, {"duplicates", 1}, {"refused", 0}});
}

TEST_CASE("a full channel is waited for, and the order of the lines stays") {
  daemon_options options;
  options.flags = {"-tasks-max=20"};
  test_daemon runner(options);
  runner.create_channel("bulk", {{"worker", "1"}});
  const auto seen = runner.path("seen");
  const auto printed = called(runner, 0, {"push", "-c", "bulk", "--stdin-list"}, counting_lines(100, seen));
  CHECK(lines_of(printed).size() == 100);
  REQUIRE(wait_until([&] { return lines_of(read_file(seen)).size() == 100; }, std::chrono::seconds(30)));
  const auto order = lines_of(read_file(seen));
  for (size_t i = 0; i < order.size(); ++i)
    CHECK(order[i] == std::to_string(i + 1));
}

TEST_CASE("where nothing is taken any more the list is given up, and says where") {
  daemon_options options;
  options.flags = {"-task-mode=false", "-tasks-max=10"};
  test_daemon runner(options);
  runner.create_channel("bulk");
  const auto ran = call(runner, {"push", "-c", "bulk", "--stdin-list", "--patience", "1s"},
                        counting_lines(15, runner.path("seen")));
  CHECK(ran.end == process_end{true, 1});
  CHECK(lines_of(ran.output).size() == 10);
  CHECK(ran.error_output.find("given up") != std::string::npos);
  CHECK(ran.error_output.find("the first line that was not taken is 11") != std::string::npos);
}

TEST_CASE("a list outlives kills of the daemon, and no line is lost or taken twice") {
  daemon_options options;
  options.flags = {"-concurrent=4"};
  test_daemon runner(options);
  // The port stays, as the client goes on asking there.
  runner.options().http_addr = address_of(runner);
  runner.create_channel("bulk");
  const auto seen = runner.path("seen");
  process client(client_options(runner, {"push", "-c", "bulk", "--stdin-list"}, counting_lines(6'000, seen)));
  for (int round = 0; round < 3; ++round) {
    const auto before = client.output().size();
    CHECK(wait_until([&] { return client.output().size() > before || !client.running(); }));
    runner.kill();
    runner.start();
  }
  const auto end = client.wait(std::chrono::seconds(60));
  REQUIRE(end);
  INFO(client.error_output());
  CHECK(*end == process_end{true, 0});
  CHECK(lines_of(client.output()).size() == 6'000);
  REQUIRE(wait_until([&] { return runner.channel("bulk").at("count") == 0; }, std::chrono::seconds(60)));
  const auto counts = count_lines(seen);
  CHECK(counts.size() == 6'000);
  CHECK(std::all_of(counts.begin(), counts.end(), [](const auto& one) { return one.second == 1; }));
}

TEST_CASE("lines are pushed as they come, and Ctrl-C ends the reading") {
  test_daemon runner;
  terminal_process client({task_runner_binary(), "push", "--stdin-list"},
                          {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  client.type("echo first\n");
  REQUIRE(wait_until([&] { return data_of(runner, "GET", "/api/v1/tasks").at("items").size() == 1; }));
  client.type("echo second\n");
  REQUIRE(wait_until([&] { return data_of(runner, "GET", "/api/v1/tasks").at("items").size() == 2; }));
  client.type("\x03");
  CHECK(client.wait() == process_end{true, 130});
  CHECK(client.drawn().find("2 pushed") != std::string::npos);
}

TEST_CASE("a terminal gets a progress bar on stderr") {
  daemon_options options;
  options.flags = {"-task-mode=false"};
  test_daemon runner(options);
  write_file(runner.path("lines"), counting_lines(5'000, "/dev/null"));
  terminal_process client({"sh", "-c", task_runner_binary() + " push --stdin-list < " + runner.path("lines")},
                          {{"TASK_RUNNER_ADDRESS", address_of(runner)}});
  CHECK(client.wait() == process_end{true, 0});
  CHECK(client.drawn().find("[####") != std::string::npos);
  CHECK(client.drawn().find("5,000 pushed\n") != std::string::npos);
}
