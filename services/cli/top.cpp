// `top`: puts together what is shown, the threads that ask, and the terminal. One thread waits for keys,
// news, signals and the next second, and none of them for another.
#include "services/cli/top_feed.hpp"
#include "services/cli/top_layout.hpp"
#include "services/cli/top_screen.hpp"
#include "services/cli/verb_call.hpp"
#include "services/domain/quantities.hpp"
#include "services/domain/time_text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace task_runner::cli {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds interval_default{1'000};
constexpr milliseconds interval_min{200};
/// Ages and waits move on with this step, also without news.
constexpr milliseconds redraw_every{500};
/// Most keys that are taken before the screen is drawn again.
constexpr int keys_at_once = 64;

/// What the signal handlers leave behind, and what wakes the loop.
volatile std::sig_atomic_t ended_by = 0;
volatile std::sig_atomic_t size_changed = 0;
volatile std::sig_atomic_t wake_descriptor = -1;

void wake_loop() noexcept {
  const int reason = errno;
  const uint64_t one = 1;
  // A counter that is full wakes as well.
  static_cast<void>(!::write(wake_descriptor, &one, sizeof one));
  errno = reason;
}

extern "C" void note_end(int number) {
  ended_by = number;
  wake_loop();
}

extern "C" void note_size(int) {
  size_changed = 1;
  wake_loop();
}

void set_handler(int number, void (*handler)(int)) noexcept {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  ::sigaction(number, &action, nullptr);
}

/// An eventfd for as long as it lives, known to the signal handlers.
class waker {
public:
  waker()
      : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    wake_descriptor = descriptor_;
  }
  ~waker() {
    wake_descriptor = -1;
    if (descriptor_ >= 0)
      ::close(descriptor_);
  }
  waker(const waker&) = delete;
  waker& operator=(const waker&) = delete;

  int descriptor() const noexcept { return descriptor_; }
  void reset() const noexcept {
    uint64_t count = 0;
    static_cast<void>(!::read(descriptor_, &count, sizeof count));
  }

private:
  int descriptor_;
};

top_moment present() noexcept {
  return {steady_seconds(), system_now_ms()};
}

class top_loop {
public:
  top_loop(top_state& state, top_feed& feed, top_screen& screen, const waker& wakes)
      : state_(state)
      , feed_(feed)
      , screen_(screen)
      , wakes_(wakes) {}

  int run() {
    state_.resize(screen_.rows(), screen_.columns());
    for (;;) {
      take_news();
      feed_.want(state_.wish());
      state_.wait_for_answer(feed_.silent_s());
      screen_.draw(draw_top(state_, present()));
      if (ended_by != 0)
        return exit_signal_base + ended_by;
      if (!wait())
        return exit_signal_base + SIGHUP;
      if (size_changed != 0) {
        size_changed = 0;
        screen_.resize();
        state_.resize(screen_.rows(), screen_.columns());
      }
      if (!take_keys())
        return exit_done;
    }
  }

private:
  /// Waits for whatever comes first; false where the terminal has gone.
  bool wait() {
    std::array<pollfd, 2> ready{{{STDIN_FILENO, POLLIN, 0}, {wakes_.descriptor(), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), static_cast<int>(redraw_every.count())) <= 0)
      return true;
    wakes_.reset();
    return (ready[0].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
  }

  void take_news() {
    for (auto& one : feed_.take())
      state_.take(std::move(one), present());
  }

  /// False: it is to end.
  bool take_keys() {
    for (int i = 0; i < keys_at_once; ++i) {
      bool is_pending = false;
      const auto key = screen_.read_key(is_pending);
      if (!is_pending)
        return true;
      auto order = state_.press(key, present());
      if (order.verb == top_verb::quit)
        return false;
      if (order.verb == top_verb::redraw)
        screen_.redraw();
      else if (order.verb != top_verb::none)
        give(order);
    }
    wake_loop(); // the others are read in the next turn
    return true;
  }

  void give(const top_order& order) {
    if (feed_.order(order))
      return;
    top_news refused;
    refused.answer =
        top_answer{order,
                   false,
                   "too much waits for the daemon's answer already; this was not sent, try again later",
                   {}};
    state_.take(std::move(refused), present());
  }

  top_state& state_;
  top_feed& feed_;
  top_screen& screen_;
  const waker& wakes_;
};

result<milliseconds> read_interval(const arguments& given) {
  if (!given.has("interval"))
    return interval_default;
  const auto interval_ms = parse_duration_ms(given.text("interval"));
  if (!interval_ms)
    return error{error_code::invalid_argument, "--interval: " + interval_ms.failure().message};
  return std::max(interval_min, milliseconds(*interval_ms));
}

int show(verb_call& call, milliseconds interval) {
  const waker wakes;
  if (wakes.descriptor() < 0) {
    call.terminal.complain("top: no event can be waited for, as the limit of open files is reached");
    return exit_refused;
  }
  // Before the screen, whose own handlers take only what nobody else has taken.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    set_handler(number, note_end);
  set_handler(SIGWINCH, note_size);
  auto screen = top_screen::open(call.terminal.has_symbols(), call.terminal.has_colors());
  if (!screen)
    return call.misuse(screen.failure().message);
  const auto& place = call.api().place();
  const bool is_ipv6 = place.host.find(':') != std::string::npos;
  top_state state((is_ipv6 ? "[" + place.host + "]" : place.host) + ":" + std::to_string(place.port),
                  static_cast<double>(interval.count()) / 1'000.0, (*screen)->has_unicode());
  top_feed feed(place, interval, call.terminal, wake_loop);
  return top_loop(state, feed, **screen, wakes).run();
}

} // namespace

int run_top(verb_call& call) {
  if (call.wants_json())
    return call.misuse("it is made for people; status --json says the same");
  if (!call.terminal.is_terminal() || ::isatty(STDIN_FILENO) != 1)
    return call.misuse("it takes a terminal to draw on and to read keys from; status --watch does without");
  const auto interval = read_interval(call.given);
  if (!interval)
    return call.misuse(interval.failure().message);
  // Once it is shown it waits for a daemon that is away; a wrong address is told at once.
  if (const auto reply = call.api().get("/readyz"); reply.status == 0)
    return call.fail(reply);
  try {
    return show(call, *interval);
  } catch (const std::system_error& failure) {
    call.terminal.complain(std::string("top: there are no threads to ask the daemon with: ") +
                           failure.what());
    return exit_refused;
  } catch (const std::exception& failure) { // out of memory; the screen has been restored by now
    call.terminal.complain(std::string("top: ") + failure.what());
    return exit_refused;
  }
}

} // namespace task_runner::cli
