// What the binary says about itself, and every reason not to start: one line, exit code 2, and nothing
// touched. A pid file that is stale is taken over, one that is alive is not.
#include "test/support/daemon.hpp"
#include "test/support/free_port.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <filesystem>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner::test;

namespace {

/// Runs the binary with these flags, and a state directory and pid file of its own, to its end.
class refused_start {
public:
  run_result run(const std::vector<std::string>& flags,
                 const std::vector<std::pair<std::string, std::string>>& environment = {}) {
    process_options start;
    start.argv = {task_runner_binary(), "-state-dir", home_ / "state", "-pidfile", home_ / "pid",
                  "-redis-intake",      "off"};
    start.argv.insert(start.argv.end(), flags.begin(), flags.end());
    start.environment = environment;
    start.directory = home_.path();
    return run_process(start);
  }
  std::string path(const std::string& name) const { return home_ / name; }

private:
  temp_dir home_{"tr-e2e-refused"};
};

void check_refused(const run_result& ran, const std::string& says) {
  CAPTURE(ran.error_output);
  CHECK(ran.end == process_end{true, 2});
  CHECK(ran.output.empty());
  CHECK(lines_of(ran.error_output).size() == 1);
  CHECK(ran.error_output.find("task-runner: ") == 0);
  CHECK(ran.error_output.find(says) != std::string::npos);
}

/// A port that somebody else listens on.
class taken_port {
public:
  taken_port()
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(fd_, 1) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    number_ = std::to_string(ntohs(address.sin_port));
  }
  ~taken_port() { close(fd_); }
  const std::string& number() const { return number_; }

private:
  int fd_;
  std::string number_;
};

} // namespace

TEST_CASE("a wrong flag or value is refused in one line that says what is allowed") {
  refused_start home;
  check_refused(home.run({"-no-such-flag"}), "no-such-flag");
  check_refused(home.run({"-concurrent", "0"}), "concurrent");
  check_refused(home.run({"-concurrent=2000"}), "1024");
  check_refused(home.run({"--concurrent", "many"}), "many");
  check_refused(home.run({"-redis-db", "16"}), "15");
  check_refused(home.run({"-http-addr", "nonsense"}), "http-addr");
  check_refused(home.run({"-http-addr", "127.0.0.1:70000"}), "70000");
  check_refused(home.run({"-task-mode=perhaps"}), "perhaps");
  check_refused(home.run({"-store", "paper"}), "embedded");
  check_refused(home.run({"-log-level", "loud"}), "warning");
  check_refused(home.run({"-channel-default", "a b"}), "channel-default");
  check_refused(home.run({"-drain-timeout", "soon"}), "soon");
  check_refused(home.run({"stray"}), "stray");
  check_refused(home.run({"-concurrent"}), "concurrent");
  check_refused(home.run({"-http-addr", "127.0.0.1:0", "-http-addr", "127.0.0.1:0"}), "http-addr");
  CHECK_FALSE(std::filesystem::exists(home.path("state")));
  CHECK_FALSE(std::filesystem::exists(home.path("pid")));
}

TEST_CASE("a wrong INI file is refused in one line that says where") {
  refused_start home;
  const auto ini = home.path("task-runner.ini");
  const auto run = [&](const std::string& text) {
    write_file(ini, text);
    return home.run({"-http-addr", "127.0.0.1:0", "-config", ini});
  };
  check_refused(run("[daemon]\nconcurent = 5\n"), "concurent");
  check_refused(run("[deamon]\n"), "deamon");
  check_refused(run("[daemon]\nconcurrent = 5\nconcurrent = 6\n"), "concurrent");
  check_refused(run("[channel.mail]\nworker = 5000\n"), "1024");
  check_refused(run("[channel.mail]\nspeed = 5\n"), "speed");
  check_refused(run("[channel.a b]\n"), "a b");
  check_refused(run("nonsense\n"), ini);
  check_refused(home.run({"-config", home.path("missing.ini")}), "missing.ini");
}

TEST_CASE("a wrong environment variable is refused in one line that names it") {
  refused_start home;
  check_refused(home.run({}, {{"TASK_RUNNER_CONCURRENT", "many"}}), "TASK_RUNNER_CONCURRENT");
  check_refused(home.run({}, {{"TASK_RUNNER_HTTP_ADDR", "127.0.0.1"}}), "TASK_RUNNER_HTTP_ADDR");
}

TEST_CASE("an address that other machines can reach is refused unless the INI says so on purpose") {
  refused_start home;
  const auto port = std::to_string(free_port());
  for (const std::string host : {"0.0.0.0", "[::]", "10.1.2.3"}) {
    CAPTURE(host);
    check_refused(home.run({"-http-addr", host + ":" + port}), "allow-remote");
    check_refused(home.run({}, {{"TASK_RUNNER_HTTP_ADDR", host + ":" + port}}), "allow-remote");
  }
  CHECK_FALSE(std::filesystem::exists(home.path("state")));
  // A variable or flag is no purpose: they may leak in.
  CHECK(home.run({"-allow-remote", "-http-addr", "0.0.0.0:" + port}).end == process_end{true, 2});
  write_file(home.path("on-purpose.ini"), "[http]\nallow-remote = true\naddr = 0.0.0.0:" + port + "\n");
  const auto checked = home.run({"-config", home.path("on-purpose.ini"), "-check-config"});
  CHECK(checked.end == process_end{true, 0});
}

TEST_CASE("a port that is taken is refused in one line") {
  refused_start home;
  const taken_port port;
  const auto ran = home.run({"-http-addr", "127.0.0.1:" + port.number()});
  check_refused(ran, "127.0.0.1:" + port.number());
  CHECK(ran.error_output.find("in use") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(home.path("pid")));
  CHECK_FALSE(std::filesystem::exists(home.path("state/launcher.pid"))); // nobody was started in vain
}

TEST_CASE("a state directory that a daemon holds is refused, and that daemon goes on") {
  test_daemon runner;
  refused_start home;
  process_options start;
  start.argv = {task_runner_binary(), "-state-dir", runner.state_dir(), "-pidfile",   home.path("pid"),
                "-redis-intake",      "off",        "-http-addr",       "127.0.0.1:0"};
  const auto ran = run_process(start);
  check_refused(ran, runner.state_dir());
  CHECK(ran.error_output.find(std::to_string(runner.pid())) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(home.path("pid")));
  CHECK(runner.run_line("echo unharmed") == "unharmed\n");
}

TEST_CASE("a live pid file is refused, and its daemon goes on") {
  test_daemon runner;
  refused_start home;
  process_options start;
  start.argv = {task_runner_binary(), "-state-dir", home.path("state"), "-pidfile",   runner.pid_file(),
                "-redis-intake",      "off",        "-http-addr",       "127.0.0.1:0"};
  const auto ran = run_process(start);
  check_refused(ran, runner.pid_file());
  CHECK(ran.error_output.find(std::to_string(runner.pid())) != std::string::npos);
  CHECK(read_file(runner.pid_file()) == std::to_string(runner.pid()) + "\n");
  CHECK(runner.run_line("echo unharmed") == "unharmed\n");
}

TEST_CASE("a stale pid file is taken over") {
  test_daemon runner;
  SECTION("after kill -9") {
    const auto former = runner.pid();
    runner.kill();
    CHECK(read_file(runner.pid_file()) == std::to_string(former) + "\n");
  }
  SECTION("with the pid of a process that is no daemon") {
    CHECK(runner.stop() == process_end{true, 0});
    write_file(runner.pid_file(), std::to_string(getpid()) + "\n");
  }
  SECTION("empty, as a crash may leave it") {
    CHECK(runner.stop() == process_end{true, 0});
    write_file(runner.pid_file(), "");
  }
  runner.start();
  CHECK(read_file(runner.pid_file()) == std::to_string(runner.pid()) + "\n");
}

TEST_CASE("a pid file that is something else is left alone") {
  refused_start home;
  write_file(home.path("pid"), "precious text\n");
  check_refused(home.run({"-http-addr", "127.0.0.1:0"}), home.path("pid"));
  CHECK(read_file(home.path("pid")) == "precious text\n");
  std::filesystem::remove(home.path("pid"));
  std::filesystem::create_symlink(home.path("elsewhere"), home.path("pid"));
  check_refused(home.run({"-http-addr", "127.0.0.1:0"}), home.path("pid"));
  CHECK_FALSE(std::filesystem::exists(home.path("elsewhere")));
}

TEST_CASE("the state directory is made for its owner alone") {
  test_daemon runner;
  runner.run_line("echo something");
  struct stat status {};
  REQUIRE(stat(runner.state_dir().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
  REQUIRE(stat((runner.state_dir() + "/task-runner.db").c_str(), &status) == 0);
  for (const auto* name : {"lock", "node-id", "task-runner.db", "launcher.sock", "launcher.pid", "output"})
    CHECK(std::filesystem::exists(runner.state_dir() + "/" + name));
}

TEST_CASE("flags are understood in all their forms, and win over the environment, that over the INI") {
  daemon_options options;
  options.ini = "[daemon]\nconcurrent = 2\nchannel-default = cron\n";
  options.environment = {{"TASK_RUNNER_CONCURRENT", "3"}, {"TASK_RUNNER_CHANNEL_DEFAULT", "biz"}};
  SECTION("-flag value") {
    options.flags = {"-concurrent", "4", "-task-mode", "-colorful-tty=false"};
  }
  SECTION("-flag=value") {
    options.flags = {"-concurrent=4", "-task-mode=true"};
  }
  SECTION("--flag value") {
    options.flags = {"--concurrent", "4", "--task-mode"};
  }
  SECTION("--flag=value") {
    options.flags = {"--concurrent=4", "--task-mode=true", "--colorful-tty"};
  }
  test_daemon runner(options);
  CHECK(runner.channel("default").at("worker") == 4);
  CHECK(runner.report().at("task_mode") == true);
  CHECK(runner.task(runner.push_line("echo here")).at("channel") == "biz");
}

TEST_CASE("help, version and check-config answer and end") {
  refused_start home;
  const auto help = home.run({"-help"});
  CHECK(help.end == process_end{true, 0});
  for (const auto* flag :
       {"channel-default", "concurrent", "http-addr", "pidfile", "redis-host", "task-mode", "drain-timeout"})
    CHECK(help.output.find(flag) != std::string::npos);
  CHECK(help.output.find("task-runner help lists the verbs") < 200);
  const auto version = home.run({"--version"});
  CHECK(version.end == process_end{true, 0});
  CHECK(version.output.find("task-runner ") == 0);
  const auto config = home.run({"-check-config", "-concurrent", "7", "-redis-password", "open-sesame"});
  CHECK(config.end == process_end{true, 0});
  CHECK(config.output.find("7") != std::string::npos);
  CHECK((config.output + config.error_output).find("open-sesame") == std::string::npos);
  CHECK_FALSE(std::filesystem::exists(home.path("state")));
}

TEST_CASE("deprecated flags work and are said once") {
  daemon_options options;
  options.flags = {"-host", "127.0.0.1:1", "-password", "open-sesame"};
  test_daemon runner(options);
  const auto log = runner.log();
  const auto count = [&](const std::string& text) {
    size_t found = 0;
    for (const auto& line : lines_of(log))
      found += line.find(text) != std::string::npos ? 1 : 0;
    return found;
  };
  CHECK(count("redis-host") == 1);
  CHECK(count("redis-password") == 1);
  CHECK(log.find("open-sesame") == std::string::npos);
}

TEST_CASE("the launcher leaves by itself when it is idle and alone") {
  test_daemon runner;
  runner.run_line("echo once");
  const auto launcher = runner.launcher_pid();
  REQUIRE(launcher > 0);
  CHECK(read_file("/proc/" + std::to_string(launcher) + "/comm") == "tr-launcher\n");
  CHECK(runner.stop() == process_end{true, 0});
  CHECK(wait_until([&] { return runner.processes().empty(); }, std::chrono::seconds(30)));
  CHECK_FALSE(std::filesystem::exists(runner.state_dir() + "/launcher.pid"));
  CHECK_FALSE(std::filesystem::exists(runner.state_dir() + "/launcher.sock"));
}
