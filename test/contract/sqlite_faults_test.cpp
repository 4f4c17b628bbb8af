// The embedded store under faults: killed writers, full disks, failing writes, and a backlog that only grows.
// What was acknowledged is there; what was refused is not.
#include "services/store/group_commit.hpp"
#include "services/store/sqlite_store.hpp"
#include "test/contract/store_support.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <poll.h>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;

namespace {

std::string numbered(uint64_t number) {
  return "task-" + std::to_string(number);
}

/// The child: submits without end, keeps many in flight, and writes the number of each task to the pipe once
/// it is acknowledged. Never returns.
[[noreturn]] void write_until_killed(const std::string& path, int acknowledged, uint64_t first) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto store = open_sqlite_store(path);
  if (!store)
    ::_exit(10);
  auto commits = group_commit::start(*std::move(store));
  if (!commits)
    ::_exit(11);
  uint64_t next = first;
  std::function<void()> submit = [&] {
    const uint64_t number = next++;
    auto value = make_task(numbered(number));
    value.command.line = std::string(200, 'x');
    const auto taken =
        (*commits)->submit({insert_task{std::move(value), std::nullopt}},
                           [&, number](result<std::vector<store_answer>> answers) {
                             if (!answers || ::write(acknowledged, &number, sizeof number) != sizeof number)
                               ::_exit(12);
                             submit();
                           });
    if (!taken)
      ::_exit(13);
  };
  // The rest is submitted by completions, on the writer thread: `next` has one owner at a time.
  if (!(*commits)->read([&](queue_store&) {
        for (int i = 0; i < 50; ++i)
          submit();
      }))
    ::_exit(14);
  for (;;)
    ::pause();
}

/// Reads numbers from the pipe until `enough` have come (0: until the end).
void read_numbers(int from, std::set<uint64_t>& into, size_t enough) {
  while (enough == 0 || into.size() < enough) {
    pollfd waiting{from, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, patience_s * 1'000);
    if (ready < 0 && errno == EINTR)
      continue;
    REQUIRE(ready == 1);
    uint64_t number = 0;
    const ssize_t got = ::read(from, &number, sizeof number); // At most PIPE_BUF: whole or not at all.
    if (got == 0)
      return;
    REQUIRE(got == sizeof number);
    into.insert(number);
  }
}

/// A small file system of its own for one directory, gone when destroyed.
class small_disk {
public:
  explicit small_disk(const std::string& directory)
      : directory_(directory) {
    // A mount namespace of our own: even if the test dies, nobody else ever sees the mount.
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tr-test", directory.c_str(), "tmpfs", 0, "size=6m") != 0)
      why_ = std::strerror(errno);
    else
      mounted_ = true;
  }
  ~small_disk() {
    if (mounted_)
      ::umount2(directory_.c_str(), MNT_DETACH);
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;
  bool mounted() const { return mounted_; }
  const std::string& why() const { return why_; }

private:
  std::string directory_;
  bool mounted_ = false;
  std::string why_;
};

/// Files of this process may not grow beyond a size while this lives: writes then fail with EFBIG.
class file_size_limit {
public:
  explicit file_size_limit(uint64_t bytes) {
    former_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &former_) == 0);
    rlimit lower = former_;
    lower.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &lower) == 0);
  }
  ~file_size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &former_);
    std::signal(SIGXFSZ, former_handler_);
  }
  file_size_limit(const file_size_limit&) = delete;
  file_size_limit& operator=(const file_size_limit&) = delete;

private:
  rlimit former_{};
  void (*former_handler_)(int) = nullptr;
};

std::vector<store_operation> batch_of(uint64_t first, uint64_t count, size_t line_bytes) {
  std::vector<store_operation> operations;
  for (uint64_t i = first; i < first + count; ++i) {
    auto value = make_task(numbered(i));
    value.command.line = std::string(line_bytes, 'x');
    operations.push_back(insert_task{std::move(value), push_origin{1, static_cast<uint32_t>(i)}});
  }
  return operations;
}

/// Inserts until the store refuses; returns the first number that was refused, and the refusal.
std::pair<uint64_t, error> insert_until_refused(queue_store& store, uint64_t first) {
  for (uint64_t next = first; next < first + 100'000; next += 20) {
    const auto answers = store.apply(batch_of(next, 20, 4'000));
    if (!answers)
      return {next, answers.failure()};
  }
  FAIL("the store never refused");
  return {};
}

/// Demands that exactly the numbers 0 to `end` are there, then that the store takes and keeps more.
void require_unharmed(queue_store& store, uint64_t end) {
  REQUIRE(require_value(store.totals()).pending == end);
  REQUIRE(require_value(store.load_marks(1)).size() == end);
  REQUIRE(require_value(store.find_task(numbered(end - 1))));
  REQUIRE_FALSE(require_value(store.find_task(numbered(end))));
}

} // namespace

TEST_CASE("sqlite: a killed writer loses nothing it acknowledged") {
  sqlite_backend backend;
  backend.open(); // The first child should be killed while writing, not while making the file.
  std::set<uint64_t> acknowledged;
  for (uint64_t round = 0; round < 6; ++round) {
    int pipe_ends[2] = {-1, -1};
    REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(pipe_ends[0]);
      write_until_killed(backend.path(), pipe_ends[1], round * 1'000'000);
    }
    ::close(pipe_ends[1]);
    // A different amount each round, so that the kill falls at different places of the log's life.
    std::set<uint64_t> numbers;
    read_numbers(pipe_ends[0], numbers, 300 + 777 * round);
    REQUIRE(::kill(child, SIGKILL) == 0);
    read_numbers(pipe_ends[0], numbers, 0);
    ::close(pipe_ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);
    REQUIRE(numbers.size() >= 300 + 777 * round);
    acknowledged.insert(numbers.begin(), numbers.end());

    auto store = backend.open();
    uint64_t missing = 0;
    for (const uint64_t number : acknowledged)
      if (!require_value(store->find_task(numbered(number))))
        ++missing;
    REQUIRE(missing == 0);
    REQUIRE(require_value(store->totals()).pending >= acknowledged.size());
    store.reset();
    require_sound_file(backend.path());
  }
}

TEST_CASE("sqlite: a full disk is unavailable until there is room") {
  sqlite_backend backend;
  const small_disk disk(backend.directory.path());
  if (!disk.mounted()) {
    WARN("SKIPPED: a small file system cannot be mounted here: " << disk.why());
    return;
  }
  const std::string ballast = backend.directory.file("ballast");
  const int file = ::open(ballast.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  REQUIRE(::fallocate(file, 0, 0, 3 * 1'024 * 1'024) == 0);
  ::close(file);
  uint64_t end = 0;
  {
    auto store = backend.open();
    for (int round = 0; round < 2; ++round) {
      const auto [refused, why] = insert_until_refused(*store, end);
      INFO(why.message);
      REQUIRE(refused > 0);
      REQUIRE(why.code == error_code::unavailable);
      REQUIRE_THAT(why.message, Catch::Contains("disk is full"));
      end = refused;
      require_unharmed(*store, end);
    }
    // And again, now through the thread, whose counters tell of it.
    auto commits = require_value(group_commit::start(std::move(store)));
    event_counter told;
    bool failed = false;
    REQUIRE(commits->submit(batch_of(end, 20, 4'000), [&](result<std::vector<store_answer>> answers) {
      failed = !answers;
      told.add();
    }));
    REQUIRE(told.wait_for(1));
    REQUIRE(failed);
    REQUIRE(commits->counters().last_commit_failed);
    REQUIRE(::unlink(ballast.c_str()) == 0);
    REQUIRE(commits->submit(batch_of(end, 20, 4'000), [&](result<std::vector<store_answer>> answers) {
      failed = !answers;
      told.add();
    }));
    REQUIRE(told.wait_for(2));
    REQUIRE_FALSE(failed);
    REQUIRE_FALSE(commits->counters().last_commit_failed);
    end += 20;
  }
  auto store = backend.open();
  require_unharmed(*store, end);
  store.reset();
  require_sound_file(backend.path());
}

TEST_CASE("sqlite: no store is half made on a full disk") {
  sqlite_backend backend;
  const small_disk disk(backend.directory.path());
  if (!disk.mounted()) {
    WARN("SKIPPED: a small file system cannot be mounted here: " << disk.why());
    return;
  }
  const std::string ballast = backend.directory.file("ballast");
  const int file = ::open(ballast.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  REQUIRE(::fallocate(file, 0, 0, 6 * 1'024 * 1'024 - 8'192) == 0);
  ::close(file);
  const auto refused = open_sqlite_store(backend.path());
  REQUIRE_FALSE(refused);
  INFO(refused.failure().message);
  REQUIRE(refused.failure().code == error_code::unavailable);
  REQUIRE(::access(backend.path().c_str(), F_OK) != 0);
  REQUIRE(::unlink(ballast.c_str()) == 0);
  auto store = backend.open();
  REQUIRE(insert(*store, make_task("a")).sequence == 1);
}

TEST_CASE("sqlite: a write that fails changes nothing") {
  sqlite_backend backend;
  uint64_t end = 0;
  {
    auto store = backend.open();
    require_value(store->apply(batch_of(0, 20, 4'000)));
    end = 20;
    for (int round = 0; round < 3; ++round) {
      {
        const file_size_limit limit(2'000'000 + 500'000 * static_cast<uint64_t>(round));
        const auto [refused, why] = insert_until_refused(*store, end);
        INFO(why.message);
        REQUIRE(refused > end);
        REQUIRE(why.code == error_code::unavailable);
        REQUIRE_THAT(why.message, Catch::Contains("ulimit -f"));
        end = refused;
        require_unharmed(*store, end);
      }
      require_value(store->apply(batch_of(end, 20, 4'000)));
      end += 20;
    }
  }
  auto store = backend.open();
  require_unharmed(*store, end);
  store.reset();
  require_sound_file(backend.path());
}

TEST_CASE("sqlite: memory does not grow with the backlog") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  WARN("SKIPPED: a sanitizer's own memory would be measured");
#else
  sqlite_backend backend;
  auto store = backend.open();
  constexpr uint64_t batch = 1'000;
  uint64_t next = 0;
  const auto grow_to = [&](uint64_t end) {
    for (; next < end; next += batch)
      require_value(store->apply(batch_of(next, batch, 100)));
  };
  grow_to(10'000);
  const uint64_t before = resident_kib();
  grow_to(200'000);
  const uint64_t after = resident_kib();
  REQUIRE(require_value(store->totals()).pending == 200'000);
  INFO("resident memory: " << before << " KiB with 10,000 tasks, " << after << " KiB with 200,000");
  REQUIRE(after < before + 8 * 1'024);
#endif
}
