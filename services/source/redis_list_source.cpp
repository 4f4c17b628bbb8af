// Checks the settings and owns the thread; the work is done in redis_intake_loop.
#include "services/source/redis_list_source.hpp"

#include "services/domain/names.hpp"
#include "services/source/redis_intake_loop.hpp"

#include <csignal>
#include <mutex>
#include <pthread.h>
#include <set>
#include <system_error>
#include <thread>

namespace task_runner {

namespace {

constexpr size_t keys_max = 16;
constexpr size_t key_length_max = 512;

error out_of_limits(const std::string& what) {
  return error{error_code::invalid_argument, what};
}

result<void> check_options(const redis_source_options& options) {
  if (options.keys.empty() || options.keys.size() > keys_max)
    return out_of_limits("give 1 to " + std::to_string(keys_max) + " intake keys");
  for (const auto& key : options.keys) {
    if (key.empty() || key.size() > key_length_max)
      return out_of_limits("an intake key must have 1 to " + std::to_string(key_length_max) + " bytes");
    if (key == options.rejected_key)
      return out_of_limits("the intake key " + key + " is the list of rejected messages; give another one");
  }
  if (std::set<std::string>(options.keys.begin(), options.keys.end()).size() != options.keys.size())
    return out_of_limits("an intake key is given twice; give each once");
  if (!is_valid_name(options.node_id))
    return out_of_limits("the node id must be 1 to 128 of A-Z a-z 0-9 . _ : -");
  if (options.batch_max < 1 || options.batch_max > 5'000)
    return out_of_limits("a batch must have 1 to 5000 messages");
  if (options.batches_in_flight_max < 1 || options.batches_in_flight_max > 64)
    return out_of_limits("1 to 64 batches may be in flight");
  if (!is_valid_name(options.channel_default))
    return out_of_limits("the default channel must be 1 to 128 of A-Z a-z 0-9 . _ : -");
  if (options.parked_max < 1 || options.parked_bytes_max < 1)
    return out_of_limits("at least one message, and one byte, must be allowed to be parked");
  if (options.rejected_key.empty() || options.rejected_max < 1)
    return out_of_limits("rejected messages need a list, and room for at least one");
  if (options.batch_bytes_max < 1 || options.message_bytes_max < 1)
    return out_of_limits("the limits of bytes must be at least 1");
  if (options.backoff_min_ms < 1 || options.backoff_max_ms < options.backoff_min_ms ||
      options.backoff_max_ms > 3'600'000)
    return out_of_limits("the backoff must grow from at least 1 ms to at most an hour");
  if (options.block_s < 1 || options.block_s > 60)
    return out_of_limits("Redis may hold back an answer for 1 to 60 seconds");
  if (options.leftover_check_ms < 1)
    return out_of_limits("the check for left lists must be at least 1 ms away");
  return {};
}

/// Signals are for the threads that wait for them; SIGPIPE of a lost connection then shows as EPIPE.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
    sigdelset(&all, fault);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

} // namespace

/// The thread and what it works on.
class redis_list_source::running {
public:
  running(const redis_source_options& options, push_sink& sink, intake_journal& journal)
      : report_("redis", "redis")
      , loop_(options, sink, journal, report_, stop_) {}

  result<void> start() {
    std::lock_guard<std::mutex> guard(mutex_);
    if (started_)
      return error{error_code::conflict, "the Redis intake was started before; make a new one"};
    try {
      thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "tr-redis");
        block_signals();
        loop_.run();
      });
    } catch (const std::system_error& failure) {
      return error{error_code::unavailable, std::string("no thread for the Redis intake: ") + failure.what()};
    }
    started_ = true;
    return {};
  }

  void stop() {
    std::lock_guard<std::mutex> guard(mutex_);
    started_ = true; // a start after this comes too late
    stop_.set();
    if (thread_.joinable())
      thread_.join();
  }

  source_status status() const { return report_.snapshot(); }

private:
  std::mutex mutex_;
  bool started_ = false;
  wake_event stop_;
  source_report report_;
  redis_intake_loop loop_;
  std::thread thread_;
};

redis_list_source::redis_list_source(redis_source_options options, push_sink& sink, intake_journal& journal)
    : options_(std::move(options))
    , running_(std::make_unique<running>(options_, sink, journal)) {}

redis_list_source::~redis_list_source() {
  stop();
}

result<void> redis_list_source::start() {
  if (auto ok = check_options(options_); !ok)
    return ok;
  return running_->start();
}

void redis_list_source::stop() {
  running_->stop();
}

source_status redis_list_source::status() const {
  return running_->status();
}

} // namespace task_runner
