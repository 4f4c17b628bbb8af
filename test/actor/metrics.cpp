// What is measured of channels, and the page of it: buckets, sums beyond the bound of channels, hostile
// names.
#include "actors/daemon_metrics.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <thread>

using namespace task_runner;

namespace {

metrics_sources sources_of(const channel_metrics_registry& registry, wall_time_ms now_ms = 1'000'000) {
  metrics_sources from;
  from.channels = registry.overview();
  from.now_ms = now_ms;
  return from;
}

bool has_line(const std::string& page, const std::string& line) {
  return page.find("\n" + line + "\n") != std::string::npos;
}

size_t count_of(const std::string& page, const std::string& part) {
  size_t count = 0;
  for (auto at = page.find(part); at != std::string::npos; at = page.find(part, at + 1))
    ++count;
  return count;
}

} // namespace

TEST_CASE("a duration is counted in the first bucket that it fits, and in all behind") {
  duration_histogram histogram;
  for (const int64_t duration_ms : {-5, 0, 5, 6, 1'800'000, 1'800'001})
    histogram.add(duration_ms);
  const auto taken = histogram.take();
  CHECK(taken.at_most.front() == 3);
  CHECK(taken.at_most[1] == 4);
  CHECK(taken.at_most.back() == 5);
  CHECK(taken.count == 6);
  CHECK(taken.sum_s == Approx(3600.012));
}

TEST_CASE("every way in which an attempt ends has a name of its own, expiry is none") {
  CHECK(find_attempt_end({outcome_kind::exited, 0, {}}) == attempt_end::succeeded);
  CHECK(find_attempt_end({outcome_kind::exited, 1, {}}) == attempt_end::failed);
  CHECK(find_attempt_end({outcome_kind::signalled, 9, {}}) == attempt_end::signalled);
  CHECK(find_attempt_end({outcome_kind::timed_out, 0, {}}) == attempt_end::timed_out);
  CHECK(find_attempt_end({outcome_kind::spawn_failed, 0, "no"}) == attempt_end::spawn_failed);
  CHECK(find_attempt_end({outcome_kind::cancelled, 0, {}}) == attempt_end::cancelled);
  CHECK(find_attempt_end({outcome_kind::lost, 0, {}}) == attempt_end::lost);
  CHECK_FALSE(find_attempt_end({outcome_kind::expired, 0, {}}));
  CHECK(to_string(attempt_end::lost) == "lost");
}

TEST_CASE("channels keep their metrics by name until they are removed") {
  channel_metrics_registry registry;
  const auto mail = registry.of("mail");
  CHECK(registry.of("mail") == mail);
  CHECK(registry.of("web") != mail);
  registry.remove("mail");
  CHECK(registry.list().size() == 1);
  CHECK(registry.of("mail") != mail);
}

TEST_CASE("the page sums up the channels beyond its bound") {
  channel_metrics_registry registry;
  for (size_t i = 0; i < metrics_channels_max + 3; ++i) {
    const auto one = registry.of("c" + std::to_string(i));
    one->pushed += 2;
    channel_counts now;
    now.pending = 1;
    now.next_ready_at_ms = 990'000 + static_cast<wall_time_ms>(i);
    one->set(now);
    one->run.add(7);
  }
  auto sources = sources_of(registry);
  sources.dead_letters = {{"c0", 4}, {"c500", 2}, {"c-that-is-gone", 3}};
  const auto page = render_metrics(sources);
  CHECK(has_line(page, "task_runner_dead_letters{channel=\"c0\"} 4"));
  CHECK(has_line(page, "task_runner_dead_letters{channel=\"c1\"} 0"));
  CHECK(has_line(page, "task_runner_dead_letters{channel=\"(others)\"} 5"));
  CHECK(has_line(page, "task_runner_tasks_pushed_total{channel=\"c0\"} 2"));
  CHECK(has_line(page, "task_runner_tasks_pushed_total{channel=\"c499\"} 2"));
  CHECK(page.find("\"c500\"") == std::string::npos);
  CHECK(has_line(page, "task_runner_tasks_pushed_total{channel=\"(others)\"} 6"));
  CHECK(has_line(page, "task_runner_tasks{channel=\"(others)\",state=\"pending\"} 3"));
  CHECK(has_line(page, "task_runner_attempt_run_seconds_count{channel=\"(others)\"} 3"));
  CHECK(has_line(page, "task_runner_next_task_wait_seconds{channel=\"c0\"} 10"));
  // The one that waits for the longest speaks for all of them.
  CHECK(has_line(page, "task_runner_next_task_wait_seconds{channel=\"(others)\"} 9.5"));
  CHECK(count_of(page, "# TYPE task_runner_tasks gauge") == 1);
  CHECK(page.size() < 3'000'000);
}

TEST_CASE(
    "a sum of channels is paused where all of them are, and what waits in paused ones is left out of it") {
  channel_metrics_registry registry;
  std::vector<std::shared_ptr<channel_metrics>> beyond;
  for (size_t i = 0; i < metrics_channels_max + 2; ++i) {
    const auto one = registry.of("c" + std::to_string(i));
    if (i >= metrics_channels_max)
      beyond.push_back(one);
  }
  const auto set = [](channel_metrics& one, bool paused, wall_time_ms ready_at_ms) {
    channel_counts now;
    now.paused = paused;
    now.next_ready_at_ms = ready_at_ms;
    one.set(now);
  };
  const std::string paused = "task_runner_channel_paused{channel=\"(others)\"} ";
  const std::string wait = "task_runner_next_task_wait_seconds{channel=\"(others)\"} ";
  set(*beyond[0], true, 900'000);
  set(*beyond[1], false, 990'000);
  auto page = render_metrics(sources_of(registry));
  CHECK(has_line(page, paused + "0"));
  CHECK(has_line(page, wait + "10"));
  set(*beyond[1], true, 990'000);
  page = render_metrics(sources_of(registry));
  CHECK(has_line(page, paused + "1"));
  CHECK(has_line(page, wait + "0"));
}

TEST_CASE("no counter falls when channels beyond the bound come and go") {
  channel_metrics_registry registry;
  for (size_t i = 0; i < metrics_channels_max + 2; ++i) {
    const auto one = registry.of("c" + std::to_string(i));
    one->pushed += i;
    one->attempts_ended[0] += 1;
    one->run.add(7);
  }
  const auto others = [&registry](const char* metric) {
    const auto page = render_metrics(sources_of(registry));
    const auto name = "\ntask_runner_" + std::string(metric) + "{channel=\"(others)\"} ";
    const auto at = page.find(name);
    return at == std::string::npos ? -1 : std::stoi(page.substr(at + name.size()));
  };
  CHECK(others("tasks_pushed_total") == 1'001);
  registry.remove("c3"); // which had lines of its own: no other channel takes them over
  CHECK(others("tasks_pushed_total") == 1'001);
  CHECK(render_metrics(sources_of(registry)).find("channel=\"c500\"") == std::string::npos);
  registry.remove("c500");
  CHECK(others("tasks_pushed_total") == 1'001);
  CHECK(others("attempt_run_seconds_count") == 2);
  CHECK(others("workers") == 0);
  registry.remove("c501");
  CHECK(others("tasks_pushed_total") == 1'001);
  CHECK(others("attempt_run_seconds_count") == 2);
  // A new one gets the lines that are free.
  registry.of("new")->pushed += 4;
  const auto page = render_metrics(sources_of(registry));
  CHECK(has_line(page, "task_runner_tasks_pushed_total{channel=\"new\"} 4"));
  CHECK(others("tasks_pushed_total") == 1'001);
}

TEST_CASE("a clock that was set back shows no negative wait") {
  channel_metrics_registry registry;
  const auto one = registry.of("mail");
  channel_counts now;
  now.pending = 1;
  now.next_ready_at_ms = 2'000'000;
  one->set(now);
  CHECK(has_line(render_metrics(sources_of(registry)),
                 "task_runner_next_task_wait_seconds{channel=\"mail\"} 0"));
}

TEST_CASE("the page can be read while a channel counts") {
  channel_metrics_registry registry;
  const auto one = registry.of("mail");
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) {
      one->pushed.fetch_add(1);
      one->wait.add(i % 100);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const auto taken = one->wait.take();
    CHECK(taken.at_most.back() <= taken.count);
  }
  writer.join();
  CHECK(has_line(render_metrics(sources_of(registry)),
                 "task_runner_task_wait_seconds_count{channel=\"mail\"} 20000"));
}
