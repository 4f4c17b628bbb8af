// What the tests of the writer thread share: a store that fails by a script, a writer that is held, and a
// collection of fates. Free of CAF and Pistache, so that ThreadSanitizer's word counts.
#pragma once

#include "services/store/group_commit.hpp"
#include "services/store/memory_store.hpp"
#include "test/contract/store_support.hpp"

#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// A store in memory that a test can make fail, and that counts what is asked of it.
class scripted_store final : public queue_store {
public:
  using script = std::function<std::optional<error>(const std::vector<store_operation>&)>;

  explicit scripted_store(script failing, bool* closed = nullptr)
      : failing_(std::move(failing))
      , closed_(closed) {}
  ~scripted_store() override {
    if (closed_ != nullptr)
      *closed_ = true;
  }

  result<std::vector<store_answer>> apply(const std::vector<store_operation>& operations) override {
    if (failing_)
      if (auto failure = failing_(operations))
        return *failure;
    return inner_.apply(operations);
  }
  result<std::vector<channel_record>> load_channels() override { return inner_.load_channels(); }
  result<channel_recovery> recover_channel(const std::string& c) override {
    return inner_.recover_channel(c);
  }
  result<std::vector<task>> load_pending(const std::string& c, order_key after,
                                         window_limits limits) override {
    return inner_.load_pending(c, after, limits);
  }
  result<std::vector<task>> load_held(const std::string& c, uint32_t limit) override {
    return inner_.load_held(c, limit);
  }
  result<std::vector<task>> load_delayed(const std::string& c, uint32_t limit) override {
    return inner_.load_delayed(c, limit);
  }
  result<std::optional<task>> find_task(const std::string& id) override { return inner_.find_task(id); }
  result<std::vector<task>> find_tasks(const std::vector<std::string>& ids) override {
    return inner_.find_tasks(ids);
  }
  result<std::vector<attempt_record>> load_attempts(const std::string& id) override {
    return inner_.load_attempts(id);
  }
  result<task_page> list_tasks(const task_filter& filter, listing_place after, uint32_t limit) override {
    return inner_.list_tasks(filter, after, limit);
  }
  result<std::optional<clock_mark>> load_clock() override { return inner_.load_clock(); }
  result<std::vector<uint32_t>> load_marks(uint64_t batch) override { return inner_.load_marks(batch); }
  result<std::vector<uint64_t>> load_marked_batches() override { return inner_.load_marked_batches(); }
  result<store_totals> totals() override { return inner_.totals(); }
  result<void> try_commit() override {
    const auto failure = failing_ ? failing_({}) : std::nullopt;
    return failure ? result<void>(*failure) : result<void>();
  }
  result<void> keep_dead_letters(std::shared_ptr<dead_letter_counts> counts) override {
    return inner_.keep_dead_letters(std::move(counts));
  }

private:
  memory_store inner_;
  script failing_;
  bool* closed_;
};

inline std::unique_ptr<group_commit> start(std::unique_ptr<queue_store> store,
                                           group_commit_limits limits = {}) {
  return require_value(group_commit::start(std::move(store), limits));
}

inline std::vector<store_operation> inserting(const std::string& id) {
  return {insert_task{make_task(id), std::nullopt}};
}

/// Holds the writer thread until destroyed or released, so that what is submitted meanwhile gathers.
class held_writer {
public:
  explicit held_writer(group_commit& commits) {
    REQUIRE(commits.read([held = doors_](queue_store&) {
      held->entered.open();
      if (!held->released.wait())
        std::abort(); // A test that forgot to release would otherwise hang until its time limit.
    }));
    REQUIRE(doors_->entered.wait());
  }
  ~held_writer() { release(); }
  void release() { doors_->released.open(); }

private:
  struct doors {
    gate entered;
    gate released;
  };
  /// Shared with the job, which may still be leaving when this is gone.
  std::shared_ptr<doors> doors_ = std::make_shared<doors>();
};

/// Collects the fate of submissions by name. Thread-safe.
class outcomes {
public:
  store_completion expect(const std::string& name) {
    return [this, name](result<std::vector<store_answer>> answers) {
      {
        const std::lock_guard lock(mutex_);
        lines_.push_back(name + (answers ? " ok " + std::to_string(answers->size())
                                         : " " + std::string(to_string(answers.failure().code))));
      }
      told_.add();
    };
  }
  std::vector<std::string> wait_for(uint64_t number) {
    REQUIRE(told_.wait_for(number));
    const std::lock_guard lock(mutex_);
    return lines_;
  }

private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
  event_counter told_;
};

using lines = std::vector<std::string>;

} // namespace task_runner::test
