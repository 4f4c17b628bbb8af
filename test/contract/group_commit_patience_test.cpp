// What is submitted patiently: it waits for company while the machine is busy, and for nothing else.
#include "test/contract/group_commit_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// A writer that notes how many operations each transaction held, and would wait for longer than any test.
struct patient_writer {
  explicit patient_writer(bool busy, uint64_t operations_max = 128) {
    group_commit_limits limits;
    limits.patience_us = 3'600'000'000;
    limits.patient_operations_max = operations_max;
    limits.is_busy = [this, busy] {
      ++looks;
      return busy;
    };
    auto store = std::make_unique<scripted_store>([this](const std::vector<store_operation>& operations) {
      sizes.push_back(operations.size());
      return std::optional<error>{};
    });
    commits = test::start(std::move(store), std::move(limits));
    // Patience counts from the last commit.
    REQUIRE(commits->submit(inserting("first"), fates.expect("first")));
    fates.wait_for(1);
  }

  void submit_patiently(const std::string& id) {
    REQUIRE(commits->submit_patiently(inserting(id), fates.expect(id)));
  }
  /// Until the writer has asked whether to wait; if so, it waits by now, or is about to.
  void wait_for_look() {
    REQUIRE(wait_until([&] { return looks > 0; }));
  }

  std::atomic<int> looks{0};
  /// Of the writer's thread; to be read when it has stopped.
  std::vector<size_t> sizes;
  outcomes fates;
  std::unique_ptr<group_commit> commits;
};

} // namespace

TEST_CASE(
    "group commit: on a busy machine patient submissions wait for one that is not, and share its commit") {
  patient_writer writer(true);
  writer.submit_patiently("a");
  writer.wait_for_look();
  writer.submit_patiently("b");
  REQUIRE(writer.commits->submit(inserting("c"), writer.fates.expect("c")));
  REQUIRE(writer.fates.wait_for(4) == lines{"first ok 1", "a ok 1", "b ok 1", "c ok 1"});
  writer.commits->stop();
  CHECK(writer.sizes == std::vector<size_t>{1, 3});
}

TEST_CASE("group commit: a read ends the wait of what stands before it") {
  patient_writer writer(true);
  writer.submit_patiently("a");
  writer.wait_for_look();
  gate read;
  bool found = false;
  REQUIRE(writer.commits->read([&](queue_store& store) {
    const auto task = store.find_task("a");
    found = task && task->has_value();
    read.open();
  }));
  REQUIRE(read.wait());
  CHECK(found);
  REQUIRE(writer.fates.wait_for(2).back() == "a ok 1");
}

TEST_CASE("group commit: patience ends when enough has gathered") {
  patient_writer writer(true, 5);
  for (const char* id : {"a", "b", "c", "d", "e"})
    writer.submit_patiently(id);
  writer.fates.wait_for(6);
  writer.commits->stop();
  CHECK(writer.sizes == std::vector<size_t>{1, 5});
}

TEST_CASE("group commit: a machine with time to spare makes nobody wait") {
  patient_writer writer(false);
  writer.submit_patiently("a");
  REQUIRE(writer.fates.wait_for(2).back() == "a ok 1");
  writer.submit_patiently("b");
  REQUIRE(writer.fates.wait_for(3).back() == "b ok 1");
}

TEST_CASE("group commit: a stop ends the patience and commits") {
  patient_writer writer(true);
  writer.submit_patiently("a");
  writer.wait_for_look();
  writer.commits->stop();
  REQUIRE(writer.fates.wait_for(2).back() == "a ok 1");
  CHECK(writer.commits->counters().commits == 2);
}
