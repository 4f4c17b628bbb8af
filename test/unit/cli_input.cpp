// Lines from a descriptor, in whatever pieces they come.
#include "services/cli/line_input.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <fcntl.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace task_runner::cli;
using std::chrono::milliseconds;

namespace {

/// A pipe with a reader and a writer.
class feed {
public:
  feed() { REQUIRE(pipe(ends_) == 0); }
  ~feed() {
    close(ends_[0]);
    finish();
  }
  int from() const { return ends_[0]; }
  void write(const std::string& text) {
    REQUIRE(::write(ends_[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void finish() {
    if (ends_[1] >= 0)
      close(ends_[1]);
    ends_[1] = -1;
  }

private:
  int ends_[2] = {-1, -1};
};

} // namespace

TEST_CASE("cli: lines are given as they come, the last one without a line feed too") {
  feed pipe;
  line_input input(pipe.from());
  CHECK(input.share() < 0);
  CHECK_FALSE(input.next(milliseconds(0)));
  CHECK_FALSE(input.at_end());
  pipe.write("one\ntw");
  CHECK(input.next(milliseconds(1'000))->text == "one");
  CHECK_FALSE(input.next(milliseconds(0)));
  pipe.write("o\n\nlast");
  pipe.finish();
  CHECK(input.next(milliseconds(1'000))->text == "two");
  CHECK(input.next(milliseconds(1'000))->text.empty());
  const auto last = input.next(milliseconds(1'000));
  REQUIRE(last);
  CHECK(last->text == "last");
  CHECK(last->number == 4);
  CHECK_FALSE(input.next(milliseconds(1'000)));
  CHECK(input.at_end());
  CHECK(input.failure() == 0);
}

TEST_CASE("cli: a line that is too long is told, not kept, and the next one is whole") {
  feed pipe;
  line_input input(pipe.from());
  std::thread writer([&] {
    pipe.write("short\n");
    for (int i = 0; i < 40; ++i)
      pipe.write(std::string(10'000, 'x'));
    pipe.write("\nfits\n" + std::string(input_line_bytes_max, 'y') + "\n");
    for (int i = 0; i < 40; ++i)
      pipe.write(std::string(10'000, 'z'));
    pipe.finish();
  });
  std::vector<input_line> lines;
  while (auto line = input.next(milliseconds(10'000)))
    lines.push_back(std::move(*line));
  writer.join();
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].text == "short");
  CHECK(lines[1].is_too_long);
  CHECK(lines[1].text.empty());
  CHECK(lines[2].text == "fits");
  CHECK(lines[3].text.size() == input_line_bytes_max);
  CHECK_FALSE(lines[3].is_too_long);
  CHECK(lines[4].is_too_long);
  CHECK(lines[4].number == 5);
}

TEST_CASE("cli: what cannot be read is the end, with its reason") {
  line_input input(-1);
  const auto line = input.next(milliseconds(0));
  CHECK_FALSE(line);
  feed pipe;
  line_input directory(open("/", O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(directory.next(milliseconds(1'000)));
  CHECK(directory.at_end());
  CHECK(directory.failure() == EISDIR);
}
