// Questions to the name services of the system, with their growing buffers.
#include "services/launcher/user_identity.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

constexpr steady_ms remember_ms = 60'000;
/// Most users remembered; past it all are forgotten.
constexpr size_t users_max = 256;
constexpr size_t entry_bytes_min = 1'024;
constexpr size_t entry_bytes_max = 1'048'576;
constexpr int groups_max = 65'536;

bool is_number(const std::string& text) noexcept {
  return !text.empty() && text.size() <= 10 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// Calls `ask(entry, buffer, size, found)` with buffers of growing size; the error number it ended with.
template <class Ask>
int ask_with_room(std::vector<char>& buffer, Ask ask) {
  int reason = 0;
  for (size_t size = entry_bytes_min; size <= entry_bytes_max; size *= 4) {
    buffer.resize(size);
    do {
      reason = ask();
    } while (reason == EINTR);
    if (reason != ERANGE)
      break;
  }
  return reason;
}

/// "Not there" has many names among name services.
bool means_missing(int reason) noexcept {
  return reason == 0 || reason == ENOENT || reason == ESRCH || reason == EBADF || reason == EPERM;
}

} // namespace

result<user_identity> user_directory::find(const std::string& user) {
  if (::geteuid() != 0)
    return error{error_code::forbidden,
                 "cannot run as user " + user + ": that needs a daemon that runs as root"};
  const steady_ms now = steady_now_ms();
  if (const auto found = users_.find(user); found != users_.end() && found->second.until > now)
    return found->second.identity;

  passwd entry{};
  passwd* present = nullptr;
  std::vector<char> buffer;
  int reason = ask_with_room(
      buffer, [&] { return ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &present); });
  if (present == nullptr && means_missing(reason) && is_number(user)) {
    const auto number = std::strtoull(user.c_str(), nullptr, 10);
    if (number < static_cast<uid_t>(-1))
      reason = ask_with_room(buffer, [&] {
        return ::getpwuid_r(static_cast<uid_t>(number), &entry, buffer.data(), buffer.size(), &present);
      });
  }
  if (present == nullptr) {
    if (means_missing(reason))
      return error{error_code::not_found, "cannot run as user " + user + ": there is no such user"};
    // Not EAGAIN: so says a directory service that cannot be reached, for which nobody else shall wait.
    const bool is_short = reason == EMFILE || reason == ENFILE || reason == ENOMEM;
    return error{is_short ? error_code::overloaded : error_code::unavailable,
                 "cannot look up user " + user + ": " + std::strerror(reason)};
  }

  user_identity identity;
  identity.user = entry.pw_uid;
  identity.group = entry.pw_gid;
  identity.name = entry.pw_name;
  identity.home = entry.pw_dir;
  identity.shell = entry.pw_shell != nullptr && entry.pw_shell[0] != '\0' ? entry.pw_shell : "/bin/sh";
  for (int count = 64; count <= groups_max;) {
    identity.groups.resize(static_cast<size_t>(count));
    if (::getgrouplist(entry.pw_name, entry.pw_gid, identity.groups.data(), &count) >= 0) {
      identity.groups.resize(static_cast<size_t>(count));
      break;
    }
    // It has set `count` to what it needs; where it has not, ask for more all the same.
    count = std::max(count, static_cast<int>(identity.groups.size()) * 2);
  }
  if (users_.size() >= users_max)
    users_.clear();
  users_[user] = {identity, now + remember_ms};
  return identity;
}

} // namespace task_runner::launcher
