// Deaths and restarts: of the daemon, of the launcher, of both; strangers and nonsense on the socket; many at
// once.
#include "services/launcher/output_file.hpp"
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/protocol.hpp"
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <random>
#include <set>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace task_runner;
using launcher_test::idle_descriptors_max;
using launcher_test::launcher_fixture;
using launcher_test::open_descriptors;
using launcher_test::read_file;
using launcher_test::wait_gone;
using launcher_test::write_file;

namespace {

/// A line that runs until the file exists, then exits with the code.
std::string until(const std::string& path, int code) {
  return "while [ ! -e " + path + " ]; do sleep 0.01; done; echo done; exit " + std::to_string(code);
}

const known_attempt* find(const std::vector<known_attempt>& all, const std::string& id) {
  for (const known_attempt& one : all)
    if (one.key.task_id == id)
      return &one;
  return nullptr;
}

/// Runs this program with other arguments and returns its wait status and what it wrote to stderr.
struct ran {
  int status = 0;
  std::string words;
};

ran run_self(std::vector<std::string> arguments) {
  const launcher_test::scratch_directory scratch;
  const std::string words_path = scratch.path() + "/stderr";
  arguments.insert(arguments.begin(), "test-launcher");
  std::vector<char*> argv;
  for (std::string& one : arguments)
    argv.push_back(one.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 2, words_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), ::environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ran done;
  REQUIRE(wait_gone(pid));
  REQUIRE(::waitpid(pid, &done.status, 0) == pid);
  done.words = read_file(words_path);
  return done;
}

launcher::owned_descriptor knock(const std::string& dir) {
  const auto directory = launcher::open_directory(dir);
  REQUIRE(directory);
  auto socket = launcher::connect_in(directory->get(), dir);
  REQUIRE(socket);
  return std::move(*socket);
}

/// The reason of the refusal that comes next; empty when the connection just closes.
std::string refusal(int socket) {
  pollfd wait{socket, POLLIN, 0};
  REQUIRE(::poll(&wait, 1, launcher_test::patience_ms) == 1);
  std::string bytes;
  std::vector<launcher::owned_descriptor> descriptors;
  if (launcher::receive_packet(socket, bytes, descriptors) != launcher::packet_status::done)
    return {};
  const auto decoded = launcher::decode(bytes);
  REQUIRE(decoded);
  return std::get<launcher::refused_message>(*decoded).reason;
}

} // namespace

TEST_CASE("the launcher is a process of its own name, session and signals", "[launcher]") {
  launcher_fixture fixture;
  const int pid = fixture.launcher_pid();
  REQUIRE(pid > 0);
  const std::string proc = "/proc/" + std::to_string(pid);
  CHECK(read_file(proc + "/comm") == "tr-launcher\n");
  CHECK(::getsid(pid) == pid);
  CHECK(std::filesystem::read_symlink(proc + "/fd/0") == "/dev/null");
  CHECK(std::filesystem::read_symlink(proc + "/fd/2") == "/dev/null");
  CHECK(fixture.client().health().launcher_pid == pid);
  CHECK(fixture.client().health().connected);
  for (const int number : {SIGINT, SIGTERM, SIGUSR2, SIGHUP, SIGPIPE})
    REQUIRE(::kill(pid, number) == 0);
  CHECK(fixture.run("still", "echo alive").how == outcome{outcome_kind::exited, 0, {}});
  CHECK(fixture.launcher_pid() == pid);
}

TEST_CASE("a second launcher on the same directory is refused", "[launcher]") {
  launcher_fixture fixture;
  const int pid = fixture.launcher_pid();
  const ran second = run_self({"--launcher", "--state-dir", fixture.dir()});
  CHECK(WEXITSTATUS(second.status) == 2);
  CHECK(second.words ==
        "task-runner --launcher: another launcher holds this state directory (see launcher.pid)\n");
  CHECK(fixture.launcher_pid() == pid);
  CHECK(fixture.run("still", "echo alive").how.succeeded());
  const ran nowhere = run_self({"--launcher", "--state-dir", fixture.dir() + "/nowhere"});
  CHECK(WEXITSTATUS(nowhere.status) == 1);
  CHECK(nowhere.words.find("cannot open the state directory") != std::string::npos);
}

TEST_CASE("a state directory with a long name works", "[launcher]") {
  launcher_fixture fixture({}, std::string(100, 'a') + "/" + std::string(100, 'b'));
  CHECK(fixture.run("long", "echo here").how.succeeded());
  CHECK(fixture.output("long") == "here\n");
}

TEST_CASE("a command survives its daemon, and the next one learns the truth", "[launcher][crash]") {
  launcher_fixture fixture;
  const int launcher_pid = fixture.launcher_pid();
  fixture.start("survivor", until(fixture.dir() + "/go", 42), "mail");
  fixture.start("quick", "exit 3", "mail");
  fixture.await("quick");
  const auto started = fixture.events().wait_started(fixture.key("survivor"));
  REQUIRE(started);
  CHECK(started->channel == "mail");

  fixture.next_daemon();
  CHECK(fixture.launcher_pid() == launcher_pid);
  std::vector<known_attempt> known = fixture.client().known_attempts("mail");
  REQUIRE(known.size() == 2);
  CHECK(find(known, "survivor")->pid == started->pid);
  CHECK(find(known, "survivor")->started_at_ms == started->started_at_ms);
  CHECK_FALSE(find(known, "survivor")->ended);
  REQUIRE(find(known, "quick")->ended);
  CHECK(find(known, "quick")->end.how == outcome{outcome_kind::exited, 3, {}});
  CHECK(fixture.client().known_attempts("default").empty());
  // What had ended before is in the list and is not told again.
  write_file(fixture.dir() + "/go", "go");
  CHECK(fixture.await("survivor").how == outcome{outcome_kind::exited, 42, {}});
  CHECK(fixture.events().times_ended(fixture.key("quick")) == 0);
  CHECK(fixture.output("survivor") == "done\n");

  // Not settled: the next daemon sees both ended; settled: the one after sees neither.
  fixture.next_daemon();
  known = fixture.client().known_attempts("mail");
  REQUIRE(known.size() == 2);
  CHECK(find(known, "survivor")->ended);
  fixture.client().settled(fixture.key("survivor"));
  fixture.client().settled(fixture.key("quick"));
  CHECK(fixture.client().known_attempts("mail").empty());
  fixture.next_daemon();
  CHECK(fixture.client().known_attempts("mail").empty());
}

TEST_CASE("a daemon killed with its command running", "[launcher][crash]") {
  launcher_fixture fixture;
  fixture.client().stop();
  REQUIRE(wait_gone(fixture.launcher_pid()));
  const ran doomed = run_self({"--doomed-daemon", fixture.dir(), until(fixture.dir() + "/go", 7)});
  REQUIRE(WIFSIGNALED(doomed.status));
  CHECK(WTERMSIG(doomed.status) == SIGKILL);
  fixture.next_daemon();
  const std::vector<known_attempt> known = fixture.client().known_attempts("default");
  REQUIRE(known.size() == 1);
  CHECK_FALSE(known[0].ended);
  write_file(fixture.dir() + "/go", "go");
  CHECK(fixture.await("orphaned").how == outcome{outcome_kind::exited, 7, {}});
  fixture.client().settled(fixture.key("orphaned"));
}

TEST_CASE("an outcome outlives daemon and launcher in the journal", "[launcher][crash]") {
  launcher_fixture fixture;
  fixture.start("kept", "echo x; exit 9");
  fixture.await("kept");
  const int first = fixture.launcher_pid();
  fixture.client().stop();
  // Nothing runs: the launcher leaves though the outcome is not settled.
  REQUIRE(wait_gone(first));
  write_file(fixture.dir() + "/launcher.journal",
             read_file(fixture.dir() + "/launcher.journal") + "torn record");
  fixture.next_daemon();
  CHECK(fixture.launcher_pid() != first);
  const std::vector<known_attempt> known = fixture.client().known_attempts("default");
  REQUIRE(known.size() == 1);
  CHECK(known[0].end.how == outcome{outcome_kind::exited, 9, {}});
  CHECK(known[0].end.output_bytes == 2);
  CHECK(read_file(fixture.dir() + "/launcher.log").find("cut 11 bytes") != std::string::npos);
  fixture.client().settled(fixture.key("kept"));
}

TEST_CASE("a launcher killed under a living daemon is replaced, its attempts are lost", "[launcher][crash]") {
  launcher_fixture fixture;
  fixture.start("victim", "exec sleep 300");
  fixture.start("ended", "exit 4");
  fixture.await("ended");
  const auto started = fixture.events().wait_started(fixture.key("victim"));
  REQUIRE(started);
  const int first = fixture.launcher_pid();
  REQUIRE(::kill(first, SIGKILL) == 0);
  CHECK(fixture.await("victim").how == outcome{outcome_kind::lost, 0, {}});
  CHECK(fixture.events().times_ended(fixture.key("ended")) == 1);
  CHECK(fixture.run("next", "echo again").how.succeeded());
  CHECK(fixture.launcher_pid() != first);
  const launcher_health health = fixture.client().health();
  CHECK(health.connected);
  CHECK(health.restarts == 1);
  CHECK(health.last_error.empty());
  CHECK(fixture.client().known_attempts("default").size() == 2);
  fixture.client().settled(fixture.key("victim"));
  fixture.client().settled(fixture.key("ended"));
  // It must not run beside the attempt that may follow.
  CHECK(read_file(fixture.dir() + "/launcher.log").find("what is left of them is killed") !=
        std::string::npos);
  CHECK(wait_gone(started->pid));
  fixture.next_daemon();
  CHECK(fixture.client().known_attempts("default").empty());
}

TEST_CASE("daemon and launcher both killed: the next daemon hears lost", "[launcher][crash]") {
  launcher_fixture fixture;
  fixture.start("victim", "exec sleep 300");
  const auto started = fixture.events().wait_started(fixture.key("victim"));
  REQUIRE(started);
  fixture.client().stop();
  const int first = fixture.launcher_pid();
  REQUIRE(::kill(first, SIGKILL) == 0);
  REQUIRE(wait_gone(first));
  CHECK(std::filesystem::exists(fixture.dir() + "/launcher.sock"));
  fixture.next_daemon();
  const std::vector<known_attempt> known = fixture.client().known_attempts("default");
  REQUIRE(known.size() == 1);
  REQUIRE(known[0].ended);
  CHECK(known[0].end.how.kind == outcome_kind::lost);
  CHECK(known[0].started_at_ms == started->started_at_ms);
  CHECK(wait_gone(started->pid));
  fixture.client().settled(fixture.key("victim"));
}

TEST_CASE("requests made while no launcher can be started wait for one", "[launcher][crash]") {
  const launcher_test::scratch_directory scratch;
  launcher_test::recorder events;
  launcher_client_options options;
  options.state_dir = scratch.path();
  options.launcher_binary = scratch.path() + "/launcher";
  options.launcher_arguments = {"--idle-grace-ms", "100"};
  options.start_wait_ms = 300;
  options.queue_max = 2;
  {
    launcher_client client(options);
    const result<void> started = client.start_service(events);
    REQUIRE_FALSE(started);
    CHECK(started.failure().code == error_code::unavailable);
    CHECK(started.failure().message == "no launcher: cannot start the launcher: " + scratch.path() +
                                           "/launcher: No such file or directory");
    attempt_start wanted;
    wanted.key = {"a", 1};
    wanted.channel = "default";
    wanted.line = "true";
    CHECK(client.start(wanted).failure().code == error_code::unavailable);
  }
  options.start_wait_ms = launcher_test::patience_ms;
  launcher_client client(options);
  for (const char* id : {"a", "b", "c"}) {
    attempt_start wanted;
    wanted.key = {id, 1};
    wanted.channel = "default";
    wanted.line = "true";
    const result<void> queued = client.start(wanted);
    CHECK(static_cast<bool>(queued) == (std::string(id) != "c"));
    if (!queued)
      CHECK(queued.failure().code == error_code::overloaded);
  }
  // The binary appears while the client retries.
  std::filesystem::create_symlink(std::filesystem::read_symlink("/proc/self/exe"), options.launcher_binary);
  REQUIRE(client.start_service(events));
  CHECK(events.wait_ended_count(2));
  const int pid = client.health().launcher_pid;
  client.stop();
  CHECK(wait_gone(pid));
}

TEST_CASE("garbage and strangers on the socket do no harm", "[launcher]") {
  launcher_fixture fixture;
  const int pid = fixture.launcher_pid();
  fixture.start("steady", until(fixture.dir() + "/go", 0));
  REQUIRE(fixture.events().wait_started(fixture.key("steady")));
  using launcher::send_packet;

  for (const std::string& garbage : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(60'000, '\xff'),
                                     launcher::encode(launcher::ready_message{})}) {
    const auto socket = knock(fixture.dir());
    REQUIRE(send_packet(socket.get(), garbage) == launcher::packet_status::done);
    CHECK_FALSE(refusal(socket.get()).empty());
  }
  {
    const auto socket = knock(fixture.dir());
    REQUIRE(send_packet(socket.get(), std::string(70'000, 'x')) == launcher::packet_status::done);
    CHECK(refusal(socket.get()) == "a packet was too long or carried too many descriptors");
  }
  {
    const auto socket = knock(fixture.dir());
    launcher::hello_message future;
    future.version_min = 40;
    future.version_max = 41;
    REQUIRE(send_packet(socket.get(), launcher::encode(future)) == launcher::packet_status::done);
    CHECK(refusal(socket.get()).find("no common version: the daemon speaks 40 to 41") == 0);
  }
  {
    const auto socket = knock(fixture.dir());
    REQUIRE(send_packet(socket.get(), launcher::encode(launcher::hello_message{})) ==
            launcher::packet_status::done);
    CHECK(refusal(socket.get()).find("two descriptors") != std::string::npos);
  }
  std::mt19937 random(4'711);
  for (int round = 0; round < 50; ++round) {
    const auto socket = knock(fixture.dir());
    std::string bytes = launcher::encode(launcher::hello_message{});
    bytes[random() % bytes.size()] = static_cast<char>(random() & 0xffU);
    REQUIRE(send_packet(socket.get(), bytes, {0, 1}) == launcher::packet_status::done);
    refusal(socket.get());
  }
  // More silent strangers than allowed: the surplus is closed, the daemon is served.
  std::vector<launcher::owned_descriptor> silent;
  for (int i = 0; i < 30; ++i)
    silent.push_back(knock(fixture.dir()));
  CHECK(fixture.run("served", "echo yes").how.succeeded());
  silent.clear();

  CHECK(fixture.launcher_pid() == pid);
  CHECK(fixture.client().health().restarts == 0);
  CHECK(fixture.events().times_ended(fixture.key("steady")) == 0);
  write_file(fixture.dir() + "/go", "go");
  CHECK(fixture.await("steady").how.succeeded());
  fixture.client().settled(fixture.key("steady"));
}

TEST_CASE("a newer daemon takes over from an older one", "[launcher]") {
  launcher_fixture fixture;
  fixture.start("shared", until(fixture.dir() + "/go", 5));
  REQUIRE(fixture.events().wait_started(fixture.key("shared")));
  {
    launcher_test::recorder events;
    launcher_client newer(fixture.options());
    REQUIRE(newer.start_service(events));
    REQUIRE(newer.known_attempts("default").size() == 1);
    newer.stop();
  }
  // The older one comes back by itself and has missed nothing.
  write_file(fixture.dir() + "/go", "go");
  CHECK(fixture.await("shared").how == outcome{outcome_kind::exited, 5, {}});
  CHECK(fixture.events().times_ended(fixture.key("shared")) == 1);
  fixture.client().settled(fixture.key("shared"));
}

TEST_CASE("two hundred commands at once", "[launcher][many]") {
  launcher_fixture fixture;
  constexpr int count = 200;
  for (int i = 0; i < count; ++i)
    fixture.start("c" + std::to_string(i), "echo begin; while [ ! -e " + fixture.dir() +
                                               "/go ]; do sleep 0.1; done; echo out " + std::to_string(i) +
                                               "; echo err >&2; exit " + std::to_string(i));
  for (int i = 0; i < count; ++i) {
    const std::string id = "c" + std::to_string(i);
    REQUIRE(fixture.events().wait_started(fixture.key(id)));
    REQUIRE(task_runner::test::wait_until([&] { return fixture.output(id) == "begin\n"; }));
  }
  // Process and pipe; the files of what was written are closed when too many are open.
  constexpr int open_outputs_max = 64;
  CHECK(open_descriptors(fixture.launcher_pid()) < idle_descriptors_max + 2 * count + open_outputs_max);
  CHECK(fixture.client().health().running == count);
  write_file(fixture.dir() + "/go", "go");
  REQUIRE(fixture.events().wait_ended_count(count));
  for (int i = 0; i < count; ++i) {
    const std::string id = "c" + std::to_string(i);
    CHECK(fixture.await(id).how == outcome{outcome_kind::exited, i, {}});
    CHECK(fixture.output(id) == "begin\nout " + std::to_string(i) + "\nerr\n");
    fixture.client().settled(fixture.key(id));
  }
  CHECK(fixture.client().health().running == 0);
  // Descriptors: what remains open is the launcher's own.
  fixture.run("fence", "true");
  CHECK(open_descriptors(fixture.launcher_pid()) < idle_descriptors_max);
}

TEST_CASE("two thousand short commands, sixteen at a time", "[launcher][many]") {
  launcher_fixture fixture;
  constexpr size_t count = 2'000;
  constexpr size_t concurrency = 16;
  const auto began = std::chrono::steady_clock::now();
  size_t started = 0;
  while (fixture.events().ended_count() < count) {
    while (started < count && started < fixture.events().ended_count() + concurrency)
      fixture.start("n" + std::to_string(started++), "/bin/true");
    REQUIRE(fixture.events().wait_ended_count(std::min(count, fixture.events().ended_count() + 1)));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const std::string status = read_file("/proc/" + std::to_string(fixture.launcher_pid()) + "/status");
  const std::string rss =
      status.substr(status.find("VmRSS:"), status.find('\n', status.find("VmRSS:")) - status.find("VmRSS:"));
  std::printf("2000 x /bin/true, 16 at a time: %.0f commands/s; launcher %s\n",
              static_cast<double>(count) / seconds, rss.c_str());
  for (size_t i = 0; i < count; ++i) {
    CHECK(fixture.await("n" + std::to_string(i)).how.succeeded());
    fixture.client().settled(fixture.key("n" + std::to_string(i)));
  }
  fixture.run("fence", "true");
  fixture.next_daemon();
  CHECK(fixture.client().known_attempts("default").empty());
}

TEST_CASE("an idle launcher does not wake up", "[launcher]") {
  launcher_fixture fixture;
  fixture.start("hold", until(fixture.dir() + "/go", 0));
  REQUIRE(fixture.events().wait_started(fixture.key("hold")));
  fixture.run("warm", "echo x");
  const std::string path = "/proc/" + std::to_string(fixture.launcher_pid()) + "/status";
  const auto switches = [&path] {
    const std::string status = read_file(path);
    const std::string name = "\nvoluntary_ctxt_switches:";
    return std::stoll(status.substr(status.find(name) + name.size()));
  };
  // The look for orphans after "warm" is the last thing it has to do; the waits end early only if it dies.
  REQUIRE_FALSE(wait_gone(fixture.launcher_pid(), 300));
  const long long before = switches();
  REQUIRE_FALSE(wait_gone(fixture.launcher_pid(), 1'000));
  // "hold" sleeps in a shell of its own; none of its children's ends reach the launcher.
  CHECK(switches() - before <= 1);
  write_file(fixture.dir() + "/go", "go");
  CHECK(fixture.await("hold").how.succeeded());
  fixture.client().settled(fixture.key("hold"));
}
