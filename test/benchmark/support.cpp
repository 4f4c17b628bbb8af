// Tasks and directories for the micro-benchmarks.
// Ids and command lines have the usual lengths, so that copies of them cost what they cost in the daemon.
#include "test/benchmark/support.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace task_runner::benchmarks {

namespace {

constexpr const char* id_format = "01934f2a-7c11-7000-8000-%012llx";
constexpr size_t id_number_at = 24;

} // namespace

std::string task_id_of(uint64_t number) {
  char text[48];
  const int length = std::snprintf(text, sizeof text, id_format, static_cast<unsigned long long>(number));
  return {text, static_cast<size_t>(length)};
}

uint64_t number_of(const std::string& task_id) {
  return std::strtoull(task_id.c_str() + id_number_at, nullptr, 16);
}

memory_directory::memory_directory()
    : path_("/dev/shm/tr-micro-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr)
    path_.clear();
}

memory_directory::~memory_directory() {
  std::error_code ignored;
  if (!path_.empty())
    std::filesystem::remove_all(path_, ignored);
}

task make_task(uint64_t number) {
  task value;
  value.id = task_id_of(number);
  value.channel = "default";
  value.name = "/usr/bin/php artisan mail:send --user " + std::to_string(number);
  value.created_at_ms = some_moment_ms;
  return value;
}

} // namespace task_runner::benchmarks
