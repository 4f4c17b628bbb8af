// A timerfd that is cancelled when the wall clock is set, and an eventfd that ends the wait.
#include "services/os/clock_watch.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace task_runner {

namespace {

constexpr const char* boot_id_file = "/proc/sys/kernel/random/boot_id";
/// The timer's moment, never to be reached: the year 2200, in seconds since the epoch.
constexpr time_t far_away_s = 7'258'118'400;
/// Should the kernel refuse to arm the timer, the clock is looked at this often instead.
constexpr int fallback_ms = 60'000;
/// Pause before a step that could not be dealt with is told again.
constexpr int retry_ms = 5'000;

int64_t read_ms(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

void swallow(int number) noexcept {
  uint64_t count = 0;
  while (::read(number, &count, sizeof count) < 0 && errno == EINTR)
    continue;
}

} // namespace

result<clock_mark> read_clock_mark() {
  const descriptor file(::open(boot_id_file, O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t count = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (count <= 0)
    return error{error_code::internal, std::string("cannot read ") + boot_id_file + " (" +
                                           std::strerror(errno) +
                                           "); delays do not follow when the clock is set"};
  clock_mark mark;
  mark.boot_id.assign(text.data(), static_cast<size_t>(count));
  while (!mark.boot_id.empty() && mark.boot_id.back() == '\n')
    mark.boot_id.pop_back();
  mark.offset_ms = read_ms(CLOCK_REALTIME) - read_ms(CLOCK_BOOTTIME);
  return mark;
}

int64_t clock_step_ms(const clock_mark& before, const clock_mark& now) noexcept {
  if (before.boot_id.empty() || before.boot_id != now.boot_id)
    return 0;
  const auto step = now.offset_ms - before.offset_ms;
  return step > clock_step_min_ms || step < -clock_step_min_ms ? step : 0;
}

clock_watch::clock_watch(clock_mark known, listener on_step, reader read, descriptor timer, descriptor wakes)
    : known_(std::move(known))
    , on_step_(std::move(on_step))
    , read_(std::move(read))
    , timer_(std::move(timer))
    , wakes_(std::move(wakes)) {
  // nop
}

result<std::unique_ptr<clock_watch>> clock_watch::start(clock_mark known, listener on_step, reader read) {
  const auto cannot = [](const std::string& why) {
    return error{error_code::unavailable, "the wall clock cannot be watched: " + why};
  };
  descriptor timer(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer)
    return cannot(std::strerror(errno));
  descriptor wakes(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakes)
    return cannot(std::strerror(errno));
  std::unique_ptr<clock_watch> watch(new clock_watch(std::move(known), std::move(on_step), std::move(read),
                                                     std::move(timer), std::move(wakes)));
  try {
    watch->thread_ = std::thread([raw = watch.get()] { raw->run(); });
  } catch (const std::system_error& failure) {
    return cannot(failure.what());
  }
  return watch;
}

clock_watch::~clock_watch() {
  stop();
}

void clock_watch::look() noexcept {
  const uint64_t one = 1;
  while (::write(wakes_.get(), &one, sizeof one) < 0 && errno == EINTR)
    continue;
}

void clock_watch::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  look();
  if (thread_.joinable())
    thread_.join();
}

bool clock_watch::arm() noexcept {
  itimerspec moment{};
  moment.it_value.tv_sec = far_away_s;
  return ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &moment, nullptr) == 0;
}

bool clock_watch::compare() {
  const auto now = read_();
  if (!now)
    return false;
  const auto step = clock_step_ms(known_, *now);
  if (step == 0)
    return true;
  if (!on_step_(step, *now))
    return false;
  known_ = *now;
  return true;
}

void clock_watch::run() {
  ::pthread_setname_np(::pthread_self(), "tr-clock");
  for (;;) {
    // Armed before the comparison, so that no change falls between the two.
    const bool armed = arm();
    const bool done = compare();
    const int wait_ms = !done ? retry_ms : armed ? -1 : fallback_ms;
    std::array<pollfd, 2> waits{pollfd{timer_.get(), POLLIN, 0}, pollfd{wakes_.get(), POLLIN, 0}};
    while (::poll(waits.data(), waits.size(), wait_ms) < 0 && errno == EINTR)
      continue;
    swallow(timer_.get()); // ECANCELED: the clock was set
    swallow(wakes_.get());
    const std::lock_guard lock(mutex_);
    if (stopping_)
      return;
  }
}

} // namespace task_runner
