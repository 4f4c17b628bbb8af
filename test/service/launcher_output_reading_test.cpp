// The thread that reads output: pieces as asked for, and a disk that hangs holds up nobody but its own queue.
// A FIFO stands for such a disk: opening it for reading blocks until somebody opens it for writing.
#include "services/launcher/output_file.hpp"
#include "services/launcher/output_reading.hpp"
#include "test/support/temp_dir.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;

namespace {

const attempt_key hanging{"hanging", 1};
const attempt_key plain{"plain", 2};

/// A state directory with one attempt that can be read and one whose reading hangs until release().
class slow_disk {
public:
  slow_disk() {
    write(plain, "0123456789");
    std::filesystem::create_directories(std::filesystem::path(path_of(hanging)).parent_path());
    REQUIRE(mkfifo(path_of(hanging).c_str(), 0600) == 0);
  }
  ~slow_disk() {
    release();
    close(end_);
  }
  slow_disk(const slow_disk&) = delete;
  slow_disk& operator=(const slow_disk&) = delete;

  const std::string& path() const { return directory_.path(); }
  /// Whoever opens it from now on does not wait, and those that do go on.
  void release() {
    if (end_ < 0)
      end_ = open(path_of(hanging).c_str(), O_RDWR | O_CLOEXEC);
  }

private:
  std::string path_of(const attempt_key& key) const { return directory_ / output_path(key); }
  void write(const attempt_key& key, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path_of(key)).parent_path());
    std::ofstream(path_of(key)) << text;
  }

  temp_dir directory_{"tr-output"};
  int end_ = -1;
};

/// Collects answers in the order in which they come: offset, bytes and size, or the error's code.
class answers {
public:
  output_completion expect() {
    return [this](const result<output_piece>& piece) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(piece ? std::to_string(piece->offset) + ":" + piece->bytes + "/" +
                                   std::to_string(piece->size)
                             : std::string(to_string(piece.failure().code)));
    };
  }
  std::vector<std::string> wait_for(size_t count) {
    REQUIRE(wait_until([&] { return all().size() >= count; }));
    return all();
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("output is read by pieces, on a thread of its own", "[launcher][output]") {
  const slow_disk disk;
  answers got;
  output_reading reading(disk.path());
  REQUIRE(reading.start());
  REQUIRE(reading.read(plain, {0, false, 100}, got.expect()));
  REQUIRE(reading.read(plain, {3, false, 4}, got.expect()));
  REQUIRE(reading.read(plain, {10, false, 4}, got.expect()));
  REQUIRE(reading.read({"silent", 1}, {0, false, 100}, got.expect()));
  REQUIRE(reading.read(plain, {3, true, 100}, got.expect()));
  REQUIRE(reading.read(plain, {3, true, 1}, got.expect()));
  REQUIRE(reading.read(plain, {30, true, 2}, got.expect()));
  REQUIRE(reading.read(plain, {0, true, 2}, got.expect()));
  CHECK(got.wait_for(8) ==
        lines{"0:0123456789/10", "3:3456/10", "10:/10", "0:/0", "7:789/10", "7:7/10", "0:01/10", "10:/10"});
}

TEST_CASE("a disk that hangs fills the queue, and no more than the queue", "[launcher][output]") {
  slow_disk disk;
  answers got;
  output_reading_limits limits;
  limits.waiting_max = 1;
  output_reading reading(disk.path(), limits);
  REQUIRE(reading.start());
  REQUIRE(reading.read(hanging, {0, false, 100}, got.expect()));
  // There is a place for it as soon as the thread hangs.
  REQUIRE(wait_until([&] { return static_cast<bool>(reading.read(plain, {3, false, 4}, got.expect())); }));
  const auto refused = reading.read(plain, {0, false, 100}, got.expect());
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == error_code::overloaded);
  CHECK(got.all().empty());
  disk.release();
  CHECK(got.wait_for(2) == lines{"0:/0", "3:3456/10"});
}

TEST_CASE("who has waited for too long is not read for", "[launcher][output]") {
  slow_disk disk;
  answers got;
  output_reading_limits limits;
  limits.patience = std::chrono::milliseconds(50);
  output_reading reading(disk.path(), limits);
  REQUIRE(reading.start());
  REQUIRE(reading.read(hanging, {0, false, 100}, got.expect()));
  REQUIRE(reading.read(plain, {0, false, 100}, got.expect()));
  const auto asked_at = std::chrono::steady_clock::now();
  REQUIRE(wait_until([&] { return std::chrono::steady_clock::now() - asked_at > limits.patience * 2; }));
  disk.release();
  CHECK(got.wait_for(2).back() == "timeout");
  REQUIRE(reading.read(plain, {0, false, 1}, got.expect()));
  CHECK(got.wait_for(3).back() == "0:0/10");
}

TEST_CASE("stopping answers those who wait at once, and then refuses", "[launcher][output]") {
  slow_disk disk;
  answers got;
  output_reading_limits limits;
  limits.waiting_max = 1;
  output_reading reading(disk.path(), limits);
  REQUIRE(reading.start());
  REQUIRE(reading.read(hanging, {0, false, 100}, got.expect()));
  REQUIRE(wait_until([&] { return static_cast<bool>(reading.read(plain, {0, false, 100}, got.expect())); }));
  std::thread stopping([&] { reading.stop(); });
  // Before the disk answers: only the reading that has begun is waited for.
  CHECK(got.wait_for(1) == lines{"draining"});
  disk.release();
  stopping.join();
  CHECK(got.all() == lines{"draining", "0:/0"});
  const auto refused = reading.read(plain, {0, false, 100}, got.expect());
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == error_code::draining);
  reading.stop();
}
