// The output of tasks over HTTP when the disk under it hangs: whoever asks for it waits, and nobody else
// does. A FIFO stands for such a disk: opening it for reading blocks until somebody opens it for writing.
#include "test/e2e/api_support.hpp"

#include <fcntl.h>
#include <filesystem>
#include <future>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

using namespace task_runner::test;

namespace {

/// Puts a FIFO in the place of a task's output, and keeps it from answering until it is destroyed.
class hanging_output {
public:
  hanging_output(const test_daemon& runner, const std::string& task_id) {
    const auto name = task_id + ".1";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(runner.state_dir() + "/output"))
      if (entry.path().filename() == name)
        path_ = entry.path();
    REQUIRE_FALSE(path_.empty());
    std::filesystem::remove(path_);
    REQUIRE(mkfifo(path_.c_str(), 0600) == 0);
  }
  ~hanging_output() {
    release();
    close(end_);
  }
  hanging_output(const hanging_output&) = delete;
  hanging_output& operator=(const hanging_output&) = delete;

  void release() {
    if (end_ < 0)
      end_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  }

private:
  std::string path_;
  int end_ = -1;
};

} // namespace

TEST_CASE("a disk that hangs under the output of a task stalls nobody but those who ask for output") {
  test_daemon runner;
  const auto id = runner.push_line("echo lost");
  REQUIRE(runner.settled(id).at("state") == "finished");
  const auto other = runner.push_line("echo kept");
  REQUIRE(runner.settled(other).at("state") == "finished");
  hanging_output disk(runner, id);

  // More than there are threads for actors or HTTP.
  std::vector<std::future<http_answer>> asking;
  for (int i = 0; i < 8; ++i)
    asking.push_back(std::async(std::launch::async, [&, wanted = i == 7 ? other : id] {
      return http_client(runner.port()).get("/api/v1/tasks/" + wanted + "/output");
    }));
  // All of them have arrived and wait.
  REQUIRE(wait_until([&] { return runner.report().at("http").at("connections").get<int>() >= 9; }));
  const auto file = runner.path("ran");
  for (int i = 0; i < 20; ++i) {
    const auto next = runner.push_line("echo " + std::to_string(i) + " >> " + file);
    CHECK(runner.settled(next).at("state") == "finished");
  }
  CHECK(lines_of(read_file(file)).size() == 20);
  CHECK(runner.http().get("/status").status == 200);
  // All but the last: what can be read may have had its turn before the first that hangs.
  for (size_t i = 0; i + 1 < asking.size(); ++i)
    CHECK(asking[i].wait_for(std::chrono::seconds(0)) == std::future_status::timeout);

  disk.release();
  for (size_t i = 0; i < asking.size(); ++i) {
    const auto answer = asking[i].get();
    CHECK(answer.status == 200);
    CHECK(answer.body == (i == 7 ? "kept\n" : ""));
  }
}

TEST_CASE("output is answered with its size and the state of its task, by range and by attempt") {
  test_daemon runner;
  const auto id = push_json(
      runner, {{"task", "echo attempt $TASK_RUNNER_ATTEMPT; exit 1"}, {"max_attempts", 2}, {"backoff_s", 0}});
  REQUIRE(runner.settled(id).at("state") == "dead");
  const auto path = "/api/v1/tasks/" + id + "/output";
  const auto whole = runner.http().get(path);
  CHECK(whole.status == 200);
  CHECK(whole.body == "attempt 2\n");
  CHECK(whole.header("content-type") == "text/plain; charset=utf-8");
  CHECK(whole.header("x-output-size") == "10");
  CHECK(whole.header("x-task-state") == "dead");
  CHECK(runner.http().get(path + "?attempt=1").body == "attempt 1\n");
  CHECK(runner.http().get(path + "?offset=8&length=1").body == "2");
  CHECK(runner.http().get(path + "?offset=10").body.empty());
  CHECK(runner.http().get(path + "?attempt=3").status == 404);
  CHECK(runner.http().get(path + "?offset=-1").status == 400);
  CHECK(runner.http().send("HEAD", path).header("x-output-size") == "10");
}

TEST_CASE("output is given by HTTP range, a piece at a time") {
  test_daemon runner;
  const auto id = runner.push_line("printf 0123456789");
  REQUIRE(runner.settled(id).at("state") == "finished");
  const auto path = "/api/v1/tasks/" + id + "/output";
  const auto get = [&](const std::string& range, const std::string& of, const name_values& more = {}) {
    name_values headers{{"Range", range}};
    headers.insert(headers.end(), more.begin(), more.end());
    return runner.http().send("GET", of, headers);
  };
  for (const auto& [range, body, where] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"bytes=2-4", "234", "bytes 2-4/10"},
           {"bytes=7-", "789", "bytes 7-9/10"},
           {"bytes=7-99", "789", "bytes 7-9/10"},
           {"bytes=-3", "789", "bytes 7-9/10"},
           {"bytes=-99", "0123456789", "bytes 0-9/10"}}) {
    const auto answer = get(range, path);
    CAPTURE(range, answer.body);
    CHECK(answer.status == 206);
    CHECK(answer.body == body);
    CHECK(answer.header("content-range") == where);
    CHECK(answer.header("accept-ranges") == "bytes");
  }
  for (const std::string range : {"bytes=10-", "bytes=10-20", "bytes=-0"}) {
    const auto answer = get(range, path);
    CAPTURE(range);
    CHECK(answer.status == 416);
    CHECK(answer.header("content-range") == "bytes */10");
    CHECK(answer.json().at("status_code") == 416);
  }
  // What is no range of bytes is answered as if it were not there; so is one that is to be checked first.
  for (const std::string range : {"bytes=4-2", "bytes=0-1,4-5", "lines=1-2", "nonsense"})
    CHECK(get(range, path).status == 200);
  CHECK(get("bytes=2-4", path, {{"If-Range", "\"x\""}}).body == "0123456789");
  CHECK(get("bytes=2-4", path + "?offset=8").body == "89");

  const auto large = runner.push_line("head -c 300000 /dev/zero | tr '\\0' x");
  REQUIRE(runner.settled(large).at("state") == "finished");
  const auto first = get("bytes=0-", "/api/v1/tasks/" + large + "/output");
  CHECK(first.status == 206);
  CHECK(first.body.size() == 262'144);
  CHECK(first.header("content-range") == "bytes 0-262143/300000");
  const auto rest = get("bytes=262144-", "/api/v1/tasks/" + large + "/output");
  CHECK(rest.body.size() == 300'000 - 262'144);
}
