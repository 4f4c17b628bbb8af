// Which lines go without a shell, and that nobody can tell: output and exit code equal those of /bin/sh -c.
#include "services/launcher/command_environment.hpp"
#include "services/launcher/command_line.hpp"
#include "services/launcher/spawn.hpp"
#include "test/service/launcher_support.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::launcher;

namespace {

struct observed {
  std::string text;
  int code = -1;
  int status = -1;

  bool operator==(const observed& other) const {
    return text == other.text && code == other.code && status == other.status;
  }
};

std::ostream& operator<<(std::ostream& out, const observed& value) {
  return out << "{code " << value.code << ", status " << value.status << ", \"" << value.text << "\"}";
}

/// Runs a plan and returns everything it writes and how it ends.
observed observe(const command_plan& plan, command_environment& environment) {
  const owned_descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  attempt_start attempt;
  attempt.key = {"differential", 1};
  attempt.channel = "default";
  spawn_setting setting;
  setting.environment = environment.for_attempt(attempt);
  setting.input = nothing.get();
  ::getrlimit(RLIMIT_NOFILE, &setting.descriptors);
  static failure_slots failures(1);
  static spawner children;
  volatile int* const failure = failures.acquire();
  REQUIRE(failure != nullptr);
  setting.failure = failure;
  spawned_child child = children.spawn(plan, std::move(setting));
  INFO(child.error);
  REQUIRE(child.pid != 0);
  observed seen;
  std::array<char, 4'096> buffer{};
  pollfd wait{child.output.get(), POLLIN, 0};
  while (::poll(&wait, 1, launcher_test::patience_ms) == 1) {
    const ssize_t n = ::read(child.output.get(), buffer.data(), buffer.size());
    if (n <= 0)
      break;
    seen.text.append(buffer.data(), static_cast<size_t>(n));
  }
  siginfo_t info{};
  REQUIRE(::waitid(P_PIDFD, static_cast<id_t>(child.process.get()), &info, WEXITED) == 0);
  CHECK(*failure == 0);
  failures.release(failure);
  seen.code = info.si_code;
  seen.status = info.si_status;
  return seen;
}

std::vector<std::string> sorted_lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

struct line_case {
  std::string line;
  bool direct;
};

} // namespace

TEST_CASE("plain lines are split at blanks, everything else is the shell's", "[launcher][command_line]") {
  using words = std::vector<std::string>;
  CHECK(split_plain("date") == words{"date"});
  CHECK(split_plain(" \tls  -l\t/tmp ") == words{"ls", "-l", "/tmp"});
  CHECK(split_plain("env A=b x=@%+,./:=-_09AZ") == words{"env", "A=b", "x=@%+,./:=-_09AZ"});
  for (const char* line :
       {"",        "   ",  "A=b env", "a\nb", "a\rb",  "a;b",  "a&b",   "a|b",         "a>b",
        "a<b",     "a(b)", "$a",      "`a`",  "a*",    "a?",   "a[b]",  "~/a",         "a 'b'",
        "a \"b\"", "a\\b", "a #b",    "a !b", "{a,b}", "a ^b", "a\x01", "d\xc3\xa4te", "=a"})
    CHECK_FALSE(split_plain(line));
  CHECK_FALSE(split_plain(std::string("a\0b", 3)));
}

TEST_CASE("words that a shell keeps for itself", "[launcher][command_line]") {
  for (const char* word :
       {"if",     "then",    "fi",     "for",      "while",    "until",  "do",      "done",   "case",
        "esac",   "in",      "time",   "function", "select",   "coproc", ".",       ":",      "alias",
        "bg",     "break",   "cd",     "command",  "continue", "echo",   "eval",    "exec",   "exit",
        "export", "false",   "fc",     "fg",       "getopts",  "hash",   "jobs",    "kill",   "local",
        "printf", "pwd",     "read",   "readonly", "return",   "set",    "shift",   "source", "test",
        "times",  "trap",    "true",   "type",     "ulimit",   "umask",  "unalias", "unset",  "wait",
        "let",    "declare", "mapfile"})
    CHECK(is_shell_word(word));
  for (const char* word :
       {"date", "ls", "sleep", "env", "php", "iff", "ech", "echoo", "", "/bin/echo", "python3"})
    CHECK_FALSE(is_shell_word(word));
}

TEST_CASE("no builtin of this machine's shell is mistaken for a program", "[launcher][command_line]") {
  // Every program name in PATH that the shell itself calls a builtin or a reserved word must be known as
  // such.
  command_plan plan;
  plan.shell_line =
      "ls /bin /usr/bin /sbin /usr/sbin | sort -u | while read -r n; do case $(type \"$n\" 2>&1) in "
      "*'shell builtin'*|*'shell keyword'*) echo \"$n\";; esac; done";
  command_environment environment("PATH=/usr/bin:/bin\0", "/");
  const observed seen = observe(plan, environment);
  std::istringstream names(seen.text);
  size_t count = 0;
  for (std::string name; names >> name; ++count) {
    INFO(name);
    CHECK(is_shell_word(name));
  }
  CHECK(count >= 5);
}

TEST_CASE("direct execution gives what /bin/sh -c gives", "[launcher][command_line]") {
  const launcher_test::scratch_directory scratch;
  const std::string& dir = scratch.path();
  const std::string first = dir + "/first";
  const std::string second = dir + "/second";
  std::filesystem::create_directories(first + "/adirectory");
  std::filesystem::create_directory(second);
  using launcher_test::write_file;
  write_file(first + "/script", "#!/bin/sh\necho script $0 $# \"$@\"; exit 4\n", 0755);
  write_file(first + "/no-shebang", "echo bare $# $1; exit 6\n", 0755);
  write_file(first + "/empty", "", 0755);
  write_file(first + "/bad-interpreter", "#!/no/such/interpreter\n", 0755);
  write_file(first + "/not-executable", "#!/bin/sh\necho never\n", 0644);
  write_file(first + "/twice", "#!/bin/sh\necho first\n", 0644);
  write_file(second + "/twice", "#!/bin/sh\necho second\n", 0755);
  write_file(second + "/adirectory", "#!/bin/sh\necho not a directory\n", 0755);
  write_file(first + "/dies", "#!/bin/sh\nkill -TERM $$\n", 0755);
  write_file(first + "/both", "#!/bin/sh\necho out; echo err >&2\n", 0755);
  write_file(first + "/with-dash_1.0+x", "#!/bin/sh\necho odd name\n", 0755);
  write_file(first + "/binary-junk",
             std::string("\x7f"
                         "ELFjunk\0\1\2",
                         10),
             0755);
  std::filesystem::create_symlink("script", first + "/link");
  std::filesystem::create_symlink("gone", first + "/dangling");

  std::string bytes = "PATH=" + first + ":" + second + ":/usr/bin:/bin";
  bytes += '\0';
  bytes += "A=1";
  bytes += '\0';
  command_environment environment(bytes, dir);
  const std::optional<std::string> search_path = environment.search_path();
  REQUIRE(search_path);
  const std::string here = std::filesystem::current_path().string();
  std::filesystem::current_path(dir);

  const std::vector<line_case> cases{
      {"date -u -d @0", true},
      {"ls -d /tmp /", true},
      {"  ls\t-d   /  ", true},
      {"/bin/echo a  b", true},
      {"/bin/echo", true},
      {"basename /a/b.c .c", true},
      {"env X=1 printenv X", true},
      {"printenv PWD", true},
      {"printenv A PATH", true},
      {"printenv NOPE", true},
      {"expr 1 + 1", true},
      {"seq 3", true},
      {"sleep 0", true},
      {"script", true},
      {"script a b=c @x 100%", true},
      {"./first/script x", true},
      {first + "/script y", true},
      {"link z", true},
      {"both", true},
      {"with-dash_1.0+x", true},
      {"ls /no/such/file", true},
      {"cat", true},
      {"sh -c exit", true},
      {"no-shebang q", true},    // executed, refused by the kernel, given to the shell after all
      {"empty", true},           // the same
      {"bad-interpreter", true}, // the same: the shell finds the words for it
      {"binary-junk", true},
      {"not-executable", false},
      {"twice", false},
      {"adirectory", false},
      {"dangling", false},
      // Named by a path: executed, refused by the kernel, given to the shell after all.
      {"./first", true},
      {"/tmp", true},
      {"/no/such/program", true},
      {first + "/not-executable x", true},
      {first + "/dangling", true},
      {first + "/script/below", true},
      {"no-such-program a b", false},
      {"no-such-program: a", false},
      {"./script", true},
      {"echo a  b", false},
      {"echo -n a", false},
      {"printf a", false},
      {"true", false},
      {"false", false},
      {"test -d /", false},
      {"pwd", false},
      {"cd /tmp", false},
      {"exit 7", false},
      {":", false},
      {". /dev/null", false},
      {"kill -0 1", false},
      {"time", false},
      {"if", false},
      {"done", false},
      {"", false},
      {"   ", false},
      {"A=2", false},
      {"A=2 printenv A", false},
      {"echo 'a  b' \"c\" && echo $((1+1)) | cat", false},
      {"ls /*bin*", false},
      {"echo ~root", false},
      {"echo a; echo b >&2", false},
      {"echo 'unterminated", false},
      {"date -u -d @0\n", false},
      {"seq 2 | wc -l", false},
      {"exec no-such-program", false},
      {"kill -KILL $$", false},
      {"# nothing", false},
      {"printenv A # comment", false},
      {"d\xc3\xa4te", false},
  };
  CHECK(cases.size() >= 60);
  for (const line_case& one : cases) {
    INFO("line: " << one.line);
    const command_plan plan = plan_line(one.line, search_path);
    CHECK(!plan.programs.empty() == one.direct);
    command_plan shell;
    shell.shell_line = one.line;
    CHECK(observe(plan, environment) == observe(shell, environment));
  }

  // A shell may hand the environment on in another order.
  command_plan env_shell;
  env_shell.shell_line = "env";
  const command_plan env_direct = plan_line("env", search_path);
  CHECK(env_direct.programs == std::vector<std::string>{"/usr/bin/env"});
  CHECK(sorted_lines(observe(env_direct, environment).text) ==
        sorted_lines(observe(env_shell, environment).text));
  // A death by signal is told as one, not as the shell's 128 + n.
  const observed dies = observe(plan_line("dies", search_path), environment);
  CHECK(dies == observed{"", CLD_KILLED, SIGTERM});

  // Without PATH, or with instructions for the shell in it, nothing is guessed.
  CHECK(plan_line("date", std::nullopt).programs.empty());
  CHECK(plan_line("date", std::string("/usr/bin:%builtin")).programs.empty());
  CHECK(plan_line("with-dash_1.0+x", std::string(":/usr/bin")).programs.empty());
  std::filesystem::current_path(first);
  CHECK(plan_line("with-dash_1.0+x", std::string(":/usr/bin")).programs ==
        std::vector<std::string>{"./with-dash_1.0+x"});
  std::filesystem::current_path(here);
}

TEST_CASE("an argv is searched as execvp searches", "[launcher][command_line]") {
  const command_plan plan = plan_argv({"x", "a b"}, std::string("/a::/b"));
  CHECK(plan.programs == std::vector<std::string>{"/a/x", "./x", "/b/x"});
  CHECK(plan.words == std::vector<std::string>{"x", "a b"});
  CHECK_FALSE(plan.shell_line);
  CHECK(plan_argv({"./x"}, std::string("/a")).programs == std::vector<std::string>{"./x"});
  CHECK(plan_argv({""}, std::string("/a")).programs == std::vector<std::string>{""});
  CHECK(plan_argv({"x"}, std::nullopt).programs == std::vector<std::string>{"/bin/x", "/usr/bin/x"});
}

TEST_CASE("the environment is filtered on both sides", "[launcher][command_line]") {
  const std::array<const char*, 8> entries{"PATH=/bin",
                                           "TASK_RUNNER_REDIS_PASSWORD=x",
                                           "TASK_RUNNER_REDIS_PASSWORD_FILE=/x",
                                           "TASK_RUNNER_TASK_ID=outer",
                                           "TASK_RUNNER_HTTP_ADDR=y",
                                           "PWD=/old",
                                           "A=b=c",
                                           nullptr};
  const std::string bytes = encode_environment(entries.data());
  constexpr char expected[] = "PATH=/bin\0TASK_RUNNER_HTTP_ADDR=y\0PWD=/old\0A=b=c\0";
  CHECK(bytes == std::string(expected, sizeof(expected) - 1));
  command_environment environment(bytes + "TASK_RUNNER_REDIS_PASSWORD=x", "/new");
  attempt_start attempt;
  attempt.key = {"t", 3};
  attempt.channel = "c";
  std::vector<std::string> seen;
  const attempt_environment made = environment.for_attempt(attempt);
  for (char* const* entry = made.pointers(); *entry != nullptr; ++entry)
    seen.emplace_back(*entry);
  CHECK(seen == std::vector<std::string>{"PATH=/bin", "TASK_RUNNER_HTTP_ADDR=y", "A=b=c", "PWD=/new",
                                         "TASK_RUNNER_TASK_ID=t", "TASK_RUNNER_CHANNEL=c",
                                         "TASK_RUNNER_ATTEMPT=3"});
}
