// The binary called with a verb, against a daemon of the test's own.
// Without a terminal, as scripts call it; cli_terminal.hpp has one.
#pragma once

#include "test/support/daemon.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

using variables = std::vector<std::pair<std::string, std::string>>;

inline std::string address_of(const test_daemon& runner) {
  return "127.0.0.1:" + std::to_string(runner.port());
}

/// How to start the client for this daemon.
inline process_options client_options(const test_daemon& runner, const std::vector<std::string>& words,
                                      const std::string& input = {}, const variables& more = {}) {
  process_options start;
  start.argv = {task_runner_binary()};
  start.argv.insert(start.argv.end(), words.begin(), words.end());
  start.environment = {{"TASK_RUNNER_ADDRESS", address_of(runner)}, {"LC_ALL", "C.UTF-8"}};
  start.environment.insert(start.environment.end(), more.begin(), more.end());
  start.input = input;
  start.directory = runner.home();
  return start;
}

/// Runs the client to its end.
inline run_result call(const test_daemon& runner, const std::vector<std::string>& words,
                       const std::string& input = {}, const variables& more = {}) {
  return run_process(client_options(runner, words, input, more), std::chrono::seconds(60));
}

/// Runs it, checks the exit code, and gives what it has written to stdout.
inline std::string called(const test_daemon& runner, int code, const std::vector<std::string>& words,
                          const std::string& input = {}) {
  const auto ran = call(runner, words, input);
  std::string line;
  for (const auto& word : words)
    line += " '" + word + "'";
  INFO("task-runner" << line << "\nstdout: " << ran.output << "\nstderr: " << ran.error_output);
  CHECK(ran.end == process_end{true, code});
  return ran.output;
}

/// The same for a call that must be refused with a message which holds `says`, and prints nothing else.
inline void refused_call(const test_daemon& runner, int code, const std::vector<std::string>& words,
                         const std::string& says) {
  const auto ran = call(runner, words);
  std::string line;
  for (const auto& word : words)
    line += " '" + word + "'";
  INFO("task-runner" << line << "\nstdout: " << ran.output << "\nstderr: " << ran.error_output);
  CHECK(ran.end == process_end{true, code});
  CHECK(ran.output.empty());
  CHECK(ran.error_output.find("task-runner: ") == 0);
  CHECK(ran.error_output.find(says) != std::string::npos);
}

/// Without the line feed at its end.
inline std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text;
}

/// Pushes by the client; gives the id.
inline std::string pushed(const test_daemon& runner, const std::vector<std::string>& words) {
  std::vector<std::string> all{"push"};
  all.insert(all.end(), words.begin(), words.end());
  const auto id = trimmed(called(runner, 0, all));
  REQUIRE_FALSE(id.empty());
  return id;
}

} // namespace task_runner::test
