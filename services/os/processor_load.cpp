// Reads the first line of /proc/stat.
#include "services/os/processor_load.hpp"

#include "services/os/descriptor.hpp"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace task_runner {
namespace {

constexpr std::chrono::milliseconds look_pause{100};
constexpr std::chrono::seconds look_age_max{1};
/// The share of idle time, one in so many, below which the machine counts as busy.
constexpr uint64_t idle_share = 10;

} // namespace

bool processor_load::read(counts& into) const {
  const descriptor file(::open(statistics_.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 256> line{};
  if (!file || ::read(file.get(), line.data(), line.size() - 1) <= 0)
    return false;
  std::array<unsigned long long, 8> at{};
  // user nice system idle iowait irq softirq steal
  if (std::sscanf(line.data(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &at[0], &at[1], &at[2], &at[3],
                  &at[4], &at[5], &at[6], &at[7]) < 5)
    return false;
  into = {};
  for (const auto one : at)
    into.all += one;
  into.idle = at[3] + at[4];
  return true;
}

bool processor_load::is_busy(clock::time_point now) {
  const auto age = now - looked_at_;
  if (age < look_pause)
    return busy_;
  const counts before = last_;
  looked_at_ = now;
  busy_ = false;
  const bool compares = std::exchange(known_, read(last_));
  if (!compares || !known_ || age > look_age_max || last_.all <= before.all || last_.idle < before.idle)
    return busy_;
  busy_ = (last_.idle - before.idle) * idle_share < last_.all - before.all;
  return busy_;
}

} // namespace task_runner
