// The log's lines as whoever reads stderr gets them: with a time of their own, or with what systemd's journal
// asks for.
#include "services/observability/log.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;

namespace {

/// stderr is a file for as long as this lives; afterwards it is what it was, and so is the log.
class stderr_in_file {
public:
  stderr_in_file()
      : file_(std::tmpfile())
      , before_(::dup(STDERR_FILENO)) {
    REQUIRE(file_ != nullptr);
    REQUIRE(before_ >= 0);
    REQUIRE(::dup2(::fileno(file_), STDERR_FILENO) >= 0);
  }
  ~stderr_in_file() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    std::fclose(file_);
    ::unsetenv("JOURNAL_STREAM");
    (void)configure_log({});
  }
  stderr_in_file(const stderr_in_file&) = delete;
  stderr_in_file& operator=(const stderr_in_file&) = delete;

  /// As systemd says it, of the file or, one inode off, of another one.
  void announce_journal(ino_t off_by = 0) const {
    struct stat there {};
    REQUIRE(::fstat(STDERR_FILENO, &there) == 0);
    const auto text = std::to_string(there.st_dev) + ":" + std::to_string(there.st_ino + off_by);
    REQUIRE(::setenv("JOURNAL_STREAM", text.c_str(), 1) == 0);
  }

  std::string text() const {
    flush_log();
    std::string all;
    std::rewind(file_);
    for (int byte = std::fgetc(file_); byte != EOF; byte = std::fgetc(file_))
      all += static_cast<char>(byte);
    return all;
  }

private:
  std::FILE* file_;
  int before_;
};

log_options options(log_format format) {
  log_options chosen;
  chosen.format = format;
  return chosen;
}

} // namespace

TEST_CASE("a line of the log has its time and its level") {
  const stderr_in_file place;
  REQUIRE(configure_log(options(log_format::text)));
  log_event(log_level::warning, "disk is full", {{"path", "/a b"}, {"free", 0}});
  const auto text = place.text();
  REQUIRE(text.size() > 25);
  CHECK(text.substr(4, 1) == "-");
  CHECK(text.substr(text.find(' ')) == " warning disk is full path=\"/a b\" free=0\n");
}

TEST_CASE("what tasks say cannot drive a terminal that shows the log") {
  const stderr_in_file place;
  REQUIRE(configure_log(options(log_format::text)));
  log_event(log_level::info, "said",
            {{"name", "a\xc2\x9b"
                      "2J"},
             {"other", "\xe2\x80\xae"
                       "b"},
             {"plain", "\xc3\xa4"}});
  const auto text = place.text();
  CHECK(text.substr(text.find(" info")) ==
        " info said name=\"a\\u009b2J\" other=\"\\u202eb\" plain=\xc3\xa4\n");
}

TEST_CASE("a line for systemd's journal begins with its priority, and leaves time and level to it") {
  const stderr_in_file place;
  place.announce_journal();
  REQUIRE(configure_log(options(log_format::text)));
  log_event(log_level::info, "listening", {{"port", 1}});
  log_event(log_level::warning, "disk is full");
  log_event(log_level::error, "gone", {{"reason", "a\nb"}});
  CHECK(place.text() == "<6>listening port=1\n<4>disk is full\n<3>gone reason=\"a\\u000ab\"\n");
}

TEST_CASE("JSON for systemd's journal keeps all members") {
  const stderr_in_file place;
  place.announce_journal();
  REQUIRE(configure_log(options(log_format::json)));
  log_event(log_level::error, "gone", {{"port", 1}});
  const auto text = place.text();
  CHECK(text.rfind("<3>{\"time\":\"", 0) == 0);
  CHECK(text.find("\"level\":\"error\",\"message\":\"gone\",\"port\":1}\n") != std::string::npos);
}

TEST_CASE("a journal that is announced for another stream means nothing") {
  const stderr_in_file place;
  place.announce_journal(1);
  REQUIRE(configure_log(options(log_format::text)));
  log_event(log_level::info, "listening");
  CHECK(place.text().find(" info listening\n") != std::string::npos);
}
