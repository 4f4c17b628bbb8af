// Helpers of the launcher's tests; see launcher_support.hpp.
#include "test/service/launcher_support.hpp"

#include "services/launcher/output_file.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace launcher_test {

using namespace task_runner;

scratch_directory::scratch_directory()
    : scratch_directory(std::string()) {}

scratch_directory::scratch_directory(const std::string& below) {
  std::string name = "/tmp/tr-launcher-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("mkdtemp failed");
  remove_ = name;
  path_ = below.empty() ? name : name + "/" + below;
  std::filesystem::create_directories(path_);
}

scratch_directory::~scratch_directory() {
  std::error_code ignored;
  for (int tries = 0; tries < 3 && std::filesystem::exists(remove_, ignored); ++tries)
    std::filesystem::remove_all(remove_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text, int mode) {
  std::ofstream(path, std::ios::binary) << text;
  ::chmod(path.c_str(), static_cast<mode_t>(mode));
}

int open_descriptors(int pid) {
  const std::filesystem::directory_iterator open("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<int>(std::distance(begin(open), end(open)));
}

bool wait_gone(int pid, int timeout_ms) {
  const launcher::owned_descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process)
    return true;
  pollfd wait{process.get(), POLLIN, 0};
  return ::poll(&wait, 1, timeout_ms) == 1;
}

namespace {

/// Asks again and again until the answer is yes; there is no descriptor to wait on for these questions.
template <class Question>
bool poll_until(Question question, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  do {
    if (question())
      return true;
    ::poll(nullptr, 0, 5);
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

} // namespace

bool wait_comm(int pid, const std::string& name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/comm";
  return poll_until([&] { return read_file(path) == name + "\n"; }, patience_ms);
}

bool wait_file(const std::string& path, int timeout_ms) {
  return poll_until(
      [&] {
        struct stat facts {};
        return ::stat(path.c_str(), &facts) == 0 && facts.st_size > 0;
      },
      timeout_ms);
}

void recorder::on_started(const attempt_started& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  started_[event.key] = event;
  changed_.notify_all();
}

void recorder::on_ended(const attempt_ended& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_[event.key].push_back(event);
  ++ended_count_;
  changed_.notify_all();
}

std::optional<attempt_started> recorder::wait_started(const attempt_key& key) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
                         [&] { return started_.count(key) != 0; }))
    return std::nullopt;
  return started_.at(key);
}

std::optional<attempt_ended> recorder::wait_ended(const attempt_key& key) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
                         [&] { return ended_.count(key) != 0; }))
    return std::nullopt;
  return ended_.at(key).front();
}

bool recorder::wait_ended_count(size_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(3 * patience_ms),
                           [&] { return ended_count_ >= count; });
}

size_t recorder::ended_count() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ended_count_;
}

size_t recorder::times_ended(const attempt_key& key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = ended_.find(key);
  return found == ended_.end() ? 0 : found->second.size();
}

launcher_fixture::launcher_fixture(std::vector<std::string> arguments, const std::string& below,
                                   std::string binary)
    : directory_(below)
    , arguments_(std::move(arguments))
    , binary_(std::move(binary)) {
  arguments_.insert(arguments_.end(), {"--idle-grace-ms", "300"});
  next_daemon();
}

launcher_fixture::~launcher_fixture() {
  if (client_) {
    // A test that failed half-way must not leave its commands behind.
    for (const std::string& channel : channels_)
      for (const known_attempt& one : client_->known_attempts(channel))
        if (!one.ended)
          CHECK(client_->signal(one.key, SIGKILL));
    client_->stop();
  }
  const int pid = launcher_pid();
  if (pid != 0)
    CHECK(wait_gone(pid));
  CHECK_FALSE(std::filesystem::exists(dir() + "/launcher.sock"));
  CHECK_FALSE(std::filesystem::exists(dir() + "/launcher.pid"));
}

launcher_client_options launcher_fixture::options() const {
  launcher_client_options options;
  options.state_dir = dir();
  options.launcher_arguments = arguments_;
  options.launcher_binary = binary_;
  options.start_wait_ms = patience_ms;
  return options;
}

void launcher_fixture::next_daemon() {
  next_daemon("/proc/self/exe");
}

void launcher_fixture::next_daemon(const std::string& program) {
  next_daemon_with([&program](launcher_client_options& wanted) { wanted.program = program; });
}

void launcher_fixture::next_daemon_with(const std::function<void(launcher_client_options&)>& change) {
  client_.reset();
  events_ = std::make_unique<recorder>();
  launcher_client_options wanted = options();
  change(wanted);
  client_ = std::make_unique<launcher_client>(wanted);
  const result<void> started = client_->start_service(*events_);
  INFO((started ? std::string() : started.failure().message));
  REQUIRE(started);
}

int launcher_fixture::launcher_pid() const {
  const std::string text = read_file(dir() + "/launcher.pid");
  return text.empty() ? 0 : std::stoi(text);
}

void launcher_fixture::start(const std::string& id, const std::string& line, const std::string& channel) {
  attempt_start wanted;
  wanted.key = key(id);
  wanted.channel = channel;
  wanted.line = line;
  channels_.insert(channel);
  const result<void> started = client_->start(std::move(wanted));
  INFO((started ? std::string() : started.failure().message));
  REQUIRE(started);
}

void launcher_fixture::start_argv(const std::string& id, const std::vector<std::string>& argv) {
  attempt_start wanted;
  wanted.key = key(id);
  wanted.channel = "default";
  wanted.argv = argv;
  const result<void> started = client_->start(std::move(wanted));
  REQUIRE(started);
}

attempt_ended launcher_fixture::await(const std::string& id) {
  std::optional<attempt_ended> end = events_->wait_ended(key(id));
  INFO("waiting for " << id);
  REQUIRE(end);
  return std::move(*end);
}

attempt_ended launcher_fixture::run(const std::string& id, const std::string& line) {
  start(id, line);
  attempt_ended end = await(id);
  client_->settled(key(id));
  return end;
}

std::string launcher_fixture::output(const std::string& id) const {
  const result<std::string> text = read_output(dir(), key(id), 0, 16'000'000);
  REQUIRE(text);
  return *text;
}

std::string copy_of_self(const std::string& directory, const std::string& name) {
  std::string path = directory + "/" + name;
  std::filesystem::copy_file("/proc/self/exe", path);
  return path;
}

std::string program_of(int pid) {
  return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe").string();
}

bool settles_on(launcher_fixture& fixture, uint32_t upgrades) {
  return poll_until(
      [&] {
        const launcher_health health = fixture.client().health();
        return health.connected && health.upgrades == upgrades;
      },
      patience_ms);
}

void settle_ended(launcher_fixture& fixture) {
  for (const known_attempt& one : fixture.client().known_attempts("default"))
    if (one.ended)
      fixture.client().settled(one.key);
}

} // namespace launcher_test
