// Bounded appending to launcher.log.
#include "services/launcher/launcher_log.hpp"

#include "services/domain/time_text.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner::launcher {

void launcher_log::write(std::string_view text) noexcept {
  constexpr const char* name = "launcher.log";
  struct stat facts {};
  if (::fstatat(state_dir_, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
      static_cast<uint64_t>(facts.st_size) > log_bytes_max)
    ::renameat(state_dir_, name, state_dir_, "launcher.log.1");
  const owned_descriptor file(
      ::openat(state_dir_, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file)
    return;
  std::string line = format_time(system_now_ms());
  line += " [" + std::to_string(::getpid()) + "] ";
  line += text;
  line += '\n';
  if (::write(file.get(), line.data(), line.size()) < 0)
    return; // There is nobody left to tell.
}

void launcher_log::write_once(std::string_view text) noexcept {
  if (text == last_)
    return;
  last_ = std::string(text);
  write(text);
}

} // namespace task_runner::launcher
