// A fake intake for tests of the Redis source: the sink and the store's marks in one, with answers to order.
// It outlives the sources of a test, as the store outlives the daemon.
#pragma once

#include "services/domain/time_text.hpp"
#include "services/observability/log.hpp"
#include "services/source/redis_list_source.hpp"
#include "services/source/taken_lists.hpp"
#include "test/support/redis_server.hpp"
#include "test/support/wait.hpp"

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace task_runner::test {

/// Decides pushes as the daemon does: checks the item, refuses an origin that is marked, marks what it
/// decides. Lives through restarts of the source, like the store. Thread-safe.
class fake_intake final : public push_sink, public intake_journal {
  template <class F>
  auto locked(F read) const {
    std::lock_guard<std::mutex> guard(mutex_);
    return read();
  }

public:
  /// The answer to an item that is valid and not marked; an accepted or duplicate one is marked afterwards.
  std::function<push_reply(const push_item&)> answer = [](const push_item& item) { return accept(item); };

  /// Called before each push is decided, with its items.
  std::function<void(const std::vector<push_item>&)> before_push = [](const std::vector<push_item>&) {};

  static push_reply accept(const push_item& item) {
    return {item.name, "id-" + item.name, true, std::nullopt};
  }
  static push_reply refuse(const push_item& item, error_code code, const std::string& why) {
    return {item.name, "", false, error{code, why}};
  }

  void push(std::vector<push_item> items, push_completion done) override {
    std::vector<push_reply> replies;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      ++pushes_;
      if (holding_ || held_channels_.count(items.front().channel) != 0) {
        held_.emplace_back(std::move(items), std::move(done));
        return;
      }
      before_push(items);
      for (const auto& item : items)
        replies.push_back(decide(item));
    }
    done(std::move(replies));
  }

  result<std::vector<uint32_t>> marked_positions(uint64_t batch) override {
    std::lock_guard<std::mutex> guard(mutex_);
    ++journal_calls_;
    if (journal_fails_)
      return error{error_code::unavailable, "the fake store is away"};
    const auto found = marks_.find(batch);
    if (found == marks_.end())
      return std::vector<uint32_t>();
    return std::vector<uint32_t>(found->second.begin(), found->second.end());
  }

  result<std::vector<uint64_t>> marked_batches() override {
    std::lock_guard<std::mutex> guard(mutex_);
    ++journal_calls_;
    if (journal_fails_)
      return error{error_code::unavailable, "the fake store is away"};
    std::vector<uint64_t> batches;
    for (const auto& [batch, positions] : marks_)
      batches.push_back(batch);
    return batches;
  }

  void forget(uint64_t batch) override {
    std::lock_guard<std::mutex> guard(mutex_);
    marks_.erase(batch);
  }

  /// From now on pushes wait until `release`.
  void hold() {
    std::lock_guard<std::mutex> guard(mutex_);
    holding_ = true;
  }
  /// From now on pushes whose first item is for this channel wait until `release`.
  void hold_channel(const std::string& channel) {
    std::lock_guard<std::mutex> guard(mutex_);
    held_channels_.insert(channel);
  }
  /// Decides what waits, and no longer holds.
  void release() {
    std::vector<std::pair<std::vector<push_item>, push_completion>> held;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      holding_ = false;
      held_channels_.clear();
      held = std::exchange(held_, {});
    }
    for (auto& [items, done] : held) {
      std::vector<push_reply> replies;
      {
        std::lock_guard<std::mutex> guard(mutex_);
        for (const auto& item : items)
          replies.push_back(decide(item));
      }
      done(std::move(replies));
    }
  }
  /// Decides those waiting items that `which` names, as a store that commits before a crash, and tells
  /// nobody.
  void decide_silently(const std::function<bool(const push_item&)>& which) {
    std::lock_guard<std::mutex> guard(mutex_);
    for (const auto& [items, done] : held_)
      for (const auto& item : items)
        if (which(item))
          decide(item);
  }
  /// Lets go of what waits without answering; no longer holds.
  void drop() {
    std::vector<std::pair<std::vector<push_item>, push_completion>> held;
    std::lock_guard<std::mutex> guard(mutex_);
    holding_ = false;
    held_channels_.clear();
    held = std::exchange(held_, {});
  }
  void mark(uint64_t batch, std::set<uint32_t> positions) {
    std::lock_guard<std::mutex> guard(mutex_);
    marks_[batch] = std::move(positions);
  }
  void fail_journal(bool fails) {
    std::lock_guard<std::mutex> guard(mutex_);
    journal_fails_ = fails;
  }

  /// Names of accepted tasks of one channel, in order.
  std::vector<std::string> accepted_of(const std::string& channel) const {
    return locked([&] {
      std::vector<std::string> names;
      for (const auto& item : items_)
        if (item.channel == channel)
          names.push_back(item.name);
      return names;
    });
  }
  /// Names of accepted tasks, in order.
  std::vector<std::string> accepted() const {
    return locked([&] { return accepted_; });
  }
  size_t accepted_count() const {
    return locked([&] { return accepted_.size(); });
  }
  std::vector<push_item> accepted_items() const {
    return locked([&] { return items_; });
  }
  size_t pushes() const {
    return locked([&] { return pushes_; });
  }
  size_t held() const {
    return locked([&] { return held_.size(); });
  }
  size_t journal_calls() const {
    return locked([&] { return journal_calls_; });
  }
  std::map<uint64_t, std::set<uint32_t>> marks() const {
    return locked([&] { return marks_; });
  }

private:
  push_reply decide(const push_item& item) {
    if (auto ok = check_push(item); !ok)
      return refuse(item, ok.failure().code, ok.failure().message);
    const auto origin = item.origin.value();
    auto& marked = marks_[origin.batch];
    if (marked.count(origin.position) != 0)
      return {item.name, "known", false, std::nullopt};
    auto reply = answer(item);
    if (!reply.failure)
      marked.insert(origin.position);
    if (reply.accepted) {
      accepted_.push_back(item.name);
      items_.push_back(item);
    }
    return reply;
  }

  mutable std::mutex mutex_;
  bool holding_ = false;
  std::set<std::string> held_channels_;
  bool journal_fails_ = false;
  std::vector<std::pair<std::vector<push_item>, push_completion>> held_;
  std::map<uint64_t, std::set<uint32_t>> marks_;
  std::vector<std::string> accepted_;
  std::vector<push_item> items_;
  size_t pushes_ = 0;
  size_t journal_calls_ = 0;
};

inline const std::string queue_key = "task:prepare:queue";
inline const std::string rejected_key = "task:prepare:rejected";
inline const std::string node = "0f0e0d0c-0b0a-4908-8706-050403020100";

inline redis_source_options source_options(uint16_t port) {
  redis_source_options options;
  options.endpoint.port = port;
  options.node_id = node;
  options.backoff_min_ms = 20;
  options.backoff_max_ms = 200;
  options.block_s = 2;
  return options;
}

inline std::string message(const std::string& name) {
  return "{\"task\":\"" + name + "\"}";
}
inline std::string message(const std::string& name, const std::string& channel) {
  return "{\"task\":\"" + name + "\",\"chan\":\"" + channel + "\"}";
}

/// Pushes `prefix0`, `prefix1`, … in one pipeline.
inline void push_numbered(const redis_server& server, const std::string& key, size_t count,
                          const std::string& prefix = "t") {
  auto client = server.client();
  for (size_t from = 0; from < count;) {
    std::vector<std::string> words{"LPUSH", key};
    for (size_t i = 0; i < 500 && from < count; ++i)
      words.push_back(message(prefix + std::to_string(from++)));
    client->command(words);
  }
}

inline std::vector<std::string> numbered(size_t count, const std::string& prefix = "t") {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i)
    names.push_back(prefix + std::to_string(i));
  return names;
}

inline int64_t length(const redis_server& server, const std::string& key) {
  return server.command({"LLEN", key}).integer;
}

/// Names of all taken lists, of any node and key.
inline std::vector<std::string> taken_lists(const redis_server& server) {
  return server.command({"KEYS", "*:taken:*"}).texts();
}

/// Sends the log into a file for as long as it lives.
class captured_log {
public:
  captured_log() {
    log_options options;
    options.file = directory_ / "log";
    options.level = log_level::debug;
    if (auto ok = configure_log(options); !ok)
      throw std::runtime_error(ok.failure().message);
  }
  ~captured_log() { (void)configure_log(log_options{}); }
  captured_log(const captured_log&) = delete;
  captured_log& operator=(const captured_log&) = delete;

  std::string text() const {
    flush_log();
    std::ifstream file(directory_ / "log");
    std::stringstream whole;
    whole << file.rdbuf();
    return whole.str();
  }
  /// Lines that hold `part`.
  size_t count(const std::string& part) const {
    std::istringstream lines(text());
    size_t found = 0;
    for (std::string line; std::getline(lines, line);)
      found += line.find(part) != std::string::npos ? 1 : 0;
    return found;
  }

private:
  temp_dir directory_{"tr-log"};
};

} // namespace task_runner::test
