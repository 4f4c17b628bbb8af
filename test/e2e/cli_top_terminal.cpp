// The server stays in the foreground, as a child of the test; each command is a client of its own.
#include "test/e2e/cli_top_terminal.hpp"

#include "test/support/daemon.hpp"
#include "test/support/wait.hpp"

#include <filesystem>
#include <stdexcept>

namespace task_runner::test {

namespace {

std::string quoted(const std::string& text) {
  std::string whole = "'";
  for (const char one : text)
    whole += one == '\'' ? std::string("'\\''") : std::string(1, one);
  return whole + "'";
}

std::string trimmed_end(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  return text;
}

} // namespace

tmux_terminal::tmux_terminal(size_t columns, size_t rows, const std::vector<std::string>& argv,
                             const std::vector<std::pair<std::string, std::string>>& environment) {
  process_options start;
  start.argv = {"tmux", "-u", "-S", home_ / "socket", "-f", "/dev/null", "-D"};
  start.environment = {{"LC_ALL", "C.UTF-8"}, {"TERM", "xterm-256color"}, {"TMUX_TMPDIR", home_.path()}};
  server_ = std::make_unique<process>(start);
  if (!wait_until([this] { return std::filesystem::exists(home_ / "socket"); }))
    throw std::runtime_error("tmux does not start: " + server_->error_output());
  std::string line = "env -u NO_COLOR -u COLUMNS -u LINES LC_ALL=C.UTF-8";
  for (const auto& [name, content] : environment)
    line += " " + name + "=" + quoted(content);
  for (const auto& word : argv)
    line += " " + quoted(word);
  const auto script = std::string("trap : INT; before=$(stty -g); echo '") + mark_before +
                      "'; sh -c 'echo $$ >" + home_ / "pid.part" + " && mv " + home_ / "pid.part" + " " +
                      home_ / "pid" + " && exec \"$@\"' sh " + line +
                      "; echo \"ended with $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo '" + mark_restored +
                      "'; exec cat";
  tmux({"new-session", "-d", "-x", std::to_string(columns), "-y", std::to_string(rows), "sh", "-c", script});
}

tmux_terminal::~tmux_terminal() {
  process_options end;
  end.argv = {"tmux", "-S", home_ / "socket", "kill-server"};
  run_process(end);
  static_cast<void>(server_->wait());
}

std::string tmux_terminal::tmux(const std::vector<std::string>& words) {
  process_options start;
  start.argv = {"tmux", "-u", "-S", home_ / "socket"};
  start.argv.insert(start.argv.end(), words.begin(), words.end());
  start.environment = {{"LC_ALL", "C.UTF-8"}};
  const auto ran = run_process(start);
  if (!(ran.end == process_end{true, 0}))
    throw std::runtime_error("tmux " + words.front() + ": " + ran.error_output + server_->error_output());
  return ran.output;
}

void tmux_terminal::press(const std::vector<std::string>& keys) {
  std::vector<std::string> words{"send-keys"};
  words.insert(words.end(), keys.begin(), keys.end());
  tmux(words);
}

void tmux_terminal::resize(size_t columns, size_t rows) {
  tmux({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
}

std::string tmux_terminal::screen(bool with_looks) {
  std::vector<std::string> words{"capture-pane", "-p"};
  if (with_looks)
    words.emplace_back("-e");
  return tmux(words);
}

bool tmux_terminal::shows(const std::string& text, std::chrono::milliseconds deadline) {
  return wait_until([&] { return screen().find(text) != std::string::npos; }, deadline);
}

bool tmux_terminal::stops_showing(const std::string& text, std::chrono::milliseconds deadline) {
  return wait_until([&] { return screen().find(text) == std::string::npos; }, deadline);
}

int tmux_terminal::program_pid() {
  if (!wait_until([this] { return std::filesystem::exists(home_ / "pid"); }))
    throw std::runtime_error("the program was not started");
  return std::stoi(read_file(home_ / "pid"));
}

std::string tmux_terminal::value(const std::string& format) {
  return trimmed_end(tmux({"display-message", "-p", format}));
}

} // namespace task_runner::test
