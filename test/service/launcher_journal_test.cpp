// The journal and the output files by themselves: what is written comes back, and no damage goes unsurvived.
#include "services/launcher/attempt_codec.hpp"
#include "services/launcher/journal.hpp"
#include "services/launcher/output_file.hpp"
#include "services/launcher/packet_socket.hpp"
#include "test/service/launcher_support.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::launcher;
using launcher_test::read_file;
using launcher_test::scratch_directory;
using launcher_test::write_file;

namespace {

journalled_attempt started_attempt(const std::string& id, int pid) {
  journalled_attempt one;
  one.attempt.key = {id, 1};
  one.attempt.channel = "default";
  one.attempt.pid = pid;
  one.attempt.started_at_ms = 1'700'000'000'000;
  one.process_began_ms = 4'711;
  one.tag = 0x8000'0000'0000'002aU;
  one.slot = "slot-7";
  return one;
}

attempt_ended ended_attempt(const std::string& id, int code) {
  attempt_ended end;
  end.key = {id, 1};
  end.channel = "default";
  end.how = {outcome_kind::exited, code, {}};
  end.started_at_ms = 1'700'000'000'000;
  end.ended_at_ms = 1'700'000'000'500;
  end.output_bytes = 12;
  return end;
}

struct journal_place {
  scratch_directory scratch;
  owned_descriptor directory{::open(scratch.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  std::string file() const { return scratch.path() + "/launcher.journal"; }

  std::unique_ptr<journal> open(journal_contents& found) const {
    result<std::unique_ptr<journal>> opened = journal::open(directory.get(), found);
    REQUIRE(opened);
    return std::move(*opened);
  }
};

} // namespace

TEST_CASE("the journal's checksum is the common CRC-32", "[launcher][journal]") {
  CHECK(crc32("123456789") == 0xcbf43926U);
  CHECK(crc32("") == 0);
}

TEST_CASE("the journal remembers what is not settled", "[launcher][journal]") {
  const journal_place place;
  {
    journal_contents found;
    const auto book = place.open(found);
    CHECK(found.attempts.empty());
    book->started(started_attempt("runs", 10));
    book->started(started_attempt("ends", 11));
    book->ended(ended_attempt("ends", 3));
    book->started(started_attempt("settled", 12));
    book->ended(ended_attempt("settled", 0));
    book->settled({"settled", 1});
    attempt_ended failed = ended_attempt("failed", 0);
    failed.how = {outcome_kind::spawn_failed, 0, "no such program: x"};
    book->ended(failed);
    REQUIRE(book->flush());
  }
  journal_contents found;
  const auto book = place.open(found);
  CHECK(found.cut_bytes == 0);
  REQUIRE(found.attempts.size() == 3);
  CHECK(found.attempts[0].attempt.key.task_id == "runs");
  CHECK_FALSE(found.attempts[0].attempt.ended);
  CHECK(found.attempts[0].attempt.pid == 10);
  CHECK(found.attempts[0].process_began_ms == 4'711);
  CHECK(found.attempts[0].tag == 0x8000'0000'0000'002aU);
  CHECK(found.attempts[0].slot == "slot-7");
  CHECK_FALSE(found.attempts[0].stopping);
  CHECK(found.attempts[1].attempt.ended);
  CHECK(found.attempts[1].attempt.end.how == outcome{outcome_kind::exited, 3, {}});
  CHECK(found.attempts[1].attempt.end.output_bytes == 12);
  CHECK(found.attempts[2].attempt.end.how.error == "no such program: x");
}

TEST_CASE("a journal cut or damaged at any byte is survived up to there", "[launcher][journal]") {
  const journal_place place;
  std::vector<size_t> ends;
  {
    journal_contents found;
    const auto book = place.open(found);
    for (int i = 0; i < 5; ++i) {
      book->ended(ended_attempt("t" + std::to_string(i), i));
      REQUIRE(book->flush());
      ends.push_back(static_cast<size_t>(book->size()));
    }
  }
  const std::string whole = read_file(place.file());
  REQUIRE(whole.size() == ends.back());
  const auto survivors = [&](size_t upto) {
    return static_cast<size_t>(
        std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= upto; }));
  };
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    write_file(place.file(), whole.substr(0, cut));
    journal_contents found;
    const auto book = place.open(found);
    CHECK(found.attempts.size() == survivors(cut));
    book->ended(ended_attempt("after", 9));
    REQUIRE(book->flush());
    journal_contents again;
    place.open(again);
    REQUIRE(again.attempts.size() == survivors(cut) + 1);
    CHECK(again.attempts.back().attempt.key.task_id == "after");
    CHECK(again.cut_bytes == 0);
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    write_file(place.file(), damaged);
    journal_contents found;
    place.open(found);
    const size_t kept = at < 8 ? 0 : survivors(at);
    CHECK(found.attempts.size() == kept);
    CHECK(found.good_bytes == (at < 8 ? 0 : kept == 0 ? 8 : ends[kept - 1]));
    CHECK(found.cut_bytes == whole.size() - found.good_bytes);
  }
}

TEST_CASE("records that are whole and make no sense end the journal", "[launcher][journal]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const journal_place place;
  {
    journal_contents found;
    const auto book = place.open(found);
    book->started(started_attempt("runs", 10));
    book->stopping({"runs", 1}, outcome_kind::timed_out);
    book->ended(ended_attempt("good", 1));
    REQUIRE(book->flush());
  }
  const std::string good = read_file(place.file());
  for (int round = 0; round < 2'000; ++round) {
    // A true length and checksum around anything.
    std::string payload(1 + random() % 120, '\0');
    for (char& one : payload)
      one = static_cast<char>(random() & 0xffU);
    payload[0] = static_cast<char>(random() % 8);
    byte_writer out;
    out.number(static_cast<uint32_t>(payload.size()));
    out.number(crc32(payload));
    out.raw(payload);
    write_file(place.file(), good + out.bytes());
    journal_contents found;
    place.open(found);
    REQUIRE(found.attempts.size() >= 2);
    CHECK(found.attempts[0].stopping == outcome_kind::timed_out);
    CHECK(found.good_bytes + found.cut_bytes == good.size() + out.bytes().size());
  }
}

TEST_CASE("the journal knows why a tree was being ended", "[launcher][journal]") {
  const journal_place place;
  std::vector<journalled_attempt> live;
  {
    journal_contents found;
    const auto book = place.open(found);
    book->started(started_attempt("late", 10));
    book->stopping({"late", 1}, outcome_kind::timed_out);
    book->started(started_attempt("unwanted", 11));
    book->stopping({"unwanted", 1}, outcome_kind::timed_out);
    book->stopping({"unwanted", 1}, outcome_kind::cancelled);
    book->stopping({"unheard-of", 1}, outcome_kind::cancelled);
    REQUIRE(book->flush());
  }
  for (const char* way : {"as it was written", "as it is rewritten"}) {
    INFO(way);
    journal_contents found;
    const auto book = place.open(found);
    CHECK(found.cut_bytes == 0);
    REQUIRE(found.attempts.size() == 2);
    CHECK(found.attempts[0].stopping == outcome_kind::timed_out);
    CHECK(found.attempts[1].stopping == outcome_kind::cancelled);
    CHECK(found.attempts[1].slot == "slot-7");
    REQUIRE(book->rewrite(found.attempts));
  }
}

TEST_CASE("a journal of version 0.1 is read to its end", "[launcher][journal]") {
  const journal_place place;
  const auto record = [](const std::string& payload) {
    byte_writer out;
    out.number(static_cast<uint32_t>(payload.size()));
    out.number(crc32(payload));
    out.raw(payload);
    return out.bytes();
  };
  byte_writer started;
  started.number(uint8_t{1});
  write_key(started, {"old", 1});
  started.text("default");
  started.number(int32_t{77});
  started.number(int64_t{1'700'000'000'000});
  started.number(uint64_t{4'711});
  byte_writer ended;
  ended.number(uint8_t{2});
  write_ended(ended, ended_attempt("done", 5));
  ended.bytes().resize(ended.bytes().size() - sizeof(uint32_t)); // it had no survivors
  write_file(place.file(), "TRJRNL1\n" + record(started.bytes()) + record(ended.bytes()));
  journal_contents found;
  place.open(found);
  CHECK(found.cut_bytes == 0);
  REQUIRE(found.attempts.size() == 2);
  CHECK(found.attempts[0].attempt.pid == 77);
  CHECK(found.attempts[0].tag == 0);
  CHECK(found.attempts[1].attempt.end.how.code == 5);
}

TEST_CASE("another program goes on with the journal where it stands", "[launcher][journal]") {
  const journal_place place;
  journal_contents found;
  auto book = place.open(found);
  book->started(started_attempt("a", 10));
  REQUIRE(book->flush());
  book->started(started_attempt("b", 11)); // not flushed: the disk refuses, say
  const journal_position position = book->position();
  book.reset();
  auto again = journal::reopen(place.directory.get(), position);
  REQUIRE(again);
  REQUIRE((*again)->flush());
  (*again)->started(started_attempt("c", 12));
  REQUIRE((*again)->flush());
  CHECK_FALSE((*again)->wants_rewrite(3));
  journal_contents all;
  place.open(all);
  CHECK(all.cut_bytes == 0);
  REQUIRE(all.attempts.size() == 3);
  // A file that was shortened meanwhile is written anew from what is in memory.
  std::filesystem::resize_file(place.file(), 20);
  auto shortened = journal::reopen(place.directory.get(), position);
  REQUIRE(shortened);
  CHECK((*shortened)->wants_rewrite(3));
}

TEST_CASE("random bytes behind the journal are cut off", "[launcher][journal]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const journal_place place;
  {
    journal_contents found;
    const auto book = place.open(found);
    book->ended(ended_attempt("good", 1));
    REQUIRE(book->flush());
  }
  const std::string good = read_file(place.file());
  for (int round = 0; round < 300; ++round) {
    std::string tail(1 + random() % 300, '\0');
    for (char& one : tail)
      one = static_cast<char>(random() & 0xffU);
    write_file(place.file(), good + tail);
    journal_contents found;
    place.open(found);
    CHECK(found.attempts.size() == 1);
    CHECK(found.cut_bytes == tail.size());
    CHECK(read_file(place.file()) == good);
  }
}

TEST_CASE("the journal stays small when everything is settled", "[launcher][journal]") {
  const journal_place place;
  journal_contents found;
  const auto book = place.open(found);
  uint64_t largest = 0;
  for (int i = 0; i < 5'000; ++i) {
    const std::string id = "task-" + std::to_string(i);
    book->started(started_attempt(id, i + 1));
    book->ended(ended_attempt(id, 0));
    book->settled({id, 1});
    REQUIRE(book->flush());
    if (book->wants_rewrite(1))
      REQUIRE(book->rewrite({started_attempt("live", 99)}));
    largest = std::max(largest, book->size());
  }
  CHECK(largest < 300'000);
  CHECK(std::filesystem::file_size(place.file()) == book->size());
  journal_contents again;
  place.open(again);
  REQUIRE_FALSE(again.attempts.empty());
  CHECK(again.attempts.front().attempt.key.task_id == "live");
  CHECK_FALSE(std::filesystem::exists(place.scratch.path() + "/launcher.journal.new"));
}

namespace {

struct output_place {
  scratch_directory scratch;
  owned_descriptor directory;
  attempt_key key{"task", 2};

  output_place() {
    std::filesystem::create_directory(scratch.path() + "/output");
    directory.reset(::open((scratch.path() + "/output").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  std::string all() const {
    const result<std::string> text = read_output(scratch.path(), key, 0, 1'000'000);
    REQUIRE(text);
    CHECK(*output_size(scratch.path(), key) == text->size());
    // Read in odd pieces it is the same.
    std::string pieces;
    for (;;) {
      const result<std::string> piece = read_output(scratch.path(), key, pieces.size(), 7);
      REQUIRE(piece);
      if (piece->empty())
        break;
      pieces += *piece;
    }
    CHECK(pieces == *text);
    return *text;
  }
  bool has_tail() const { return std::filesystem::exists(scratch.path() + "/" + output_path(key) + ".tail"); }
};

/// What is kept of `text` under the limits.
std::string expected(const std::string& text, size_t head, size_t tail) {
  if (text.size() <= head + tail)
    return text;
  return text.substr(0, head) + "\n[task-runner: " + std::to_string(text.size() - head - tail) +
         " bytes of output left out here]\n" + text.substr(text.size() - tail);
}

} // namespace

TEST_CASE("output is kept head and tail, whatever the pieces it came in", "[launcher][output]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    const output_place place;
    const size_t head = random() % 40;
    const size_t tail = 1 + random() % 40;
    output_writer writer(place.directory.get(), place.key, {head, tail});
    std::string text;
    for (auto pieces = random() % 12; pieces > 0; --pieces) {
      std::string piece(random() % 30, '\0');
      for (char& one : piece)
        one = static_cast<char>('a' + random() % 26);
      text += piece;
      writer.append(piece);
      CHECK(place.all() == expected(text, head, tail));
      // As a launcher does with those that it has too many of.
      if (random() % 3 == 0) {
        writer.close_files();
        CHECK_FALSE(writer.holds_files());
      }
    }
    CHECK(writer.total_bytes() == text.size());
    writer.finish();
    CHECK(place.all() == expected(text, head, tail));
    CHECK_FALSE(place.has_tail());
    const std::string path = place.scratch.path() + "/" + output_path(place.key);
    CHECK(std::filesystem::exists(path) == !text.empty());
    if (!text.empty())
      CHECK(read_file(path) == expected(text, head, tail));
    CHECK(writer.failed_bytes() == 0);
  }
}

TEST_CASE("output of a launcher that died is read and joined later", "[launcher][output]") {
  const output_place place;
  const std::string text(100, 'x');
  {
    output_writer writer(place.directory.get(), place.key, {10, 20});
    writer.append("begin" + text + "end");
  }
  CHECK(place.has_tail());
  const std::string kept = expected("begin" + text + "end", 10, 20);
  CHECK(place.all() == kept);
  // A merge that was cut short: half of it stands behind the head already.
  std::filesystem::resize_file(place.scratch.path() + "/" + output_path(place.key), 25);
  CHECK(place.all() == kept);
  finish_leftover_output(place.directory.get(), place.key);
  CHECK_FALSE(place.has_tail());
  CHECK(place.all() == kept);
  finish_leftover_output(place.directory.get(), place.key);
  CHECK(place.all() == kept);
}

TEST_CASE("names that look like paths stay names", "[launcher][output]") {
  CHECK(output_path({"..", 1}).substr(0, 7) == "output/");
  CHECK(output_path({"..", 1}).substr(9) == "/...1");
  CHECK(output_path({"a:b.c", 12}).substr(9) == "/a:b.c.12");
  // The hash is part of the format: it must not change.
  CHECK(output_path({"a", 1}) == output_path({"a", 1}));
  CHECK(output_path({"018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f", 1}).substr(7, 2) ==
        output_path({"018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f", 2}).substr(7, 2));
}

TEST_CASE("output that cannot be written is counted, and nothing else happens", "[launcher][output]") {
  const output_place place;
  // A file where the shard's directory should be.
  write_file(place.scratch.path() + "/" + output_path(place.key).substr(0, 9), "in the way");
  output_writer writer(place.directory.get(), place.key, {});
  writer.append("hello");
  writer.finish();
  CHECK(writer.total_bytes() == 5);
  CHECK(writer.failed_bytes() == 5);
  CHECK_FALSE(output_size(place.scratch.path(), place.key));
}
