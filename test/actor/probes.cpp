// What probes say of actors: on their own, beside an actor that is stuck, under load, and for the daemon's
// actors with the messages between them.
#include "actors/gateway/render.hpp"
#include "actors/probed_actor.hpp"
#include "actors/queue.hpp"
#include "actors/scheduler.hpp"
#include "test/actor/actor_fixture.hpp"
#include "test/support/wait.hpp"

#include <caf/all.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <future>
#include <set>
#include <thread>

using namespace task_runner;
using namespace task_runner::test;
using json = nlohmann::json;

namespace {

enum class pupil_message : size_t { work, block };

const probe_shape& pupil_shape() {
  static const probe_shape shape = [] {
    probe_shape made("pupil", {"work", "block"});
    made.edges = {{"pupil:*", "store"}};
    made.credits = {"done"};
    return made;
  }();
  return shape;
}

struct block {
  std::shared_future<void> until;
};

struct pupil_state {
  static inline const char* name = "pupil";
  std::shared_ptr<actor_probe> probe;
  int64_t done = 0;

  void measure(actor_probe& to, size_t asked) const {
    to.set_in_flight(asked);
    to.set_credits({done});
  }
};

using pupil_pointer = probed_actor<caf::stateful_actor<pupil_state>>*;

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(block)

namespace {

caf::behavior pupil(pupil_pointer self, std::shared_ptr<actor_probe> probe) {
  self->state.probe = std::move(probe);
  self->watch(*self->state.probe);
  return {
      [=](uint64_t number) {
        const handling guard(*self->state.probe, static_cast<size_t>(pupil_message::work));
        self->state.probe->count(0);
        ++self->state.done;
        return number;
      },
      [=](const block& wall) {
        const handling guard(*self->state.probe, static_cast<size_t>(pupil_message::block));
        wall.until.wait();
      },
      [=](const caf::actor& other, uint64_t times) {
        for (uint64_t i = 0; i < times; ++i)
          self->request(other, caf::infinite, i).then([](uint64_t) {});
      },
  };
}

/// The daemon's own scheduler, with actors that end with it.
struct school {
  school() {
    configure_scheduler(config);
    system = std::make_unique<caf::actor_system>(config);
  }
  ~school() {
    for (auto& one : pupils)
      caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
    pupils.clear();
    system->await_all_actors_done();
  }

  std::shared_ptr<const actor_probe> add(const std::string& channel) {
    auto probe = probes.add(pupil_shape(), channel);
    pupils.push_back(system->spawn(pupil, probe));
    return probe;
  }

  probe_registry probes;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::vector<caf::actor> pupils;
};

std::vector<std::string> names_of(const probe_registry::probes& probes) {
  std::vector<std::string> names;
  for (const auto& probe : probes)
    names.push_back(probe->name());
  return names;
}

std::shared_ptr<const actor_probe> probe_of(const actor_fixture& actors, const std::string& name) {
  for (const auto& probe : actors.probes.list())
    if (probe->name() == name)
      return probe;
  throw std::runtime_error("there is no actor " + name);
}

/// All edges, by "FROM > TO".
std::map<std::string, uint64_t> edges_of(const probe_registry& probes) {
  std::map<std::string, uint64_t> edges;
  const auto page = json::parse(render_actor_page(probes.list(), 1'000));
  for (const auto& edge : page.at("edges"))
    edges[edge.at("from").get<std::string>() + " > " + edge.at("to").get<std::string>()] +=
        edge.at("messages").get<uint64_t>();
  return edges;
}

uint64_t total_of(const actor_probe& probe) {
  uint64_t sum = 0;
  for (size_t kind = 0; kind < probe.message_kinds().size(); ++kind)
    sum += probe.handled(kind);
  return sum;
}

} // namespace

TEST_CASE("a guard counts its message and the time that it took") {
  actor_probe probe(pupil_shape(), "a");
  CHECK(probe.name() == "pupil:a");
  CHECK(probe.last_kind().empty());
  CHECK(probe.last_begun_ns() == 0);
  const auto before = two_clocks::read();
  {
    const handling guard(probe, 1);
    CHECK(probe.handled(1) == 1); // at once: what follows from a message comes after its count
    CHECK(probe.busy_since_ns() >= before.steady_ns);
    CHECK(probe.last_kind() == "block");
    CHECK(probe.figures(1).total_ns == 0);
    while (two_clocks::read().steady_ns - probe.busy_since_ns() < 2'000'000) {
      // it takes that long
    }
  }
  CHECK(probe.busy_since_ns() == 0);
  const auto longest = probe.figures(1).longest_ns;
  CHECK(longest >= 2'000'000);
  CHECK(probe.figures(1).total_ns == longest);
  { const handling guard(probe, 1); }
  CHECK(probe.figures(1).count == 2);
  CHECK(probe.figures(1).longest_ns == longest);
  CHECK(probe.figures(1).total_ns > longest);
  CHECK(probe.figures(0).count == 0);
  const auto after = two_clocks::read();
  CHECK(probe.last_begun_ns() <= after.steady_ns);
  CHECK(after.wall_of(probe.last_begun_ns()) >= before.wall_ms);
  CHECK(after.wall_of(probe.last_begun_ns()) <= after.wall_ms);
}

TEST_CASE("of guards inside of one another the outer one measures and the first word on the kind counts") {
  actor_probe probe(pupil_shape(), "a");
  {
    const handling outer(probe, unless_said{probe.shape().other_kind()});
    CHECK(total_of(probe) == 0);
    {
      const handling inner(probe, 0);
      const handling innermost(probe, 1);
    }
    CHECK(probe.busy_since_ns() != 0);
    CHECK(probe.figures(0).total_ns == 0);
  }
  CHECK(probe.handled(0) == 1);
  CHECK(probe.handled(1) == 0);
  CHECK(probe.figures(0).total_ns > 0);
  { const handling nameless(probe, unless_said{probe.shape().other_kind()}); }
  CHECK(probe.handled(probe.shape().other_kind()) == 1);
  CHECK(probe.last_kind() == "other");
  CHECK(total_of(probe) == 2);
  const auto begun = probe.last_begun_ns();
  {
    handling none(probe, unless_said{probe.shape().reply_kind()});
    CHECK(probe.last_kind() == "reply"); // as far as anybody can tell
    none.drop();
    CHECK(probe.busy_since_ns() == 0);
  }
  CHECK(total_of(probe) == 2);
  CHECK(probe.last_kind() == "other");
  CHECK(probe.last_begun_ns() == begun);
}

TEST_CASE("the registry lists probes by name, in parts, and forgets those whose actors are gone") {
  probe_registry probes;
  probes.add_service("store");
  auto b = probes.add(pupil_shape(), "b");
  const auto a = probes.add(pupil_shape(), "a");
  const auto shared = probes.add(router_shape());
  CHECK(names_of(probes.list()) == std::vector<std::string>{"pupil:a", "pupil:b", "router", "store"});
  CHECK(names_of(probes.list({}, {}, 2)) == std::vector<std::string>{"pupil:a", "pupil:b"});
  CHECK(names_of(probes.list({}, "pupil:b", 2)) == std::vector<std::string>{"router", "store"});
  CHECK(names_of(probes.list({}, "pupil:aa")) == std::vector<std::string>{"pupil:b", "router", "store"});
  CHECK(probes.list({}, "store").empty());
  CHECK(names_of(probes.list({"a", {}})) == std::vector<std::string>{"pupil:a"});
  CHECK(names_of(probes.list({{}, "pupil"})) == std::vector<std::string>{"pupil:a", "pupil:b"});
  CHECK(names_of(probes.list({{}, "service"})) == std::vector<std::string>{"store"});
  CHECK(probes.list({"a", "router"}).empty());
  b.reset();
  CHECK(names_of(probes.list({{}, "pupil"})) == std::vector<std::string>{"pupil:a"});
  for (int i = 0; i < 1'000; ++i) // and are not kept in memory either
    probes.add(pupil_shape(), "gone-" + std::to_string(i));
  CHECK(names_of(probes.list()) == std::vector<std::string>{"pupil:a", "router", "store"});
}

TEST_CASE("an actor that starts again counts anew, but for its edges") {
  probe_registry probes;
  auto first = probes.add(pupil_shape(), "a");
  {
    const handling guard(*first, 0);
    first->count(0);
    first->count(0);
  }
  const auto second = probes.add(pupil_shape(), "a", first.get());
  first.reset();
  second->count(0);
  CHECK(second->edge_messages(0) == 3);
  CHECK(second->edge_from(0) == "pupil:a");
  CHECK(second->edge_to(0) == "store");
  CHECK(second->handled(0) == 0);
  CHECK(names_of(probes.list()) == std::vector<std::string>{"pupil:a"});
}

TEST_CASE("what actors have handled stays in the sums of their kind when they are gone") {
  probe_registry probes;
  probes.add_service("store");
  const auto handle = [](actor_probe& probe, int count) {
    for (int i = 0; i < count; ++i)
      const handling guard(probe, static_cast<size_t>(i % 2));
  };
  const auto pupils = [&probes] { return probes.sums().at("pupil"); };
  CHECK(probes.sums().empty());
  auto first = probes.add(pupil_shape(), "a");
  auto other = probes.add(pupil_shape(), "b");
  handle(*first, 3);
  handle(*other, 5);
  CHECK(pupils().actors == 2);
  CHECK(pupils().handled == 8);
  CHECK(pupils().restarts == 0);
  // It starts again, and its predecessor still counts what it was about.
  auto second = probes.add(pupil_shape(), "a", first.get());
  second->set_restarts(1);
  handle(*first, 2);
  handle(*second, 1);
  CHECK(pupils().actors == 2);
  CHECK(pupils().handled == 11);
  CHECK(pupils().restarts == 1);
  first.reset();
  other.reset();
  CHECK(pupils().actors == 1);
  CHECK(pupils().handled == 11);
  first = std::move(second);
  second = probes.add(pupil_shape(), "a", first.get());
  CHECK(pupils().restarts == 1); // until it is told that there was another
  second->set_restarts(2);
  CHECK(pupils().restarts == 2);
  // One of the same name is another actor where it does not say whose place it takes.
  first.reset();
  second = probes.add(pupil_shape(), "a");
  CHECK(pupils().restarts == 2);
  for (int i = 0; i < 1'000; ++i) // enough for all others to be swept out
    handle(*probes.add(pupil_shape(), "gone-" + std::to_string(i)), 2);
  CHECK(pupils().actors == 1);
  CHECK(pupils().handled == 2'011);
  CHECK(pupils().restarts == 2);
  CHECK(probes.sums().size() == 1);
}

TEST_CASE("the depth and the peak of a mailbox are right while its actor has not run") {
  actor_fixture actors;
  const auto probe = probe_of(actors, "intake");
  CHECK(probe->mailbox_depth() == 0);
  CHECK(probe->is_alive());
  for (uint64_t i = 1; i <= 7; ++i) {
    caf::anon_send(actors.intake_handle, push_batch{{actors.item("one")}});
    CHECK(probe->mailbox_depth() == i);
    CHECK(probe->mailbox_peak() >= i);
  }
  CHECK(probe->mailbox_peak() == 7);
  actors.settle();
  CHECK(probe->mailbox_depth() == 0);
  CHECK(probe->mailbox_peak() == 7);
  CHECK(probe->handled(static_cast<size_t>(intake_message::push)) == 7);
  CHECK(probe->last_kind() == "push");
}

TEST_CASE("an actor that is stuck is seen without being asked") {
  school all;
  std::promise<void> release; // let go of before the school waits for its pupils
  const auto probe = all.add("stuck");
  caf::anon_send(all.pupils[0], uint64_t{1});
  caf::anon_send(all.pupils[0], block{release.get_future().share()});
  REQUIRE(wait_until([&] { return probe->last_kind() == "block"; }));
  for (uint64_t i = 0; i < 5; ++i)
    caf::anon_send(all.pupils[0], i);
  CHECK(probe->mailbox_depth() == 5);
  CHECK(probe->mailbox_peak() >= 5);
  const auto page = json::parse(render_actor_page(all.probes.list(), 10));
  const auto& shown = page.at("items").at(0);
  CHECK(shown.at("busy_since").is_string());
  CHECK(shown.at("last_message").at("kind") == "block");
  CHECK(shown.at("last_message").at("at") == shown.at("busy_since"));
  CHECK(shown.at("mailbox").at("depth") == 5);
  CHECK(shown.at("messages").at("total") == 2);
  CHECK(shown.at("alive") == true);
  release.set_value();
  CHECK(wait_until([&] { return probe->mailbox_depth() == 0 && probe->busy_since_ns() == 0; }));
  CHECK(probe->handled(0) == 6);
  CHECK(probe->credit(0) == 6);
  CHECK(probe->figures(1).longest_ns > 0);
}

TEST_CASE("answers are counted as such, and requests are open until then") {
  school all;
  const auto asking = all.add("asking");
  const auto asked = all.add("asked");
  caf::anon_send(all.pupils[0], all.pupils[1], uint64_t{100});
  REQUIRE(wait_until([&] { return asking->handled(pupil_shape().reply_kind()) == 100; }));
  CHECK(wait_until([&] { return asking->in_flight() == 0; }));
  CHECK(asking->handled(pupil_shape().other_kind()) == 1); // which its handler does not name
  CHECK(asked->handled(0) == 100);
  CHECK(asked->mailbox_peak() <= 100);
}

TEST_CASE("probes may be read at any moment while actors work") {
  constexpr size_t actors_count = 4;
  constexpr size_t senders_count = 2;
  constexpr uint64_t messages = 20'000;
  school all;
  std::vector<std::shared_ptr<const actor_probe>> probes;
  for (size_t i = 0; i < actors_count; ++i)
    probes.push_back(all.add(std::to_string(i)));
  std::atomic<bool> done{false};
  uint64_t looks = 0;
  uint64_t faults = 0;
  std::thread reader([&] {
    std::map<std::string, uint64_t> totals;
    while (!done) {
      const auto page = json::parse(render_actor_page(all.probes.list(), 1'000));
      for (const auto& one : page.at("items")) {
        const auto total = one.at("messages").at("total").get<uint64_t>();
        auto& last = totals[one.at("name")];
        const auto& mailbox = one.at("mailbox");
        if (total < last || mailbox.at("depth") > mailbox.at("peak") ||
            mailbox.at("peak").get<uint64_t>() > senders_count * messages)
          ++faults;
        last = total;
      }
      ++looks;
    }
  });
  std::vector<std::thread> senders;
  for (size_t sender = 0; sender < senders_count; ++sender)
    senders.emplace_back([&] {
      for (uint64_t i = 0; i < messages; ++i)
        for (const auto& one : all.pupils)
          caf::anon_send(one, i);
    });
  // Others come and go meanwhile.
  for (int i = 0; i < 200; ++i)
    all.probes.add(pupil_shape(), "passing");
  for (auto& one : senders)
    one.join();
  const bool worked = wait_until(
      [&] {
        return std::all_of(probes.begin(), probes.end(), [](const auto& probe) {
          return probe->handled(0) == senders_count * messages && probe->mailbox_depth() == 0;
        });
      },
      std::chrono::seconds(60));
  done = true;
  reader.join();
  CHECK(worked);
  CHECK(looks > 0);
  CHECK(faults == 0);
  for (const auto& probe : probes) {
    CHECK(total_of(*probe) == senders_count * messages);
    CHECK(probe->edge_messages(0) == senders_count * messages);
    CHECK(probe->figures(0).total_ns > 0);
    CHECK(probe->figures(0).longest_ns <= probe->figures(0).total_ns);
    CHECK(probe->mailbox_peak() > 0);
  }
}

TEST_CASE("messages are counted on the way of a task and back") {
  actor_fixture actors(
      {actor_fixture::make_channel("mail", false, 1), actor_fixture::make_channel("web", false, 1)});
  const auto before = edges_of(actors.probes);
  for (int i = 0; i < 6; ++i)
    actors.push(actors.item("task " + std::to_string(i), i < 4 ? "mail" : "web"));
  actors.settle();
  for (size_t i = 0; i < 6; ++i) {
    REQUIRE(actors.runner.started.size() > i);
    actors.runner.end(actors.runner.started[i].key, 0);
    actors.settle();
  }
  auto now = edges_of(actors.probes);
  const auto since = [&](const std::string& edge) {
    const auto found = before.find(edge);
    return now[edge] - (found == before.end() ? 0 : found->second);
  };
  CHECK(since("http > gateway") == 6);
  CHECK(since("gateway > intake") == 6);
  CHECK(since("intake > router") == 6);
  CHECK(since("router > queue:mail") == 4);
  CHECK(since("router > queue:web") == 2);
  CHECK(since("launcher > executor:mail") == 4);
  CHECK(since("executor:mail > queue:mail") == 4);
  CHECK(since("executor:web > queue:web") == 2);
  CHECK(since("queue:mail > executor:mail") >= 4);
  CHECK(since("executor:mail > launcher") == since("queue:mail > executor:mail"));
  CHECK(since("queue:mail > store") >= 4);
  CHECK(since("store > queue:mail") == since("queue:mail > store"));
  CHECK(now.at("supervisor > router") == 1);
  CHECK(now.count("router > supervisor") == 0);
  const auto queue = probe_of(actors, "queue:mail");
  CHECK(queue->handled(static_cast<size_t>(queue_message::push)) == 4);
  CHECK(queue->in_flight() == 0);
  CHECK(queue->credit(0) == 1);
  CHECK(queue->credit(1) == 0);
  CHECK(queue->credit(2) == 1);
  CHECK(probe_of(actors, "executor:mail")->credit(0) == 1);
  CHECK(probe_of(actors, "router")->fact(0) == 2);
}

TEST_CASE("what a channel has open is shown while it is open") {
  actor_fixture actors({actor_fixture::make_channel("mail", false, 1)});
  actors.push(actors.item("one", "mail"));
  actors.push(actors.item("two", "mail"));
  const auto queue = probe_of(actors, "queue:mail");
  CHECK(queue->in_flight() == 2); // the store has not worked yet
  CHECK(queue->fact(1) > 0);
  CHECK(probe_of(actors, "gateway")->in_flight() == 2);
  actors.settle();
  CHECK(queue->in_flight() == 0);
  CHECK(queue->fact(1) == 0);
  CHECK(queue->credit(1) == 1);
  CHECK(queue->credit(2) == 0);
  CHECK(probe_of(actors, "gateway")->in_flight() == 0);
}

TEST_CASE("a pair that was started again says so and its edges go on") {
  actor_fixture actors({actor_fixture::make_channel("mail", false, 1)});
  actors.push(actors.item("one", "mail"));
  actors.settle();
  const auto before = edges_of(actors.probes);
  actors.break_executor("mail");
  auto now = edges_of(actors.probes);
  for (const auto& [edge, messages] : before)
    CHECK(now[edge] >= messages);
  CHECK(now.at("router > queue:mail") > before.at("router > queue:mail"));
  const auto queue = probe_of(actors, "queue:mail");
  CHECK(queue->restarts() == 1);
  CHECK(queue->is_alive());
  CHECK(queue->handled(static_cast<size_t>(queue_message::push)) == 0);
  for (size_t i = 1; i <= restarts_max; ++i)
    actors.break_executor("mail");
  CHECK_FALSE(probe_of(actors, "queue:mail")->is_alive());
  CHECK(probe_of(actors, "queue:mail")->mailbox_depth() == 0);
}

TEST_CASE("a page of actors ends at its limit or when it is large") {
  probe_registry probes;
  std::vector<std::shared_ptr<actor_probe>> kept;
  const std::string padding(100, 'x');
  for (int i = 1'000; i < 5'000; ++i)
    kept.push_back(probes.add(queue_shape(), padding + std::to_string(i)));
  const auto whole = probes.list();
  const auto first = json::parse(render_actor_page(probes.list({}, {}, 11), 10));
  CHECK(first.at("items").size() == 10);
  CHECK(first.at("next") == "nqueue:" + padding + "1009");
  const auto text = render_actor_page(whole, 4'000);
  CHECK(text.size() < page_bytes_max + 4'096);
  const auto large = json::parse(text);
  REQUIRE(large.at("items").size() > 100);
  CHECK(large.at("items").size() < 4'000);
  CHECK(large.at("next").get<std::string>() == "n" + large.at("items").back().at("name").get<std::string>());
  CHECK(json::parse(render_actor_page({whole.begin(), whole.begin() + 3}, 3)).at("next").is_null());
  CHECK(json::parse(render_actor_page({}, 3)).at("items").empty());
}
