// Too few descriptors, processes, threads or too little memory, under the real daemon.
// What cannot work is refused at the start in one line; what runs short later waits and goes on.
#include "test/e2e/faults_support.hpp"
#include "test/e2e/gate.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace task_runner::test;

namespace {

/// Connections that are opened and then say nothing.
class idle_connections {
public:
  idle_connections(uint16_t port, int count) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; ++i) {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        descriptors_.push_back(fd);
      else
        close(fd);
    }
  }
  ~idle_connections() { leave(); }
  idle_connections(const idle_connections&) = delete;
  idle_connections& operator=(const idle_connections&) = delete;

  size_t size() const { return descriptors_.size(); }
  void leave() {
    for (const int fd : descriptors_)
      close(fd);
    descriptors_.clear();
  }

private:
  std::vector<int> descriptors_;
};

/// One line on stderr, code 1, and nothing left behind.
void check_given_up(test_daemon& runner, const std::string& limit, const std::string& says) {
  auto start = runner.start_options();
  const auto wrapper = with_limit(limit);
  start.argv.insert(start.argv.begin(), wrapper.begin(), wrapper.end());
  const auto ran = run_process(start, std::chrono::seconds(30));
  INFO("ulimit " << limit << ": " << ran.error_output);
  CHECK(ran.end == process_end{true, 1});
  CHECK(lines_of(ran.error_output).size() == 1);
  CHECK(ran.error_output.find("task-runner: ") == 0);
  CHECK(ran.error_output.find(says) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(runner.pid_file()));
}

/// A user whom nobody else is: the limit on processes counts all that a user has.
constexpr const char* lonely_user = "54321";

} // namespace

TEST_CASE("fault: a start without memory or threads ends in one line with code 1 and leaves no pid file") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  TR_SKIP("a sanitizer needs terabytes of addresses");
#else
  test_daemon runner;
  CHECK(runner.stop() == process_end{true, 0});
  // With less the loader itself gives up: it maps the libraries before there is a program.
  for (const int kib : {45'000, 60'000, 80'000, 100'000})
    check_given_up(runner, "-v " + std::to_string(kib), "limits on");
  // From here on it may or may not be enough; whatever it is, the end is an orderly one.
  for (int kib = 110'000; kib <= 240'000; kib += 10'000) {
    wrapped_daemon limited(runner, with_limit("-v " + std::to_string(kib)));
    const bool serves = limited.serves();
    INFO("ulimit -v " << kib << ": " << limited.child().error_output());
    if (serves) {
      const auto id = push_over(limited.http(), "echo enough");
      CHECK(wait_until(
          [&] { return limited.http().get("/api/v1/tasks/" + id + "/output").body == "enough\n"; }));
      CHECK(limited.stop() == process_end{true, 0});
    } else {
      const auto end = limited.child().wait();
      REQUIRE(end);
      CHECK(*end == process_end{true, 1});
    }
    CHECK_FALSE(std::filesystem::exists(runner.pid_file()));
  }
  runner.start();
  CHECK(runner.run_line("echo as before") == "as before\n");
#endif
}

TEST_CASE("fault: too few open files are refused at the start, in one line") {
  test_daemon runner;
  CHECK(runner.stop() == process_end{true, 0});
  for (const int files : {20, 40, 90})
    check_given_up(runner, "-n " + std::to_string(files), "ulimit -n");
}

TEST_CASE("fault: idle connections that use up all descriptors do not stop the daemon's work") {
  test_daemon runner;
  CHECK(runner.stop() == process_end{true, 0});
  wrapped_daemon limited(runner, with_limit("-n 96"));
  REQUIRE(limited.serves());
  idle_connections idle(limited.port(), 400);
  REQUIRE(idle.size() > 100);
  const auto before = used_ticks(limited.child().pid());
  const auto began = std::chrono::steady_clock::now();
  // The connection that was there first goes on being served, and commands run.
  for (int i = 0; i < 20; ++i) {
    const auto id = push_over(limited.http(), "echo " + std::to_string(i));
    CHECK(wait_until([&] {
      return limited.http().get("/api/v1/tasks/" + id + "/output").body == std::to_string(i) + "\n";
    }));
  }
  REQUIRE(wait_until([&] { return std::chrono::steady_clock::now() - began > std::chrono::seconds(1); }));
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  // A server that asks again and again for a descriptor that it does not get burns a whole core.
  const auto used = static_cast<double>(used_ticks(limited.child().pid()) - before) /
                    static_cast<double>(sysconf(_SC_CLK_TCK));
  CHECK(used < 0.5 * took);
  idle.leave();
  http_client late(limited.port());
  REQUIRE(wait_until([&] {
    try {
      return late.get("/").status == 200;
    } catch (const std::exception&) {
      return false; // refused for the number of connections, a moment ago
    }
  }));
  CHECK(limited.stop() == process_end{true, 0});
}

TEST_CASE("fault: a launcher with few descriptors runs everything, some of it later") {
  test_daemon runner;
  stop_whole(runner);
  wrapped_daemon limited(runner, with_limit("-n 96")); // both limits, the soft and the hard one
  REQUIRE(limited.serves());
  REQUIRE(limited.http().post_form("/queue", {{"name", "wide"}, {"worker", "80"}}).status == 200);
  const auto ran = runner.path("ran");
  const gate end(runner.path("gate"));
  std::vector<std::string> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(push_over(
        limited.http(), end.wait_line() + "; " + append_line(std::to_string(i), ran) + "; exit 5", "wide"));
  // More than its descriptors allow are asked of it, and it runs as many as it can.
  REQUIRE(wait_until([&] { return runner.commands().size() >= 5; }));
  // The others wait in their queue, where they count as waiting and can expire, and not in line at the
  // launcher.
  const auto daemon = [&] { return limited.http().get("/status").json().at("daemon"); };
  const auto wide = [&] { return limited.http().get("/status?channel=wide").json().at("data"); };
  CHECK(wide().at("running") <= daemon().at("launcher").at("running_max"));
  REQUIRE(
      limited.http()
          .post_form(
              "/push",
              {{"task", append_line("late", ran)}, {"channel", "wide"}, {"id", "late"}, {"expires_s", "0.2"}})
          .status == 200);
  CHECK(wait_until(
      [&] { return limited.http().get("/api/v1/tasks/late").json().at("data").at("state") == "cancelled"; }));
  end.open();
  REQUIRE(wait_lines(ran, ids.size(), healing_deadline));
  for (const auto& id : ids) {
    const auto outcome = [&] {
      return limited.http().get("/api/v1/tasks/" + id).json().at("data").at("outcome");
    };
    REQUIRE(wait_until([&] { return !outcome().is_null(); }));
    CHECK(outcome() == nlohmann::json{{"kind", "exited"}, {"code", 5}});
  }
  CHECK(count_lines(ran).size() == ids.size());
  CHECK(limited.stop() == process_end{true, 0});
}

TEST_CASE("fault: more workers than the launcher can run are told at the start and after a change") {
  const std::string says = "more workers than the launcher can run";
  test_daemon runner;
  CHECK(runner.log().find(says) == std::string::npos);
  CHECK(runner.report().at("launcher").at("enough_for_workers") == true);
  stop_whole(runner);
  runner.options().ini = "[channel.wide]\nworker = 200\n";
  wrapped_daemon limited(runner, with_limit("-n 256"));
  REQUIRE(limited.serves());
  const auto launcher = [&] { return limited.http().get("/status").json().at("daemon").at("launcher"); };
  const auto room = launcher().at("running_max").get<int>();
  INFO("room for " << room << " commands");
  REQUIRE(room < 200);
  CHECK(launcher().at("enough_for_workers") == false);
  const auto warnings = [&] {
    std::vector<std::string> found;
    for (const auto& line : lines_of(limited.child().error_output()))
      if (line.find(says) != std::string::npos)
        found.push_back(line);
    return found;
  };
  REQUIRE(warnings().size() == 1); // the three first channels have 15
  CHECK(warnings().front().find("workers=215") != std::string::npos);
  CHECK(warnings().front().find("running_max=" + std::to_string(room)) != std::string::npos);
  CHECK(warnings().front().find("open files") != std::string::npos);
  // Again when there are yet more, and not when there are fewer.
  http_client& http = limited.http();
  const name_values type{{"Content-Type", "application/json"}};
  const std::string path = "/api/v1/channels/wide";
  CHECK(http.send("PATCH", path, type, R"({"worker":201})").status == 200);
  CHECK(wait_until([&] { return warnings().size() == 2; }));
  CHECK(http.send("PATCH", path, type, R"({"worker":150})").status == 200);
  CHECK(http.send("PATCH", path, type, R"({"worker":1})").status == 200);
  CHECK(launcher().at("enough_for_workers") == true);
  CHECK(warnings().size() == 2);
  CHECK(limited.stop() == process_end{true, 0});
}

TEST_CASE("fault: where the system refuses a fork, attempts wait and run later") {
  if (geteuid() != 0) {
    TR_SKIP("only root can become a user whom nobody else is");
    return;
  }
  test_daemon runner;
  stop_whole(runner);
  // Where the binary was built that user may be let in no directory.
  const auto binary = runner.path("task-runner");
  std::filesystem::copy_file(task_runner_binary(), binary);
  REQUIRE(run_process(program({"chown", "-R", lonely_user, runner.home()})).end == process_end{true, 0});
  // Thirty: some twelve threads and the launcher, and what is left for commands.
  wrapped_daemon limited(runner, {"setpriv", std::string("--reuid=") + lonely_user,
                                  std::string("--regid=") + lonely_user, "--clear-groups", "bash", "-c",
                                  R"(ulimit -u 30 && shift && exec )" + binary + R"( "$@")", "limited"});
  const bool serves = limited.serves();
  INFO(limited.child().error_output());
  REQUIRE(serves);
  REQUIRE(limited.http().post_form("/queue", {{"name", "wide"}, {"worker", "40"}}).status == 200);
  const auto ran = runner.path("ran");
  const auto fifo = runner.path("fifo");
  REQUIRE(run_process(program({"mkfifo", "-m", "666", fifo})).end == process_end{true, 0});
  // Each waits within the shell itself, so that it is one process and no more.
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i)
    ids.push_back(push_over(limited.http(),
                            "read word < " + fifo + "; " + append_line("$word", ran) + "; exit 5", "wide"));
  // As many run as there may be processes; the others wait for one.
  REQUIRE(wait_until([&] { return runner.commands().size() >= 5; }));
  {
    const process feeder(
        program({"bash", "-c", "exec 3<>" + fifo + "; for i in $(seq 40); do echo $i >&3; done; sleep 60"}));
    REQUIRE(wait_lines(ran, ids.size(), healing_deadline));
  }
  for (const auto& id : ids) {
    nlohmann::json outcome;
    CHECK(wait_until([&] {
      outcome = limited.http().get("/api/v1/tasks/" + id).json().at("data").at("outcome");
      return !outcome.is_null();
    }));
    CHECK(outcome == nlohmann::json{{"kind", "exited"}, {"code", 5}});
  }
  CHECK(limited.stop() == process_end{true, 0});
}
