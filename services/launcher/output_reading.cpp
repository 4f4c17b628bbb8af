// The queue of requests for output, and the thread that works through it.
#include "services/launcher/output_reading.hpp"

#include "services/launcher/output_file.hpp"

#include <algorithm>
#include <pthread.h>
#include <system_error>
#include <utility>

namespace task_runner {

namespace {

const error draining_error{error_code::draining, "the daemon is stopping and reads no more output"};

} // namespace

output_reading::output_reading(std::string state_dir, output_reading_limits limits)
    : state_dir_(std::move(state_dir))
    , limits_(limits) {
  // nop
}

output_reading::~output_reading() {
  stop();
}

result<void> output_reading::start() {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    return error{error_code::unavailable,
                 std::string("no thread for reading the output of tasks: ") + failure.what()};
  }
  return {};
}

void output_reading::stop() {
  std::deque<request> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(waiting_);
  }
  changed_.notify_all();
  for (auto& one : dropped)
    one.done(draining_error);
  if (thread_.joinable())
    thread_.join();
}

result<void> output_reading::read(attempt_key key, output_range wanted, output_completion done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_)
      return draining_error;
    if (waiting_.size() >= limits_.waiting_max)
      return error{error_code::overloaded, std::to_string(waiting_.size()) +
                                               " requests for output wait for the disk; try again shortly"};
    waiting_.push_back({std::move(key), wanted, std::move(done), steady::now()});
  }
  changed_.notify_one();
  return {};
}

result<output_piece> output_reading::perform(const request& wanted) const {
  if (steady::now() - wanted.asked_at > limits_.patience)
    return error{error_code::timeout, "the disk did not give the output in time; try again"};
  auto size = output_size(state_dir_, wanted.key);
  if (!size)
    return size.failure();
  const auto& range = wanted.range;
  const auto offset = range.from_end ? *size - std::min(*size, range.offset) : range.offset;
  auto bytes = read_output(state_dir_, wanted.key, offset, range.length_max);
  if (!bytes)
    return bytes.failure();
  // What was written between the two looks counts as well.
  const auto seen = bytes->empty() ? *size : std::max<uint64_t>(*size, offset + bytes->size());
  return output_piece{std::move(*bytes), offset, seen};
}

void output_reading::run() {
  ::pthread_setname_np(::pthread_self(), "tr-output");
  for (;;) {
    request next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_)
        return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next.done(perform(next));
  }
}

} // namespace task_runner
