// A handful of commands over one connection; key names are looked at by SCAN, which holds nobody up.
#include "services/source/redis_checkup.hpp"

#include "services/domain/quantities.hpp"
#include "services/domain/spelling.hpp"
#include "services/source/redis_connection.hpp"
#include "services/source/redis_list_source.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <set>
#include <utility>

namespace task_runner {

namespace {

using clock = std::chrono::steady_clock;

constexpr uint32_t databases_max = 16;
/// Longest time for looking through the names of keys.
constexpr std::chrono::seconds scan_time_max{5};
/// Keys looked at by one step of SCAN.
constexpr std::string_view scan_count = "1000";
/// A name is not compared letter by letter beyond this.
constexpr size_t compared_length_max = 256;
/// Shorter names resemble too many others.
constexpr size_t compared_length_min = 6;
/// So much may follow behind an intake key in a name that resembles it.
constexpr size_t suffix_length_max = 16;

/// Lower-case letters and digits alone.
std::string bare(std::string_view key) {
  std::string text;
  for (const char one : key) {
    if (one >= 'A' && one <= 'Z')
      text += static_cast<char>(one - 'A' + 'a');
    else if ((one >= 'a' && one <= 'z') || (one >= '0' && one <= '9'))
      text += one;
  }
  return text;
}

class checkup {
public:
  checkup(redis_connection connection, const redis_endpoint& endpoint, const std::vector<std::string>& keys)
      : connection_(std::move(connection))
      , endpoint_(endpoint)
      , keys_(keys) {}

  result<redis_findings> run() {
    for (const auto step : {&checkup::read_version, &checkup::look_at_intake, &checkup::look_through_names,
                            &checkup::look_at_databases})
      if (auto done = (this->*step)(); !done)
        return done.failure();
    return std::move(findings_);
  }

private:
  /// The integer of a reply; nothing for a refusal, such as that of a wrong type or of a missing permission.
  result<std::optional<uint64_t>> number(const std::vector<std::string_view>& words) {
    auto reply = connection_.command(words);
    if (!reply)
      return reply.failure();
    if ((*reply)->type != REDIS_REPLY_INTEGER || (*reply)->integer < 0)
      return std::optional<uint64_t>();
    return std::optional<uint64_t>(static_cast<uint64_t>((*reply)->integer));
  }

  result<void> read_version() {
    auto reply = connection_.command({"INFO", "server"});
    if (!reply)
      return reply.failure();
    constexpr std::string_view mark = "redis_version:";
    const auto text = reply_text(**reply);
    if (const auto at = text.find(mark); at != std::string_view::npos) {
      const auto version = text.substr(at + mark.size());
      findings_.version = version.substr(0, version.find_first_of("\r\n"));
    }
    return {};
  }

  result<void> look_at_intake() {
    for (const auto& key : keys_) {
      auto reply = connection_.command({"LLEN", key});
      if (!reply)
        return reply.failure();
      const auto refusal = classify(**reply);
      if (refusal == redis_refusal::wrong_type)
        note({misplaced_messages::kind::no_list, key, key, endpoint_.db, 0});
      else if (refusal != redis_refusal::none) // a password, a permission
        return refusal_of(**reply);
      else
        findings_.backlogs.push_back({key, static_cast<uint64_t>(std::max(0LL, (*reply)->integer))});
    }
    auto rejected = number({"LLEN", redis_source_options().rejected_key});
    if (!rejected)
      return rejected.failure();
    findings_.rejected = rejected->value_or(0);
    return {};
  }

  result<void> look_through_names() {
    const auto until = clock::now() + scan_time_max;
    std::string cursor = "0";
    do {
      auto reply = connection_.command({"SCAN", cursor, "COUNT", scan_count});
      if (!reply)
        return reply.failure();
      const auto& answer = **reply;
      const bool is_page = answer.type == REDIS_REPLY_ARRAY && answer.elements == 2 &&
                           answer.element[1]->type == REDIS_REPLY_ARRAY;
      if (!is_page || findings_.keys_seen > checkup_keys_max || clock::now() > until) {
        findings_.is_cut_short = true;
        return {};
      }
      cursor = reply_text(*answer.element[0]);
      const auto& page = *answer.element[1];
      for (size_t i = 0; i < page.elements; ++i) {
        ++findings_.keys_seen;
        if (auto looked = look_at_name(std::string(reply_text(*page.element[i]))); !looked)
          return looked.failure();
      }
    } while (cursor != "0");
    return {};
  }

  result<void> look_at_name(const std::string& name) {
    if (std::find(keys_.begin(), keys_.end(), name) != keys_.end() ||
        name == redis_source_options().rejected_key)
      return {};
    const auto meant =
        std::find_if(keys_.begin(), keys_.end(), [&](const auto& key) { return resembles_key(name, key); });
    if (meant == keys_.end() || !seen_.insert(name).second)
      return {};
    auto messages = number({"LLEN", name}); // none for what is no list
    if (!messages)
      return messages.failure();
    if (*messages)
      note({misplaced_messages::kind::similar_key, name, *meant, endpoint_.db, **messages});
    return {};
  }

  result<void> look_at_databases() {
    for (uint32_t db = 0; db < databases_max; ++db) {
      if (db == endpoint_.db)
        continue;
      auto selected = connection_.command({"SELECT", std::to_string(db)});
      if (!selected)
        return selected.failure();
      if (classify(**selected) != redis_refusal::none)
        return {}; // there are no more, or none that this user may see
      for (const auto& key : keys_) {
        auto messages = number({"LLEN", key});
        if (!messages)
          return messages.failure();
        if (messages->value_or(0) > 0)
          note({misplaced_messages::kind::other_database, key, key, db, **messages});
      }
    }
    return {};
  }

  void note(misplaced_messages one) {
    if (findings_.misplaced.size() < checkup_findings_max)
      findings_.misplaced.push_back(std::move(one));
    else
      findings_.is_cut_short = true;
  }

  redis_connection connection_;
  const redis_endpoint& endpoint_;
  const std::vector<std::string>& keys_;
  redis_findings findings_;
  /// SCAN may give a name twice.
  std::set<std::string> seen_;
};

} // namespace

bool resembles_key(std::string_view key, std::string_view intake_key) {
  const bool is_taken_list =
      !key.empty() && key.front() == '{' && key.find("}:taken:") != std::string_view::npos;
  if (key == intake_key || key.size() > compared_length_max || is_taken_list)
    return false;
  const auto name = bare(key);
  const auto wanted = bare(intake_key);
  if (wanted.size() < compared_length_min || name.size() + 2 < wanted.size())
    return false;
  const auto at = name.rfind(wanted);
  if (at != std::string::npos &&
      (at + wanted.size() == name.size() || (at == 0 && name.size() - wanted.size() <= suffix_length_max)))
    return true;
  return spelling_distance(name, wanted, 2) <= 2;
}

result<redis_findings> check_redis(const redis_endpoint& endpoint,
                                   const std::vector<std::string>& intake_keys) {
  try {
    const wake_event never;
    auto connection = redis_connection::open(endpoint, never);
    if (!connection)
      return connection.failure();
    return checkup(std::move(*connection), endpoint, intake_keys).run();
  } catch (const std::exception& failure) { // out of memory or descriptors
    return error{error_code::unavailable, failure.what()};
  }
}

} // namespace task_runner
