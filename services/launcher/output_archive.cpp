// Listing and deleting of captured output.
#include "services/launcher/output_archive.hpp"

#include "services/launcher/output_file.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner {

namespace {

constexpr std::string_view tail_suffix = ".tail";

error cannot(const char* what, const std::string& path, int number) {
  return {error_code::unavailable,
          std::string("cannot ") + what + " the output " + path + ": " + std::strerror(number)};
}

/// `TASK.ATTEMPT` or `TASK.ATTEMPT.tail`; nothing for a name that is neither.
std::optional<attempt_key> parse_name(std::string_view name) {
  if (name.size() > tail_suffix.size() && name.substr(name.size() - tail_suffix.size()) == tail_suffix)
    name.remove_suffix(tail_suffix.size());
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == name.size())
    return std::nullopt;
  attempt_key key;
  const auto number = name.substr(dot + 1);
  const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), key.attempt);
  if (fault != std::errc{} || end != number.data() + number.size())
    return std::nullopt;
  key.task_id = name.substr(0, dot);
  return key;
}

} // namespace

result<std::vector<attempt_key>> output_directory::list(uint32_t shard, wall_time_ms before_ms,
                                                        size_t limit) {
  std::array<char, 4> digits{};
  std::snprintf(digits.data(), digits.size(), "%02x", shard & 0xffU);
  const auto path = state_dir_ + "/output/" + digits.data();
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  std::vector<attempt_key> keys;
  if (!directory) {
    if (errno == ENOENT)
      return keys;
    return cannot("list", path, errno);
  }
  while (keys.size() < limit) {
    errno = 0;
    const auto* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0)
        return cannot("list", path, errno);
      break;
    }
    auto key = parse_name(entry->d_name);
    if (!key)
      continue;
    struct stat facts {};
    if (::fstatat(::dirfd(directory.get()), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(facts.st_mode))
      continue;
    const auto written_ms =
        int64_t{facts.st_mtim.tv_sec} * 1'000 + static_cast<int64_t>(facts.st_mtim.tv_nsec / 1'000'000);
    if (written_ms < before_ms)
      keys.push_back(std::move(*key));
  }
  return keys;
}

result<void> output_directory::remove(const attempt_key& key) {
  const auto path = state_dir_ + "/" + output_path(key);
  // The tail first: a tail without its head is understood by nobody, a head without its tail is.
  for (const auto& file : {path + std::string(tail_suffix), path})
    if (::unlink(file.c_str()) != 0 && errno != ENOENT)
      return cannot("delete", file, errno);
  return {};
}

} // namespace task_runner
