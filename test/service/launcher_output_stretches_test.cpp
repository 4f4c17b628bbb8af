// Output by its place in all that was written: every byte that is given is the one that was written there,
// while the command runs, when it has ended, and whatever was left out.
#include "services/launcher/output_file.hpp"
#include "services/launcher/output_stretches.hpp"
#include "test/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>

using namespace task_runner;
using namespace task_runner::test;

namespace {

constexpr uint64_t head_max = 300;
constexpr uint64_t tail_max = 200;
const attempt_key key{"task", 1};

/// An attempt that writes, and all that it has written.
class writing {
public:
  writing()
      : output_((std::filesystem::create_directory(directory_ / "output"),
                 ::open((directory_ / "output").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
      , writer_(output_.get(), key, {head_max, tail_max}) {}

  void append(const std::string& bytes) {
    writer_.append(bytes);
    written += bytes;
  }
  /// So many bytes that tell their place.
  void append(size_t count) {
    std::string bytes;
    for (size_t i = 0; i < count; ++i)
      bytes += static_cast<char>('a' + (written.size() + i) * 7 % 23);
    append(bytes);
  }
  void finish() { writer_.finish(); }

  /// Reads on from `at` as far as there is something, and checks it; gives what lay between and was not kept.
  uint64_t read_on(uint64_t& at, size_t length_max = 64) {
    output_stretches outputs(directory_.path(), head_max);
    uint64_t missing = 0;
    for (;;) {
      const auto found = outputs.read(key, at, length_max);
      REQUIRE(found);
      CHECK(found->written == written.size());
      CHECK(found->offset >= at);
      CHECK(found->bytes.size() <= length_max);
      missing += found->offset - at;
      at = found->offset + found->bytes.size();
      if (found->bytes.empty())
        return missing;
      CHECK(found->bytes == written.substr(found->offset, found->bytes.size()));
    }
  }

  const std::string& path() const { return directory_.path(); }

  std::string written;

private:
  temp_dir directory_{"tr-stretches"};
  launcher::owned_descriptor output_;
  launcher::output_writer writer_;
};

} // namespace

TEST_CASE("nothing written is no error, and neither is a place behind everything") {
  writing attempt;
  output_stretches outputs(attempt.path(), head_max);
  const auto nothing = outputs.read(key, 5, 10);
  REQUIRE(nothing);
  CHECK(nothing->bytes.empty());
  CHECK(nothing->offset == 5);
  CHECK(nothing->written == 0);
  attempt.append(10);
  const auto behind = outputs.read(key, 11, 10);
  REQUIRE(behind);
  CHECK(behind->bytes.empty());
  CHECK(behind->offset == 11);
  CHECK(behind->written == 10);
}

TEST_CASE("a reader that keeps up with the command gets every byte, far beyond what is kept in the end") {
  writing attempt;
  uint64_t at = 0;
  for (int i = 0; i < 100; ++i) {
    attempt.append(static_cast<size_t>(i) % 90 + 1);
    CHECK(attempt.read_on(at) == 0);
    CHECK(at == attempt.written.size());
  }
  attempt.finish();
  CHECK(attempt.read_on(at) == 0);
  CHECK(at == attempt.written.size());
}

TEST_CASE("a reader that comes late gets the head and the end, and learns what lies between") {
  writing attempt;
  const bool finished = GENERATE(false, true);
  const size_t size = GENERATE(10U, 300U, 301U, 400U, 500U, 501U, 5'000U);
  attempt.append(size);
  if (finished)
    attempt.finish();
  uint64_t at = 0;
  const auto missing = attempt.read_on(at);
  CHECK(at == size);
  const auto dropped = size > head_max + tail_max ? size - head_max - tail_max : 0;
  if (finished)
    CHECK(missing == dropped);
  else
    CHECK((missing >= dropped && missing <= dropped + tail_max / 2));
}

TEST_CASE("a reader finds its place again when the command has ended") {
  writing attempt;
  attempt.append(450);
  uint64_t in_head = 100;
  uint64_t in_tail = 420;
  attempt.append(350);
  attempt.finish();
  // 600 to 800 are kept.
  CHECK(attempt.read_on(in_head) == 300);
  CHECK(attempt.read_on(in_tail) == 180);
  uint64_t kept = 700;
  CHECK(attempt.read_on(kept) == 0);
  uint64_t end = 800;
  CHECK(attempt.read_on(end) == 0);
}

TEST_CASE("a line that only looks like the one for what was left out is output") {
  writing attempt;
  attempt.append(100);
  attempt.append("\n[task-runner: 17 bytes of output left out here]\n");
  attempt.append(100);
  attempt.finish();
  uint64_t at = 0;
  CHECK(attempt.read_on(at) == 0);
  CHECK(at == attempt.written.size());
}

TEST_CASE("readers of many kinds of writing get nothing wrong") {
  std::mt19937 random(20'261);
  for (int round = 0; round < 50; ++round) {
    writing attempt;
    uint64_t quick = 0;
    uint64_t slow = 0;
    uint64_t missed = 0;
    for (int i = 0; i < 30; ++i) {
      attempt.append(random() % 150);
      CHECK(attempt.read_on(quick, random() % 64 + 1) <= 150);
      if (random() % 8 == 0)
        missed += attempt.read_on(slow);
    }
    attempt.finish();
    attempt.read_on(quick);
    missed += attempt.read_on(slow);
    CHECK(quick == attempt.written.size());
    CHECK(slow == attempt.written.size());
    CHECK(missed <= attempt.written.size());
  }
}

TEST_CASE("output that cannot be read is an error") {
  temp_dir directory{"tr-stretches"};
  std::filesystem::create_directories(std::filesystem::path(directory / output_path(key)));
  output_stretches outputs(directory.path(), head_max);
  const auto found = outputs.read(key, 0, 10);
  REQUIRE_FALSE(found);
  CHECK(found.failure().code == error_code::unavailable);
}
