// The daemon's side of the launcher as everybody else sees it: its beginning and end, requests, and the table
// of attempts. What happens on the client's own thread is in launcher_client_connection.cpp and
// launcher_client_attempts.cpp.
#include "services/launcher/launcher_client.hpp"

#include "services/launcher/attempt_codec.hpp"
#include "services/launcher/state_claim.hpp"

#include <fcntl.h>

namespace task_runner {
namespace {

/// Our own program is the one that this process began as, whatever has become of its file.
launcher::program_identity identify(const std::string& program) {
  if (program == "/proc/self/exe")
    return launcher::own_program();
  const launcher::owned_descriptor file(::open(program.c_str(), O_PATH | O_CLOEXEC));
  return launcher::identify_program(file.get());
}

} // namespace

std::string launcher_health::reason() const {
  if (connected)
    return trouble;
  return last_error.empty() ? "none is connected; one is being started" : last_error;
}

launcher_client::launcher_client(launcher_client_options options)
    : options_(std::move(options))
    , program_(identify(options_.program)) {}

launcher_client::~launcher_client() {
  stop();
}

result<void> launcher_client::start_service(process_events& events) {
  if (wake_.get() < 0 || cancel_.get() < 0)
    return error{error_code::unavailable, "cannot make an eventfd for the launcher's connection"};
  events_ = &events;
  thread_ = std::thread([this] { run(); });
  std::unique_lock<std::mutex> lock(mutex_);
  if (ready_changed_.wait_for(lock, std::chrono::milliseconds(options_.start_wait_ms),
                              [this] { return ready_once_; }))
    return {};
  const int pid = peer_ != 0 ? peer_ : launcher::claimed_by(options_.state_dir);
  const std::string reason =
      health_.last_error.empty() ? launcher::describe_silence(pid) : health_.last_error;
  lock.unlock();
  stop();
  return error{error_code::unavailable, "no launcher: " + reason};
}

void launcher_client::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  cancel_.wake();
  wake_.wake();
  if (thread_.joinable())
    thread_.join();
}

result<void> launcher_client::start(attempt_start request) {
  if (const result<void> checked = launcher::check_start(request); !checked)
    return checked.failure();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const result<void> taken = take_start(request); !taken)
      return taken.failure();
  }
  send_or_wake();
  return {};
}

result<void> launcher_client::take_start(attempt_start& request) {
  if (stopping_)
    return error{error_code::unavailable, "the connection to the launcher has been closed"};
  if (find(request.key) != nullptr)
    return {};
  if (queue_.size() >= options_.queue_max)
    return error{error_code::overloaded,
                 std::to_string(queue_.size()) + " requests wait for the launcher already; try again later"};
  known_attempt attempt;
  attempt.key = request.key;
  attempt.channel = request.channel;
  insert(attempt).queued = true;
  queue_.emplace_back(std::move(request));
  return {};
}

result<void> launcher_client::hand_over(const std::vector<attempt_key>& outcomes,
                                        std::deque<attempt_start>& requests) {
  // Before the lock is taken: it looks at every byte.
  result<void> checked;
  size_t sound = 0;
  while (sound < requests.size() && (checked = launcher::check_start(requests[sound])))
    ++sound;
  result<void> handed;
  bool send = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const attempt_key& key : outcomes)
      send = (take_outcome(key) && !settlements_expected_) || send;
    for (; sound > 0; --sound) {
      if (!(handed = take_start(requests.front())))
        break;
      requests.pop_front();
      send = true;
    }
  }
  if (send)
    send_or_wake();
  return handed ? checked : handed;
}

result<void> launcher_client::signal(const attempt_key& key, int signal_number) {
  if (signal_number < 1 || signal_number > 64)
    return error{error_code::out_of_range,
                 "a signal number is 1 to 64, not " + std::to_string(signal_number)};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_)
      return error{error_code::unavailable, "the connection to the launcher has been closed"};
    const attempt_entry* entry = find(key);
    if (entry == nullptr || entry->attempt.ended)
      return error{error_code::not_found,
                   "attempt " + std::to_string(key.attempt) + " of task " + key.task_id + " does not run"};
    if (queue_.size() >= options_.queue_max)
      return error{error_code::overloaded, std::to_string(queue_.size()) +
                                               " requests wait for the launcher already; try again later"};
    queue_.emplace_back(signal_order{key, signal_number});
  }
  send_or_wake();
  return {};
}

result<void> launcher_client::stop(const attempt_key& key, int64_t grace_ms) {
  if (grace_ms < 0 || grace_ms > grace_ms_max)
    return error{error_code::out_of_range,
                 "a grace is 0 ms to an hour, not " + std::to_string(grace_ms) + " ms"};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_)
      return error{error_code::unavailable, "the connection to the launcher has been closed"};
    attempt_entry* entry = find(key);
    if (entry == nullptr || entry->attempt.ended)
      return error{error_code::not_found,
                   "attempt " + std::to_string(key.attempt) + " of task " + key.task_id + " does not run"};
    if (entry->queued) {
      if (!entry->dropped)
        dropped_.push_back(key);
      entry->dropped = true;
      // Its end is told by the client's thread.
      wake_.wake();
      return {};
    }
    if (queue_.size() >= options_.queue_max) {
      return error{error_code::overloaded, std::to_string(queue_.size()) +
                                               " requests wait for the launcher already; try again later"};
    }
    queue_.emplace_back(stop_order{key, grace_ms});
  }
  send_or_wake();
  return {};
}

void launcher_client::settled(const attempt_key& key) {
  bool send = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    send = take_outcome(key) && !settlements_expected_;
  }
  if (send)
    send_or_wake();
}

bool launcher_client::take_outcome(const attempt_key& key) {
  const attempt_entry* entry = find(key);
  if (entry == nullptr || !entry->attempt.ended)
    return false;
  erase(key);
  // No bound of its own: there is at most one for each attempt that the launcher reported.
  enqueue_settlement(key);
  return true;
}

void launcher_client::enqueue_settlement(const attempt_key& key) {
  queue_.emplace_back(settle_order{key});
  ++settlements_;
}

uint64_t launcher_client::launcher_id() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return launcher_id_;
}

std::vector<known_attempt> launcher_client::known_attempts(const std::string& channel) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<known_attempt> attempts;
  const auto found = channels_.find(channel);
  if (found == channels_.end())
    return attempts;
  attempts.reserve(found->second.size());
  for (const auto& [key, entry] : found->second)
    attempts.push_back(entry.attempt);
  return attempts;
}

launcher_health launcher_client::health() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  launcher_health now = health_;
  now.running = live_;
  now.queued = queue_.size();
  return now;
}

launcher_client::attempt_entry* launcher_client::find(const attempt_key& key) {
  const auto channel = channel_of_.find(key);
  if (channel == channel_of_.end())
    return nullptr;
  return &channels_.at(channel->second).at(key);
}

launcher_client::attempt_entry& launcher_client::insert(const known_attempt& attempt) {
  channel_of_[attempt.key] = attempt.channel;
  attempt_entry& entry = channels_[attempt.channel][attempt.key];
  entry.attempt = attempt;
  if (!attempt.ended)
    ++live_;
  return entry;
}

void launcher_client::erase(const attempt_key& key) {
  const auto channel = channel_of_.find(key);
  const auto table = channels_.find(channel->second);
  table->second.erase(key);
  if (table->second.empty())
    channels_.erase(table);
  channel_of_.erase(channel);
}

void launcher_client::end_entry(attempt_entry& entry, const attempt_ended& end) {
  entry.attempt.ended = true;
  entry.attempt.end = end;
  entry.queued = false;
  --live_;
}

} // namespace task_runner
