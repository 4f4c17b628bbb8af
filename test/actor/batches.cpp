// Batches of pushes: how their lines are read, handed over in slices, and answered.
// The store works when the test says so, and time passes by hand.
#include "actors/gateway/batch.hpp"
#include "test/actor/actor_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace task_runner;
using namespace task_runner::test;
using nlohmann::json;

namespace {

using answer_pointer = std::shared_ptr<std::optional<push_lines_reply>>;

/// The actors of the daemon with the batch actor beside them; the channels run nothing.
struct batches {
  batches()
      : handle(actors.system->spawn(batch, batch_dependencies{actors.intake_handle, actors.via, probe})) {}

  answer_pointer send(std::string text) {
    auto slot = std::make_shared<std::optional<push_lines_reply>>();
    ask<push_lines_reply>(
        actors.via, handle, push_lines{std::make_shared<const std::string>(std::move(text))}, batch_timeout,
        [slot](push_lines_reply& reply) { *slot = std::move(reply); },
        [slot](const error& why) {
          slot->emplace();
          (*slot)->failure = why;
        });
    actors.run_actors();
    return slot;
  }

  actor_fixture actors{{actor_fixture::make_channel("default", false, 0),
                        actor_fixture::make_channel("mail", false, 0),
                        actor_fixture::make_channel("once", true, 0)}};
  std::shared_ptr<actor_probe> probe = actors.probes.add("batch", "batch", batch_message_kinds());
  batch_actor handle;
};

std::string line(const std::string& task, const std::string& channel = "default") {
  return json{{"task", task}, {"channel", channel}}.dump() + "\n";
}

std::string many_lines(size_t count, const std::string& channel = "default") {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += line("command " + std::to_string(i), channel);
  return text;
}

/// The answer, which must be there and tell of lines.
json results_of(const answer_pointer& answer) {
  REQUIRE(answer->has_value());
  INFO((*answer)->failure.value_or(error{}).message);
  REQUIRE_FALSE((*answer)->failure);
  return json::parse((*answer)->results);
}

error failure_of(const answer_pointer& answer) {
  REQUIRE(answer->has_value());
  REQUIRE((*answer)->failure);
  CHECK((*answer)->results.empty());
  return *(*answer)->failure;
}

} // namespace

TEST_CASE("a batch is answered after its commit, and not before") {
  batches b;
  const auto answer = b.send(line("one") + line("two"));
  CHECK_FALSE(answer->has_value());
  b.actors.settle();
  CHECK(results_of(answer).size() == 2);
  CHECK((*answer)->accepted == 2);
  CHECK(b.actors.writer.commits.size() == 1);
}

TEST_CASE("lines are answered in their order, whatever becomes of them") {
  batches b;
  const auto answer =
      b.send(line("a", "mail") + "{bad\n" + line("b") + "\n" + line("c", "none") + line("d", "once") +
             line("d", "once") + R"({"task":"later","channel":"mail","delay":60})" + "\n" +
             R"({"task":"e","id":"mine"})" + "\n" + R"({"task":"e","id":"mine"})" + "\n" +
             R"({"task":"f","id":"mine"})" + "\n" + R"({"task":""})");
  b.actors.settle();
  const auto results = results_of(answer);
  const std::vector<std::pair<int, std::string>> expected{
      {1, "pending"},    {2, "invalid_argument"}, {3, "pending"},          {5, "not_found"},
      {6, "pending"},    {7, "duplicate"},        {8, "delayed"},          {9, "pending"},
      {10, "duplicate"}, {11, "conflict"},        {12, "invalid_argument"}};
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& one = results[i];
    INFO(one.dump());
    const auto& [number, fate] = expected[i];
    CHECK(one.at("line") == number);
    CHECK(one.at("result") == (fate == "pending" || fate == "delayed"));
    if (one.contains("code")) {
      CHECK(one.at("code") == fate);
      CHECK(one.at("status_code").get<int>() >= 400);
      CHECK(one.at("message").get<std::string>().size() > 10);
      CHECK_FALSE(one.contains("task_id"));
    } else {
      CHECK(one.at("state") == (fate == "duplicate" ? json() : json(fate)));
      CHECK(b.actors.stored(one.at("task_id")).id == one.at("task_id"));
    }
  }
  CHECK(results[5].at("task_id") == results[4].at("task_id"));
  CHECK((*answer)->accepted == 5);
  CHECK((*answer)->duplicates == 2);
  CHECK((*answer)->refused == 4);
}

TEST_CASE("a channel's lines keep their order") {
  batches b;
  std::string text;
  for (size_t i = 0; i < 3'000; ++i)
    text += line(std::to_string(i), i % 3 == 0 ? "mail" : "default");
  const auto answer = b.send(text);
  b.actors.settle();
  REQUIRE(results_of(answer).size() == 3'000);
  std::map<std::string, uint64_t> last;
  const auto results = results_of(answer);
  for (size_t i = 0; i < results.size(); ++i) {
    const auto stored = b.actors.stored(results[i].at("task_id"));
    CHECK(stored.name == std::to_string(i));
    CHECK(stored.sequence > last[stored.channel]);
    last[stored.channel] = stored.sequence;
  }
}

TEST_CASE("no more than two slices of a batch are on their way") {
  batches b;
  const auto answer = b.send(many_lines(5'000));
  CHECK(b.actors.writer.work() == 2);
  b.actors.settle();
  CHECK(results_of(answer).size() == 5'000);
  CHECK(b.actors.writer.commits.size() == 5);
  for (const auto& commit : b.actors.writer.commits)
    CHECK(commit.size() <= 1'024);
}

TEST_CASE("lines that are long make slices that are short") {
  batches b;
  std::string text;
  for (int i = 0; i < 40; ++i)
    text += line("echo " + std::to_string(i) + std::string(100'000, 'x'));
  const auto answer = b.send(text);
  b.actors.settle();
  CHECK((*answer)->accepted == 40);
  CHECK(b.actors.writer.commits.size() == 4);
}

TEST_CASE("what a store refuses as a whole is one failure, and what a channel refuses concerns its lines") {
  batches b;
  b.actors.writer.broken = true;
  auto answer = b.send(many_lines(3) + line("x", "mail"));
  b.actors.settle();
  CHECK(failure_of(answer).code == error_code::unavailable);
  b.actors.writer.broken = false;
  b.actors.writer.refuses = [](const store_operation& operation) {
    const auto* insert = std::get_if<insert_task>(&operation);
    return insert != nullptr && insert->value.channel == "mail";
  };
  b.actors.pass(std::chrono::seconds(2));
  answer = b.send(line("x", "mail") + line("y"));
  b.actors.settle();
  const auto results = results_of(answer);
  CHECK(results[0].at("code") == "unavailable");
  CHECK(results[0].at("status_code") == 503);
  CHECK(results[1].at("result") == true);
}

TEST_CASE("a batch of which no line can be read is refused as a whole") {
  batches b;
  const auto answer = b.send("\n{bad\n[1]\n");
  b.actors.settle();
  const auto why = failure_of(answer);
  CHECK(why.code == error_code::invalid_argument);
  CHECK(why.message.find("none of 2 lines") == 0);
  CHECK(why.message.find("line 2") != std::string::npos);
}

TEST_CASE("what stands in many refused lines is told for the first of them") {
  batches b;
  std::string text = line("good");
  for (size_t i = 0; i < 60'000; ++i)
    text += "{bad\n";
  const auto answer = b.send(text);
  b.actors.settle();
  const auto results = results_of(answer);
  CHECK(results[1].contains("message"));
  CHECK_FALSE(results.back().contains("message"));
  CHECK(results.back().at("code") == "invalid_argument");
  CHECK(results.back().at("line") == 60'001);
  CHECK((*answer)->results.size() < 10'000'000);
}

TEST_CASE("batches wait for their turn, and too many are refused") {
  batches b;
  std::vector<answer_pointer> answers;
  for (int i = 0; i < 68; ++i) // four at once, and 64 that wait
    answers.push_back(b.send(line("echo " + std::to_string(i))));
  const auto refused = b.send(line("too many"));
  CHECK(failure_of(refused).code == error_code::overloaded);
  for (const auto& answer : answers)
    CHECK_FALSE(answer->has_value());
  b.actors.settle();
  for (const auto& answer : answers)
    CHECK(results_of(answer).size() == 1);
}

TEST_CASE("a batch that is not done in time is answered: what was not handed over may be sent again") {
  batches b;
  const auto answer = b.send(many_lines(5'000));
  std::vector<answer_pointer> others;
  for (int i = 0; i < 4; ++i)
    others.push_back(b.send(line("echo " + std::to_string(i))));
  b.actors.wait(std::chrono::seconds(26));
  CHECK_FALSE(answer->has_value());
  b.actors.settle();
  const auto results = results_of(answer);
  REQUIRE(results.size() == 5'000);
  CHECK((*answer)->accepted == 2'048);
  CHECK(results[2'048].at("code") == "overloaded");
  CHECK(results.back().at("line") == 5'000);
  CHECK(failure_of(others.back()).code == error_code::overloaded); // it had waited for its turn
}

TEST_CASE("a store that never answers does not keep a batch waiting") {
  batches b;
  const auto answer = b.send(many_lines(2));
  b.actors.wait(std::chrono::seconds(31));
  CHECK(failure_of(answer).code == error_code::timeout);
}

TEST_CASE("without the intake a batch is refused, and without the batch actor the daemon ends") {
  batches b;
  caf::anon_send_exit(b.actors.intake_handle, caf::exit_reason::user_shutdown);
  b.actors.settle();
  const auto answer = b.send(line("x"));
  b.actors.settle();
  CHECK(failure_of(answer).code == error_code::unavailable);
  b.actors.died.clear();
  caf::anon_send_exit(b.handle, caf::exit_reason::unhandled_exception);
  b.actors.settle();
  CHECK(b.actors.died == "gateway");
}
