// Output that is followed while it is written: what comes when, going on after a cut, and the end.
// The commands print what the test writes into a FIFO, so that nothing depends on time.
#include "test/e2e/api_support.hpp"
#include "test/support/event_client.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner::test;

namespace {

/// A command that prints what it is told, and ends when it is told no more.
class told_command {
public:
  explicit told_command(const test_daemon& runner, const std::string& name = "told")
      : path_(runner.path(name)) {
    REQUIRE(mkfifo(path_.c_str(), 0600) == 0);
    end_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(end_ >= 0);
  }
  ~told_command() { finish(); }
  told_command(const told_command&) = delete;
  told_command& operator=(const told_command&) = delete;

  std::string line(int exit_code = 0) const { return "cat " + path_ + "; exit " + std::to_string(exit_code); }
  void say(const std::string& bytes) const {
    REQUIRE(write(end_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  void finish() {
    if (end_ >= 0)
      close(std::exchange(end_, -1));
  }

private:
  std::string path_;
  int end_ = -1;
};

std::string output_path(const std::string& id) {
  return "/api/v1/tasks/" + id + "/output";
}

event_client follow(const test_daemon& runner, const std::string& id, const std::string& more = {},
                    const name_values& headers = {}) {
  return {runner.port(), output_path(id) + "?follow=1" + more, headers};
}

/// Reads events of output until `text` has come, whole; each must begin where the one before ended.
void expect_text(event_client& client, const std::string& text, uint64_t offset = 0) {
  std::string come;
  while (come.size() < text.size()) {
    const auto data = client.expect("output");
    CHECK(data.at("offset") == offset + come.size());
    come += data.at("text").get<std::string>();
  }
  CHECK(come == text);
}

/// The bytes of an event of output.
std::string bytes_of(const nlohmann::json& data) {
  if (data.contains("text"))
    return data.at("text");
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t word = 0;
  int bits = 0;
  for (const char c : data.at("base64").get<std::string>()) {
    if (c == '=')
      break;
    word = word << 6U | static_cast<uint32_t>(digits.find(c));
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(word >> static_cast<unsigned>(bits) & 255U);
    }
  }
  return bytes;
}

} // namespace

TEST_CASE("the output of a running command is streamed as it is written, then its end") {
  test_daemon runner;
  told_command command(runner);
  const auto id = push_json(runner, {{"task", command.line(3)}, {"id", "told-1"}, {"max_attempts", 1}});
  auto client = follow(runner, id);
  CHECK(client.answer().status == 200);
  CHECK(client.answer().header("content-type") == "text/event-stream; charset=utf-8");
  CHECK(client.answer().header("cache-control") == "no-store");
  CHECK(client.answer().header("x-accel-buffering") == "no");
  CHECK(client.answer().header("connection") == "close");
  command.say("first\n");
  expect_text(client, "first\n");
  CHECK(client.last_id() == "6-1");
  CHECK(client.retry_ms() == 1'000);
  command.say("second, without an end");
  expect_text(client, "second, without an end", 6);
  CHECK(client.last_id() == "28-1");
  CHECK(runner.task(id).at("state") == "running");
  command.finish();
  const auto end = client.expect("end");
  CHECK(end == nlohmann::json{{"task_id", "told-1"},
                              {"attempt", 1},
                              {"offset", 28},
                              {"state", "dead"},
                              {"outcome", {{"kind", "exited"}, {"code", 3}}}});
  CHECK(client.last_id() == "28-1-end");
  CHECK_FALSE(client.next());
}

TEST_CASE("a client that was cut goes on where it was, and is told when there is nothing more") {
  test_daemon runner;
  told_command command(runner);
  const auto id = runner.push_line(command.line());
  auto first = follow(runner, id);
  command.say("one ");
  expect_text(first, "one ");
  const auto seen = first.last_id();
  first.close(true);
  command.say("two ");
  auto second = follow(runner, id, "", {{"Last-Event-ID", seen}});
  expect_text(second, "two ", 4);
  // An offset does the same, and counts less than what was seen last.
  auto third = follow(runner, id, "&offset=2");
  expect_text(third, "e two ", 2);
  auto fourth = follow(runner, id, "&offset=2", {{"Last-Event-ID", "4"}});
  expect_text(fourth, "two ", 4);
  command.finish();
  for (auto* client : {&second, &third, &fourth})
    CHECK(client->expect("end").at("state") == "finished");
  // What a browser that comes back after the end understands as: stay away.
  CHECK(follow(runner, id, "", {{"Last-Event-ID", second.last_id()}}).answer().status == 204);
  auto late = follow(runner, id, "&attempt=1");
  expect_text(late, "one two ");
  CHECK(late.expect("end").at("outcome") == nlohmann::json{{"kind", "exited"}, {"code", 0}});
}

TEST_CASE("no character is split between two events, and what is no text comes as base64") {
  test_daemon runner;
  told_command command(runner);
  const auto id = runner.push_line(command.line());
  auto client = follow(runner, id);
  command.say("a\xe2");
  expect_text(client, "a");
  command.say("\x82\xac");
  expect_text(client, "\xe2\x82\xac", 1);
  command.say("\x1b[31mred\x1b[0m\r\n\t\"\\\x01");
  expect_text(client, "\x1b[31mred\x1b[0m\r\n\t\"\\\x01", 4);
  command.say(std::string("\0\xff\xfe", 3));
  const auto binary = client.expect("output");
  CHECK(binary.at("offset") == 22);
  CHECK(binary.at("base64") == "AP/+");
  command.say("x\xf0\x9f");
  expect_text(client, "x", 25);
  command.finish();
  const auto cut = client.expect("output");
  CHECK(cut.at("offset") == 26);
  CHECK(cut.at("base64") == "8J8=");
  CHECK(client.expect("end").at("offset") == 28);
}

TEST_CASE("a task that waits is followed from its start on") {
  test_daemon runner;
  runner.create_channel("slow");
  data_of(runner, "POST", "/api/v1/channels/slow/pause", nlohmann::json::object());
  const auto id = push_json(runner, {{"task", "echo at last"}, {"channel", "slow"}});
  auto client = follow(runner, id);
  auto impatient = follow(runner, id, "&offset=5");
  // What it has is not this output.
  CHECK(impatient.expect("reset") == nlohmann::json{{"offset", 0}});
  CHECK(runner.task(id).at("state") == "pending");
  data_of(runner, "POST", "/api/v1/channels/slow/resume", nlohmann::json::object());
  for (auto* one : {&client, &impatient}) {
    expect_text(*one, "at last\n");
    CHECK(one->expect("end").at("state") == "finished");
  }
}

TEST_CASE("a task that is cancelled while it waits ends the streams of its followers") {
  test_daemon runner;
  const auto id = push_json(runner, {{"task", "true"}, {"delay", 3'600}});
  auto client = follow(runner, id);
  data_of(runner, "POST", "/api/v1/tasks/" + id + "/cancel", nlohmann::json::object());
  const auto end = client.expect("end");
  CHECK(end.at("state") == "cancelled");
  CHECK(end.at("outcome") == nlohmann::json{{"kind", "cancelled"}});
  CHECK(end.at("offset") == 0);
  auto again = follow(runner, id);
  CHECK(again.expect("end").at("state") == "cancelled");
}

TEST_CASE("each attempt is followed on its own: the one that is named, that which runs, or the next") {
  test_daemon runner;
  const auto id = push_json(
      runner,
      {{"task", "echo attempt $TASK_RUNNER_ATTEMPT; exit 1"}, {"max_attempts", 2}, {"backoff_s", 3'600}});
  REQUIRE(wait_state(runner, id, "delayed"));
  auto first = follow(runner, id, "&attempt=1");
  expect_text(first, "attempt 1\n");
  CHECK(first.expect("end").at("state") == "delayed");
  auto next = follow(runner, id);
  // Where one has got with the first attempt says nothing of the second.
  auto behind = follow(runner, id, "", {{"Last-Event-ID", "4-1"}});
  expect_text(behind, "mpt 1\n", 4);
  CHECK(behind.expect("end").at("attempt") == 1);
  CHECK(refused(runner, "GET", output_path(id) + "?follow=1&attempt=3", nullptr, "no attempt 3") == 404);
  data_of(runner, "POST", "/api/v1/tasks/" + id + "/cancel", nlohmann::json::object());
  CHECK(next.expect("end").at("state") == "cancelled");

  const auto quick = push_json(
      runner, {{"task", "echo attempt $TASK_RUNNER_ATTEMPT; exit 1"}, {"max_attempts", 2}, {"backoff_s", 0}});
  REQUIRE(runner.settled(quick).at("state") == "dead");
  auto last = follow(runner, quick);
  expect_text(last, "attempt 2\n");
  const auto end = last.expect("end");
  CHECK(end.at("attempt") == 2);
  CHECK(end.at("state") == "dead");
  CHECK(follow(runner, quick, "&attempt=1").rest().back().json().at("outcome").at("code") == 1);
}

TEST_CASE("what is not kept is told as a gap") {
  daemon_options options;
  options.flags = {"-output-head", "1k", "-output-tail", "1k"};
  test_daemon runner(options);
  told_command command(runner);
  const auto id = runner.push_line(command.line());
  auto live = follow(runner, id);
  std::string written;
  // One that keeps up misses nothing, however little is kept.
  for (int i = 0; i < 40; ++i) {
    const auto part = std::to_string(i) + std::string(200, static_cast<char>('a' + i % 26)) + "\n";
    command.say(part);
    expect_text(live, part, written.size());
    written += part;
  }
  auto before_end = follow(runner, id, "&offset=500");
  expect_text(before_end, written.substr(500, 524), 500);
  const auto early = before_end.expect("gap");
  CHECK(early.at("from") == 1'024);
  CHECK(early.at("to") >= written.size() - 1'024);
  command.finish();
  CHECK(live.expect("end").at("offset") == written.size());
  for (const uint64_t offset : {0U, 1'000U, 1'024U, 3'000U}) {
    auto late = follow(runner, id, "&offset=" + std::to_string(offset));
    if (offset < 1'024)
      expect_text(late, written.substr(offset, 1'024 - offset), offset);
    const auto gap = late.expect("gap");
    CHECK(gap == nlohmann::json{{"from", std::max<uint64_t>(offset, 1'024)}, {"to", written.size() - 1'024}});
    CHECK(late.last_id() == std::to_string(written.size() - 1'024) + "-1");
    expect_text(late, written.substr(written.size() - 1'024), written.size() - 1'024);
    CHECK(late.expect("end").at("offset") == written.size());
  }
  auto beyond = follow(runner, id, "&offset=" + std::to_string(written.size() + 1));
  CHECK(beyond.expect("reset") == nlohmann::json{{"offset", 0}});
  expect_text(beyond, written.substr(0, 1'024));
  CHECK(beyond.expect("gap").at("from") == 1'024);
}

TEST_CASE("much output comes whole, text and bytes, also to a client with little room") {
  test_daemon runner;
  const bool binary = GENERATE(false, true);
  // 1.5 MB: all of it is kept.
  const std::string make = binary ? "head -c 1500000 /dev/urandom > all; cat all"
                                  : "for i in $(seq 1 100000); do echo \"line ö $i\"; done > all; cat all";
  const auto id = runner.push_line("cd " + runner.home() + "; " + make);
  event_client client(runner.port(), output_path(id) + "?follow=1", {}, 4'096);
  std::string come;
  for (const auto& event : client.rest()) {
    if (event.name != "output")
      continue;
    const auto data = event.json();
    CHECK(data.at("offset") == come.size());
    come += bytes_of(data);
  }
  CHECK((come == read_file(runner.path("all"))));
  CHECK(come.size() > 1'000'000);
}

TEST_CASE("a hundred followers of one command get the same, and those that leave are forgotten") {
  test_daemon runner;
  told_command command(runner);
  const auto id = runner.push_line(command.line());
  std::vector<event_client> clients;
  for (int i = 0; i < 100; ++i)
    clients.push_back(follow(runner, id));
  command.say("all of you\n");
  for (auto& client : clients)
    expect_text(client, "all of you\n");
  CHECK(runner.report().at("http").at("streams") == 100);
  CHECK(runner.http().get("/metrics").body.find("\ntask_runner_http_streams 100\n") != std::string::npos);
  for (size_t i = 0; i < 50; ++i)
    clients[i].close(i % 2 == 0);
  CHECK(wait_until([&] { return runner.report().at("http").at("connections").get<int>() <= 51; }));
  command.say("those that stayed\n");
  command.finish();
  for (size_t i = 50; i < clients.size(); ++i) {
    expect_text(clients[i], "those that stayed\n", 11);
    CHECK(clients[i].expect("end").at("state") == "finished");
  }
  CHECK(wait_until([&] { return runner.report().at("http").at("connections").get<int>() <= 1; }));
  CHECK(runner.report().at("http").at("streams") == 0);
  CHECK(runner.report().at("http").at("streams_refused") == 0);
  CHECK(runner.report().at("http").at("streams_cut") == 0);
}

TEST_CASE("what cannot be followed is refused") {
  test_daemon runner;
  const auto id = runner.push_line("echo here");
  REQUIRE(runner.settled(id).at("state") == "finished");
  const auto path = output_path(id);
  CHECK(refused(runner, "GET", output_path("nobody") + "?follow=1") == 404);
  CHECK(refused(runner, "GET", path + "?follow=1&attempt=2", nullptr, "no attempt 2") == 404);
  CHECK(refused(runner, "GET", path + "?follow=maybe", nullptr, "follow") == 400);
  CHECK(refused(runner, "GET", path + "?follow=1&offset=-1", nullptr, "offset") == 400);
  CHECK(refused(runner, "GET", path + "?follow=1&attempt=x", nullptr, "attempt") == 400);
  CHECK(refused(runner, "GET", path + "?follow=1&length=5", nullptr, "length") == 400);
  for (const std::string last : {"x", "-1", "5-", "5-0", "5-x", "5-1-", "5-1-over", "5-end", "1 2",
                                 "99999999999999999999", "5-4294967296"}) {
    CAPTURE(last);
    CHECK(follow(runner, id, "", {{"Last-Event-ID", last}}).answer().status == 400);
  }
  CHECK(follow(runner, id, "&attempt=2", {{"Last-Event-ID", "5-1"}}).answer().status == 400);
  // It is asked for, or it is not.
  CHECK(runner.http().get(path + "?follow=0").body == "here\n");
  CHECK(runner.http().get(path + "?follow=false&offset=1").body == "ere\n");
  const auto head = runner.http().send("HEAD", path + "?follow=1");
  CHECK(head.status == 200);
  CHECK(head.header("content-type") == "text/event-stream; charset=utf-8");
}

TEST_CASE("a daemon that ends ends its streams, and its successor goes on with them") {
  test_daemon runner;
  told_command command(runner);
  const auto id = runner.push_line(command.line());
  auto client = follow(runner, id);
  command.say("before ");
  expect_text(client, "before ");
  runner.kill();
  CHECK_FALSE(client.next());
  command.say("meanwhile ");
  runner.start();
  auto again = follow(runner, id, "", {{"Last-Event-ID", client.last_id()}});
  expect_text(again, "meanwhile ", 7);
  // A stream does not keep a daemon from an orderly end.
  const auto waiting = push_json(runner, {{"task", "true"}, {"delay", 3'600}});
  auto other = follow(runner, waiting);
  command.finish();
  CHECK(again.expect("end").at("state") == "finished");
  CHECK(runner.stop() == process_end{true, 0});
  CHECK_FALSE(other.next());
  runner.start();
  data_of(runner, "POST", "/api/v1/tasks/" + waiting + "/cancel", nlohmann::json::object());
}
