// Rehearsing threads and reading the limit of open files.
#include "services/os/resources.hpp"

#include <condition_variable>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <vector>

namespace task_runner {

namespace {

/// Each thread's own heap reserves 64 MiB of addresses. Where those are limited, stacks need them more.
void spare_addresses() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    ::mallopt(M_ARENA_MAX, 1);
}

} // namespace

result<void> rehearse_threads(unsigned count) {
  std::mutex mutex;
  std::condition_variable released;
  bool over = false;
  std::string refusal;
  std::vector<std::thread> threads;
  spare_addresses();
  try {
    threads.reserve(count);
    for (unsigned i = 0; i < count; ++i)
      threads.emplace_back([&] {
        // A thread's first allocation may reserve a heap of its own, which later threads then inherit.
        const std::unique_ptr<volatile char> heap(new (std::nothrow) volatile char(0));
        std::unique_lock<std::mutex> lock(mutex);
        released.wait(lock, [&] { return over; });
      });
  } catch (const std::exception& failure) {
    refusal = failure.what();
  }
  {
    const std::lock_guard<std::mutex> lock(mutex);
    over = true;
  }
  released.notify_all();
  for (auto& thread : threads)
    thread.join();
  if (refusal.empty())
    return {};
  return error{error_code::unavailable, "the system gives " + std::to_string(threads.size()) +
                                            " threads, but " + std::to_string(count) + " are needed (" +
                                            refusal +
                                            "); raise the limits on processes (ulimit -u) and memory "
                                            "(ulimit -v), or those of the service"};
}

result<void> require_descriptors(uint64_t least) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= least)
    return {};
  return error{error_code::unavailable, "only " + std::to_string(limit.rlim_cur) +
                                            " files may be open, but at least " + std::to_string(least) +
                                            " are needed; raise the limit (ulimit -n)"};
}

} // namespace task_runner
