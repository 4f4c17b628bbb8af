// A pointer to the turn of each thread, and what was put off in it.
// Without a turn, as in a test that calls a handler itself, nothing is put off.
#include "services/http/worker_turn.hpp"

#include "services/observability/log.hpp"

#include <exception>
#include <utility>

namespace task_runner {

namespace {

thread_local worker_turn* current_turn = nullptr;
thread_local uint64_t turns_made = 0;

} // namespace

worker_turn::worker_turn() noexcept {
  current_turn = this;
  ++turns_made;
}

worker_turn::~worker_turn() {
  current_turn = nullptr;
  for (const auto& work : put_off_) {
    try {
      work();
    } catch (const std::exception& thrown) {
      log_event(log_level::error, "HTTP worker failed to end its turn", {{"reason", thrown.what()}});
    } catch (...) {
      log_event(log_level::error, "HTTP worker failed to end its turn", {{"reason", "unknown"}});
    }
  }
}

uint64_t this_turn() noexcept {
  return current_turn != nullptr ? turns_made : 0;
}

void after_this_turn(std::function<void()> work) {
  if (current_turn != nullptr)
    current_turn->put_off_.push_back(std::move(work));
  else
    work();
}

} // namespace task_runner
