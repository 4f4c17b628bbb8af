// Reading of /proc, and signals by pidfd.
#include "services/launcher/process_table.hpp"

#include "services/launcher/owned_descriptor.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

/// Reads a small file of /proc whole; nothing when it cannot be read.
template <size_t Size>
std::optional<std::string_view> read_proc(int pid, const char* name, std::array<char, Size>& buffer) {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/%s", pid, name);
  const owned_descriptor file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return std::nullopt;
  const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
  if (n <= 0)
    return std::nullopt;
  return std::string_view(buffer.data(), static_cast<size_t>(n));
}

/// The hard limit in the text of /proc/PID/limits, which everybody may read.
std::optional<uint64_t> limit_from_text(int pid) {
  std::array<char, 4'096> buffer{};
  const std::optional<std::string_view> text = read_proc(pid, "limits", buffer);
  if (!text)
    return std::nullopt;
  constexpr std::string_view name = "Max realtime timeout";
  const size_t line = text->find(name);
  if (line == std::string_view::npos)
    return std::nullopt;
  const std::string fields(text->substr(line + name.size(), 64));
  std::array<char, 32> soft{};
  std::array<char, 32> hard{};
  if (std::sscanf(fields.c_str(), " %31s %31s", soft.data(), hard.data()) != 2)
    return std::nullopt;
  return std::isdigit(static_cast<unsigned char>(hard[0])) != 0 ? std::strtoull(hard.data(), nullptr, 10)
                                                                : RLIM_INFINITY;
}

} // namespace

std::optional<process_facts> look_at_process(int pid) {
  std::array<char, 1'024> buffer{};
  const std::optional<std::string_view> text = read_proc(pid, "stat", buffer);
  if (!text)
    return std::nullopt;
  buffer[std::min(text->size(), buffer.size() - 1)] = '\0';
  // The name in parentheses may hold anything; fields are counted from behind it.
  const char* rest = std::strrchr(buffer.data(), ')');
  process_facts facts;
  facts.pid = pid;
  unsigned long long began = 0;
  if (rest == nullptr ||
      std::sscanf(rest + 1, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu",
                  &facts.state, &facts.parent, &facts.group, &facts.session, &facts.threads, &began) != 6)
    return std::nullopt;
  facts.began = began;
  return facts;
}

uint64_t began_ms(const process_facts& facts) noexcept {
  static const auto ticks_per_s = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return facts.began * 1'000 / ticks_per_s;
}

std::vector<int> list_processes() {
  std::vector<int> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
  if (!proc)
    return pids;
  while (const dirent* entry = ::readdir(proc.get()))
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0)
      pids.push_back(std::atoi(entry->d_name));
  std::sort(pids.rbegin(), pids.rend());
  return pids;
}

int last_pid() {
  std::array<char, 128> buffer{};
  const owned_descriptor file(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC));
  if (!file)
    return 0;
  const ssize_t n = ::read(file.get(), buffer.data(), buffer.size() - 1);
  if (n <= 0)
    return 0;
  const char* field = std::strrchr(buffer.data(), ' ');
  return field != nullptr ? std::atoi(field) : 0;
}

bool is_process(int pid) noexcept {
  const owned_descriptor process(detail::open_process(pid));
  return static_cast<bool>(process);
}

std::optional<uint64_t> hard_realtime_limit(int pid) noexcept {
  rlimit limit{};
  if (::syscall(SYS_prlimit64, pid, RLIMIT_RTTIME, nullptr, &limit) == 0)
    return limit.rlim_max;
  // Another user's process, or one that has changed its user: it cannot be asked, but it can be read.
  return errno == EPERM ? limit_from_text(pid) : std::nullopt;
}

std::string cgroup_of(int pid) {
  std::array<char, 8'192> buffer{};
  const std::optional<std::string_view> text = read_proc(pid, "cgroup", buffer);
  if (!text)
    return {};
  size_t begin = 0;
  while (begin < text->size()) {
    const size_t end = std::min(text->find('\n', begin), text->size());
    const std::string_view line = text->substr(begin, end - begin);
    if (line.substr(0, 3) == "0::")
      return std::string(line.substr(3));
    begin = end + 1;
  }
  return {};
}

namespace detail {

int open_process(int pid) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

bool send_and_close(int process, int number, bool send) noexcept {
  const owned_descriptor owned(process);
  return send && ::syscall(SYS_pidfd_send_signal, process, number, nullptr, 0) == 0;
}

} // namespace detail
} // namespace task_runner::launcher
