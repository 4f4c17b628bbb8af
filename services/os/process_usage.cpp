// Reads getrusage, /proc/self/statm and /proc/self/fd.
#include "services/os/process_usage.hpp"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

namespace task_runner {

result<process_usage> read_process_usage() {
  const auto unreadable = [](const char* what) {
    return error{error_code::unavailable, std::string(what) + " cannot be read; is /proc mounted?"};
  };
  process_usage used;
  rusage times{};
  if (::getrusage(RUSAGE_SELF, &times) != 0)
    return unreadable("the processor time of this process");
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  used.processor_s = seconds(times.ru_utime) + seconds(times.ru_stime);

  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                             &std::fclose);
  unsigned long long pages = 0;
  unsigned long long resident = 0;
  if (!file || std::fscanf(file.get(), "%llu %llu", &pages, &resident) != 2)
    return unreadable("/proc/self/statm");
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  used.virtual_bytes = pages * page_bytes;
  used.resident_bytes = resident * page_bytes;

  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failed), end; !failed && at != end;
       at.increment(failed))
    ++used.descriptors;
  if (failed)
    return unreadable("/proc/self/fd");
  --used.descriptors; // the one that looks
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    used.descriptors_max = limit.rlim_cur;
  return used;
}

} // namespace task_runner
