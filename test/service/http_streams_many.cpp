// A thousand streams at once, with readers that are dead, slow or leave: what the others get, and how long
// other requests wait meanwhile.
#include "test/service/http_stream_server.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>

using namespace task_runner;
using namespace task_runner::test;

namespace {

constexpr size_t streams = 1'000;
constexpr size_t dead_readers = 100;
constexpr size_t leavers = 100;
/// Bytes of one event.
constexpr size_t piece_size = 4'096;

/// Raises the soft limit on open files for a test, and restores it.
class many_descriptors {
public:
  explicit many_descriptors(rlim_t wanted) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit raised = before_;
    raised.rlim_cur = std::min(std::max(wanted, before_.rlim_cur), before_.rlim_max);
    enough = ::setrlimit(RLIMIT_NOFILE, &raised) == 0 && raised.rlim_cur >= wanted;
  }
  ~many_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  bool enough = false;

private:
  rlimit before_{};
};

/// The bytes that stream `number` gets, over and over.
std::string piece_of(size_t number) {
  const auto name = std::to_string(number) + ",";
  std::string piece;
  while (piece.size() < piece_size)
    piece += name;
  piece.resize(piece_size);
  return piece;
}

/// Reads everything that comes for some clients, in a thread of its own, and compares it with what is theirs.
class readers {
public:
  readers(std::vector<std::pair<raw_client, open_stream>>& all, size_t first) {
    for (size_t i = first; i < all.size(); ++i) {
      ready_.push_back({all[i].first.descriptor(), POLLIN, 0});
      pieces_.push_back(piece_of(i));
    }
    taken_.resize(ready_.size());
    thread_ = std::thread([this] { run(); });
  }
  ~readers() { stop(); }
  readers(const readers&) = delete;
  readers& operator=(const readers&) = delete;

  void stop() {
    stopping_ = true;
    if (thread_.joinable())
      thread_.join();
  }

  /// How many clients have seen the end of their stream.
  size_t ended() const { return ended_; }

  /// After stop(): how much each client got.
  const std::vector<size_t>& taken() const { return taken_; }
  size_t wrong() const { return wrong_; }

private:
  void run() {
    std::array<char, 65'536> part{};
    while (!stopping_) {
      if (::poll(ready_.data(), ready_.size(), 20) <= 0)
        continue;
      for (size_t i = 0; i < ready_.size(); ++i)
        if (ready_[i].revents != 0)
          take(i, part);
    }
  }
  void take(size_t i, std::array<char, 65'536>& part) {
    const auto got = ::recv(ready_[i].fd, part.data(), part.size(), MSG_DONTWAIT);
    if (got <= 0) {
      ready_[i].fd = -1;
      ++ended_;
      return;
    }
    for (ssize_t at = 0; at < got; ++at, ++taken_[i])
      wrong_ += part[static_cast<size_t>(at)] != pieces_[i][taken_[i] % piece_size] ? 1 : 0;
  }

  std::vector<pollfd> ready_;
  std::vector<std::string> pieces_;
  std::vector<size_t> taken_;
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> ended_{0};
  size_t wrong_ = 0;
  std::thread thread_;
};

} // namespace

TEST_CASE(
    "a thousand streams, a hundred of them dead: the others get everything, and requests are answered") {
  const many_descriptors limit(2 * streams + 400);
  if (!limit.enough) {
    WARN("skipped: the limit on open files is too low");
    return;
  }
  stream_server server;
  std::vector<std::pair<raw_client, open_stream>> all;
  all.reserve(streams);
  for (size_t i = 0; i < streams; ++i)
    all.push_back(server.begin());
  REQUIRE(server.counters().streams_open == streams);
  // First the dead ones, then those that leave without a word, then the living.
  readers living(all, dead_readers + leavers);

  std::atomic<bool> over{false};
  std::vector<double> waits_ms;
  size_t wrong_answers = 0;
  std::thread asking([&] {
    auto client = server.connect();
    while (!over) {
      const auto began = std::chrono::steady_clock::now();
      wrong_answers += client.ask(plain_request("GET", "/hello")).body == "hello\n" ? 0 : 1;
      waits_ms.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
    }
  });

  std::vector<std::string> pieces;
  for (size_t i = 0; i < streams; ++i)
    pieces.push_back(piece_of(i));
  size_t rounds = 0;
  bool kept_up = true;
  // Every reader that lives has to have taken its share before the next one: then none of them is slow.
  for (; rounds < 2'000 && kept_up && server.counters().streams_cut < dead_readers; ++rounds) {
    if (rounds == 3)
      for (size_t i = dead_readers; i < dead_readers + leavers; ++i)
        all[i].first.reset();
    for (size_t i = 0; i < streams; ++i)
      all[i].second.handle.write(pieces[i]);
    kept_up = wait_until([&] {
      return std::all_of(all.begin() + dead_readers + leavers, all.end(),
                         [](const auto& one) { return one.second.handle.unsent() == 0; });
    });
  }
  over = true;
  asking.join();
  CHECK(kept_up);
  CHECK(server.counters().streams_cut == dead_readers);
  CHECK(wait_until([&] { return server.counters().streams_open == streams - dead_readers - leavers; }));
  for (size_t i = 0; i < streams; ++i) {
    const bool gone = i < dead_readers + leavers;
    if (gone)
      wait_until([&] { return *all[i].second.closed == 1; });
    CHECK(*all[i].second.closed == (gone ? 1 : 0));
  }
  server.server.stop();
  CHECK(wait_until([&] {
    return std::all_of(all.begin(), all.end(), [](const auto& one) { return *one.second.closed == 1; });
  }));
  // The end is seen behind everything that was sent.
  CHECK(wait_until([&] { return living.ended() == streams - dead_readers - leavers; }));
  living.stop();
  CHECK(living.wrong() == 0);
  size_t complete = 0;
  for (const auto taken : living.taken())
    complete += taken == rounds * piece_size ? 1 : 0;
  CHECK(complete == streams - dead_readers - leavers);

  CHECK(wrong_answers == 0);
  REQUIRE(waits_ms.size() > 10);
  std::sort(waits_ms.begin(), waits_ms.end());
  WARN(streams << " streams, " << rounds << " rounds of " << piece_size << " bytes each; " << waits_ms.size()
               << " other requests took " << waits_ms[waits_ms.size() / 2] << " ms (median), "
               << waits_ms[waits_ms.size() * 99 / 100] << " ms (p99), " << waits_ms.back() << " ms at most");
}

TEST_CASE("clients that leave while others write to their streams leave nothing behind") {
  stream_server server;
  constexpr int rounds = 10;
  constexpr size_t clients = 50;
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::pair<raw_client, open_stream>> all;
    for (size_t i = 0; i < clients; ++i)
      all.push_back(server.begin());
    std::thread writing([&] {
      const std::string piece(3'000, 'x');
      bool any = true;
      while (any) {
        any = false;
        for (const auto& one : all)
          any = one.second.handle.write(piece) || any;
      }
    });
    for (auto& one : all)
      one.first.reset();
    auto stranger = server.connect();
    CHECK(stranger.ask(plain_request("GET", "/hello")).body == "hello\n");
    writing.join();
    for (const auto& one : all)
      CHECK(wait_until([&] { return *one.second.closed == 1; }));
    CHECK_FALSE(stranger.readable(0));
  }
  CHECK(server.counters().streams_open == 0);
  CHECK(wait_until([&] { return server.counters().connections_open == 0; }));
}
