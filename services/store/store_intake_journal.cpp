// The intake journal over the store.
#include "services/store/store_intake_journal.hpp"

#include "services/observability/log.hpp"

#include <future>
#include <memory>

namespace task_runner {

namespace {

/// Performs a read on the store's thread and waits for it.
template <class T>
result<T> wait_for(store_writer& writer, std::chrono::milliseconds timeout,
                   std::function<result<T>(queue_store&)> question) {
  auto answer = std::make_shared<std::promise<result<T>>>();
  auto future = answer->get_future();
  auto taken = writer.read(
      [answer, question = std::move(question)](queue_store& store) { answer->set_value(question(store)); });
  if (!taken)
    return taken.failure();
  if (future.wait_for(timeout) != std::future_status::ready)
    return error{error_code::timeout, "the store did not answer in time"};
  return future.get();
}

} // namespace

result<std::vector<uint32_t>> store_intake_journal::marked_positions(uint64_t batch) {
  return wait_for<std::vector<uint32_t>>(writer_, timeout_,
                                         [batch](queue_store& store) { return store.load_marks(batch); });
}

result<std::vector<uint64_t>> store_intake_journal::marked_batches() {
  return wait_for<std::vector<uint64_t>>(writer_, timeout_,
                                         [](queue_store& store) { return store.load_marked_batches(); });
}

void store_intake_journal::forget(uint64_t batch) {
  // Lost marks are found again at the next start, so a refusal needs no retry.
  auto taken = writer_.submit({forget_batch{batch}}, [](const result<std::vector<store_answer>>& answers) {
    if (!answers)
      log_event(log_level::debug, "marks of a batch were not forgotten",
                {{"error", answers.failure().message}});
  });
  if (!taken)
    log_event(log_level::debug, "marks of a batch were not forgotten", {{"error", taken.failure().message}});
}

} // namespace task_runner
