// The output of attempts as a whole: what is listed, from when, and what deleting leaves.
#include "services/launcher/output_archive.hpp"
#include "services/launcher/output_file.hpp"
#include "test/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <limits>

using namespace task_runner;
using namespace task_runner::test;

namespace {

constexpr wall_time_ms ever = std::numeric_limits<wall_time_ms>::max();

struct state {
  state() { std::filesystem::create_directory(directory.path() + "/output"); }

  /// An attempt with so much output; without an end its tail stays a file of its own.
  void write(const attempt_key& key, size_t bytes, bool finish = true) {
    const launcher::owned_descriptor output(
        ::open((directory.path() + "/output").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    launcher::output_writer writer(output.get(), key, {100, 100});
    writer.append(std::string(bytes, 'x'));
    if (finish)
      writer.finish();
  }

  std::vector<attempt_key> all(output_directory& archive, wall_time_ms before_ms = ever) {
    std::vector<attempt_key> keys;
    for (uint32_t shard = 0; shard < archive.shards(); ++shard) {
      auto listed = archive.list(shard, before_ms, 1'000);
      REQUIRE(listed);
      keys.insert(keys.end(), listed->begin(), listed->end());
    }
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  size_t files() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path() + "/output"))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }

  temp_dir directory;
};

} // namespace

TEST_CASE("the archive lists every attempt with output, ids with dots and all") {
  state parts;
  output_directory archive(parts.directory.path());
  CHECK(parts.all(archive).empty());
  parts.write({"plain", 1}, 10);
  parts.write({"plain", 12}, 10);
  parts.write({"with.dots.1", 3}, 10);
  parts.write({"ends.tail", 4}, 10);
  std::ofstream(parts.directory.path() + "/output/README") << "not an attempt";
  CHECK(parts.all(archive) ==
        std::vector<attempt_key>{{"ends.tail", 4}, {"plain", 1}, {"plain", 12}, {"with.dots.1", 3}});
  CHECK(parts.all(archive, 1'000).empty()); // all of it was written later than 1970
}

TEST_CASE("deleting an attempt's output takes its tail along and leaves other attempts alone") {
  state parts;
  output_directory archive(parts.directory.path());
  parts.write({"task", 1}, 1'000, false);
  parts.write({"task", 2}, 10);
  REQUIRE(parts.files() == 3);
  REQUIRE(archive.remove({"task", 1}));
  CHECK(parts.all(archive) == std::vector<attempt_key>{{"task", 2}});
  CHECK(parts.files() == 1);
  CHECK(archive.remove({"task", 1})); // gone is gone
  CHECK(archive.remove({"never", 1}));
}

TEST_CASE("the archive stops at its limit") {
  state parts;
  output_directory archive(parts.directory.path());
  for (uint32_t attempt = 1; attempt <= 5; ++attempt)
    parts.write({"task", attempt}, 10); // all attempts of a task are in one shard
  size_t most = 0;
  for (uint32_t shard = 0; shard < archive.shards(); ++shard)
    most = std::max(most, archive.list(shard, ever, 3)->size());
  CHECK(most == 3);
}
