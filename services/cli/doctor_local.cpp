// What can be seen from here without the daemon: files, permissions, the disk, and Redis.
#include "services/cli/console.hpp"
#include "services/cli/doctor.hpp"
#include "services/source/redis_checkup.hpp"

#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace task_runner::cli {

namespace {

constexpr uint64_t room_bytes_min = 512ULL * 1'048'576;
constexpr mode_t for_others = S_IRWXG | S_IRWXO;

std::string octal(mode_t mode) {
  std::string text = "0000";
  for (size_t i = 0; i < text.size(); ++i)
    text[text.size() - 1 - i] = static_cast<char>('0' + ((mode >> (3 * i)) & 7U));
  return text;
}

void check_room(const std::string& path, findings& found) {
  struct statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0) {
    found.push_back({"disk", verdict::warning, path + ": " + std::strerror(errno)});
    return;
  }
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  const uint64_t all_bytes = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize;
  const auto text =
      grouped(free_bytes / 1'048'576) + " of " + grouped(all_bytes / 1'048'576) + " MiB are free";
  if (free_bytes < room_bytes_min)
    found.push_back(
        {"disk", verdict::warning, text + " below " + path + "; nothing is taken in when it is full"});
  else if (disk.f_files != 0 && disk.f_favail == 0)
    found.push_back({"disk", verdict::bad, "no file can be made below " + path + ": its inodes are used up"});
  else
    found.push_back({"disk", verdict::good, text});
}

std::string describe(const misplaced_messages& one) {
  const auto count = grouped(one.messages) + (one.messages == 1 ? " message waits" : " messages wait");
  switch (one.what) {
  case misplaced_messages::kind::no_list:
    return one.key + " holds something that is no list, so nothing can be pushed to it; remove it";
  case misplaced_messages::kind::other_database:
    return count + " in " + one.key + " of database " + std::to_string(one.db) +
           ", which nobody takes; push to the daemon's database, or change redis-db";
  case misplaced_messages::kind::similar_key:
    break;
  }
  return count + " in " + one.key + ", which only looks like " + one.resembles +
         " and is not taken from; correct the sender, or add it with intake-key";
}

} // namespace

void check_state_dir(const local_settings& settings, findings& found) {
  const auto& path = settings.state_dir;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT)
      found.push_back({"state directory", verdict::warning,
                       path + " does not exist; a daemon with these settings would make it"});
    else
      found.push_back(
          {"state directory", verdict::warning,
           path + " cannot be looked at: " + std::strerror(errno) + "; run this as the daemon's user"});
    return;
  }
  if (!S_ISDIR(status.st_mode)) {
    found.push_back({"state directory", verdict::bad, path + " is no directory"});
    return;
  }
  if (status.st_uid != ::geteuid())
    found.push_back({"state directory", verdict::warning,
                     path + " belongs to user " + std::to_string(status.st_uid) + ", and this is user " +
                         std::to_string(::geteuid()) + "; a daemon started by this user would refuse it"});
  else if ((status.st_mode & for_others) != 0)
    found.push_back({"state directory", verdict::bad,
                     path + " has mode " + octal(status.st_mode & 07777U) +
                         ", so that others can look at tasks and output; chmod 700 it"});
  else if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0)
    found.push_back({"state directory", verdict::bad, path + " cannot be written: " + std::strerror(errno)});
  else
    found.push_back({"state directory", verdict::good, path});
  check_room(path, found);
}

void check_permissions(const local_settings& settings, findings& found) {
  struct stat status {};
  const auto& config = settings.config_file;
  if (!config.empty() && ::stat(config.c_str(), &status) == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    found.push_back({"permissions", verdict::bad,
                     config + " has mode " + octal(status.st_mode & 07777U) +
                         ", so that others can change the daemon's settings; chmod go-w it"});
  for (const char* name : {"task-runner.db", "lock", "launcher.sock"}) {
    const auto path = settings.state_dir + "/" + name;
    if (::lstat(path.c_str(), &status) == 0 && status.st_uid != ::geteuid() && ::geteuid() != 0)
      found.push_back(
          {"permissions", verdict::warning, path + " belongs to user " + std::to_string(status.st_uid)});
  }
}

void check_intake(const local_settings& settings, findings& found) {
  if (!settings.redis_intake) {
    found.push_back({"redis", verdict::good, "left alone, as redis-intake is off"});
    return;
  }
  const auto looked = check_redis(settings.redis, settings.intake_keys);
  if (!looked) {
    found.push_back({"redis", verdict::bad, looked.failure().message + std::string(no_redis_advice)});
    return;
  }
  std::string text = "version " + looked->version + " answers at " + settings.redis.host + ":" +
                     std::to_string(settings.redis.port) + ", database " + std::to_string(settings.redis.db);
  for (const auto& one : looked->backlogs)
    text += "; " + grouped(one.messages) + " in " + one.key;
  found.push_back({"redis", verdict::good, text});
  for (const auto& one : looked->misplaced)
    found.push_back({"intake keys",
                     one.what == misplaced_messages::kind::no_list ? verdict::bad : verdict::warning,
                     describe(one)});
  if (looked->misplaced.empty())
    found.push_back({"intake keys", verdict::good,
                     "nothing waits elsewhere; " + grouped(looked->keys_seen) + " keys looked at"});
  if (looked->is_cut_short)
    found.push_back({"intake keys", verdict::warning, "there is more than could be looked at"});
  if (looked->rejected != 0)
    found.push_back(
        {"rejected messages", verdict::warning,
         grouped(looked->rejected) +
             " wait in task:prepare:rejected, each with its reason: LRANGE task:prepare:rejected 0 9"});
}

} // namespace task_runner::cli
