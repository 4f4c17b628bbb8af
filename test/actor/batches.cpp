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

/// Decides at once: a task that is called like a code is refused with it, and one that is called "long" gets
/// an id of `long_id_bytes`.
intake_actor::behavior_type deciding_intake(intake_actor::pointer, size_t long_id_bytes) {
  return {
      [long_id_bytes](push_batch& batch) {
        push_replies answer;
        for (const auto& item : batch.items) {
          auto& reply = answer.replies.emplace_back();
          for (const auto code : {error_code::timeout, error_code::unavailable, error_code::queue_full,
                                  error_code::overloaded, error_code::not_found})
            if (item.name == to_string(code))
              reply.failure = error{code, "as the test wants it"};
          reply.accepted = !reply.failure;
          reply.task_id = item.name;
          if (item.name == "long")
            reply.task_id.resize(long_id_bytes, 'x');
        }
        return answer;
      },
      [](const drain&) {},
  };
}

/// The actors of the daemon with the batch actor beside them; the channels run nothing.
struct batches {
  /// Without the daemon's own intake, `deciding_intake` decides.
  explicit batches(bool own_intake = true)
      : handle(actors.system->spawn(
            batch, batch_dependencies{own_intake ? actors.intake_handle
                                                 : actors.system->spawn(deciding_intake, size_t{10'000'000}),
                                      actors.via, probe, "default"})) {}

  answer_pointer send(std::string text) { return send_by(actors.via, std::move(text)); }

  answer_pointer send_by(const caf::actor& via, std::string text) {
    auto slot = std::make_shared<std::optional<push_lines_reply>>();
    ask<push_lines_reply>(
        via, handle, push_lines{std::make_shared<const std::string>(std::move(text))}, batch_timeout,
        [slot](push_lines_reply& reply) { *slot = std::move(reply); },
        [slot](const error& why) {
          slot->emplace();
          (*slot)->failure = why;
        },
        ask_origin::http);
    actors.run_actors();
    return slot;
  }

  actor_fixture actors{{actor_fixture::make_channel("default", false, 0),
                        actor_fixture::make_channel("mail", false, 0),
                        actor_fixture::make_channel("once", true, 0), small_channel()}};
  /// It holds 1,000 tasks.
  static channel_record small_channel() {
    auto record = actor_fixture::make_channel("small", false, 0);
    record.tasks_max = 1'000;
    return record;
  }

  std::shared_ptr<actor_probe> probe = actors.probes.add(batch_shape());
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

TEST_CASE("batches for one channel each keep the order of their lines") {
  batches b;
  std::vector<answer_pointer> answers;
  for (int i = 0; i < 3; ++i)
    answers.push_back(b.send(many_lines(3'000)));
  b.actors.settle();
  for (const auto& answer : answers) {
    const auto results = results_of(answer);
    REQUIRE(results.size() == 3'000);
    uint64_t last = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      const auto stored = b.actors.stored(results[i].at("task_id"));
      CHECK(stored.name == "command " + std::to_string(i));
      CHECK(stored.sequence > last);
      last = stored.sequence;
    }
  }
}

TEST_CASE("one slice of a batch is on its way at a time") {
  batches b;
  const auto answer = b.send(many_lines(5'000));
  CHECK(b.actors.writer.work() == 1);
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
  // It may come in when the same is sent again, so the answer is not the last word.
  CHECK((*answer)->is_undecided);
  b.actors.writer.refuses = nullptr;
  b.actors.pass(std::chrono::seconds(2));
  answer = b.send(line("z", "mail") + "{bad\n");
  b.actors.settle();
  CHECK(results_of(answer)[1].at("code") == "invalid_argument");
  CHECK_FALSE((*answer)->is_undecided);
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
  CHECK(results[1'000].contains("message"));
  CHECK_FALSE(results[1'001].contains("message"));
  CHECK(results.back() == json{{"line", 60'001}, {"result", false}, {"code", "invalid_argument"}});
  CHECK((*answer)->results.size() < 4'000'000);
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
  CHECK((*answer)->accepted == 1'024);
  CHECK(results[1'024].at("code") == "overloaded");
  CHECK(results.back().at("line") == 5'000);
  CHECK(failure_of(others.back()).code == error_code::overloaded); // it had waited for its turn
}

TEST_CASE("a store that never answers does not keep a batch waiting") {
  batches b;
  const auto answer = b.send(many_lines(2));
  b.actors.wait(std::chrono::seconds(31));
  CHECK(failure_of(answer).code == error_code::timeout);
}

TEST_CASE("a channel that is silent costs a batch its own lines alone") {
  batches b;
  const auto answer = b.send(line("a", "mail") + line("b") + line("c", "none"));
  b.actors.wait(std::chrono::seconds(26));
  const auto results = results_of(answer);
  CHECK(results[0].at("code") == "timeout");
  CHECK(results[0].at("status_code") == 504);
  CHECK(results[1].at("code") == "timeout");
  CHECK(results[2].at("code") == "not_found");
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

TEST_CASE("a batch actor that dies leaves nobody waiting") {
  batches b;
  const auto client = b.actors.system->spawn(asker, b.actors.probes.add(asker_shape()));
  std::vector<answer_pointer> answers;
  for (int i = 0; i < 6; ++i) // four are open, two wait
    answers.push_back(b.send_by(client, line("echo " + std::to_string(i))));
  for (const auto& answer : answers)
    CHECK_FALSE(answer->has_value());
  caf::anon_send_exit(b.handle, caf::exit_reason::unhandled_exception);
  b.actors.run_actors();
  for (const auto& answer : answers)
    CHECK(failure_of(answer).code == error_code::unavailable);
  caf::anon_send_exit(client, caf::exit_reason::user_shutdown);
  b.actors.settle();
}

TEST_CASE(
    "a batch is one failure where its lines share a code, and never of lines that may have been taken") {
  batches b(false);
  const auto unavailable = failure_of(b.send(line("unavailable", "a") + line("unavailable", "b")));
  CHECK(unavailable.code == error_code::unavailable);
  CHECK(unavailable.message == "nothing of 2 lines was taken: as the test wants it");
  CHECK(failure_of(b.send(line("queue_full"))).message == "as the test wants it");
  const auto silent = failure_of(b.send(line("timeout", "a") + line("timeout", "b")));
  CHECK(silent.code == error_code::timeout);
  CHECK(silent.message.find("may have been taken") != std::string::npos);
  CHECK(silent.message.find("id") != std::string::npos);
  const auto codes = [&](const std::string& text) {
    std::vector<std::string> found;
    for (const auto& one : results_of(b.send(text)))
      found.push_back(one.value("code", "accepted"));
    return found;
  };
  using words = std::vector<std::string>;
  CHECK(codes(line("timeout", "a") + line("fine", "b")) == words{"timeout", "accepted"});
  CHECK(codes(line("timeout", "a") + line("unavailable", "b")) == words{"timeout", "unavailable"});
  CHECK(codes(line("overloaded", "a") + line("timeout", "b")) == words{"overloaded", "timeout"});
  CHECK(codes(line("queue_full", "a") + line("unavailable", "b")) == words{"queue_full", "unavailable"});
  CHECK(codes("{bad\n" + line("timeout", "a")) == words{"invalid_argument", "timeout"});
  CHECK(codes(line("queue_full", "a") + line("not_found", "b")) == words{"queue_full", "not_found"});
}

TEST_CASE("nothing of a channel overtakes a line that was refused for the moment") {
  batches b(false);
  const auto rest =
      line("1", "mail") + line("2", "default") + R"({"task":"3"})" + "\n" + line("4", "biz") + line("5");
  for (const std::string code : {"queue_full", "unavailable", "overloaded", "timeout"}) {
    // The first slice ends with the fillers.
    const auto answer = b.send(line(code, "mail") + "{\"task\":\"" + code + "\"}\n" +
                               line("not_found", "biz") + many_lines(1'021, "other") + rest);
    const auto results = results_of(answer);
    REQUIRE(results.size() == 1'029);
    CHECK((*answer)->accepted == 1'022);
    for (const size_t i : {1'024, 1'025, 1'026, 1'028}) {
      INFO(results[i].dump());
      CHECK(results[i].at("code") == code);
      CHECK(results[i].at("message").get<std::string>().find("an earlier line of this channel") == 0);
    }
    CHECK(results[1'027].at("result") == true);
  }
}

TEST_CASE("a place that becomes free while a batch is taken goes to none of its later lines") {
  batches b;
  const auto first = b.send(many_lines(500, "small"));
  b.actors.settle();
  const std::string held = results_of(first)[0].at("task_id");
  std::string text;
  for (int i = 0; i < 700; ++i)
    text += line(std::to_string(i), "small") + line(std::to_string(i));
  const auto answer = b.send(text);
  // Its commit follows that of the first slice, and comes before the second one is handed over.
  const auto cancelled = b.actors.act(task_verb::cancel, held);
  REQUIRE(cancelled->has_value());
  REQUIRE_FALSE((*cancelled)->failure);
  b.actors.settle();
  const auto results = results_of(answer);
  REQUIRE(results.size() == 1'400);
  for (size_t i = 0; i < results.size(); ++i) {
    INFO(results[i].dump());
    const bool full = i % 2 == 0 && i >= 1'000;
    CHECK(results[i].at("result") == !full);
    if (full) {
      CHECK(results[i].at("code") == "queue_full");
      CHECK((results[i].at("message").get<std::string>().find("an earlier line") == 0) == (i >= 1'024));
    }
  }
  CHECK(b.actors.status("small").counts.pending == 999); // the place is there
}

TEST_CASE("a drain between two slices refuses the rest") {
  batches b;
  const auto answer = b.send(many_lines(3'000));
  caf::anon_send(b.actors.intake_handle, drain{});
  b.actors.settle();
  const auto results = results_of(answer);
  REQUIRE(results.size() == 3'000);
  CHECK((*answer)->accepted == 1'024);
  CHECK((*answer)->refused == 1'976);
  CHECK(results[1'024].at("code") == "draining");
  CHECK(results.back().at("code") == "draining");
}

TEST_CASE("batches that wait have 64 MiB together") {
  batches b;
  auto large = line("large");
  while (large.size() < 20'971'520)
    large += std::string(1'000'000, ' ') + "\n";
  std::vector<answer_pointer> answers;
  for (int i = 0; i < 4; ++i)
    answers.push_back(b.send(line("open")));
  for (int i = 0; i < 3; ++i)
    answers.push_back(b.send(large));
  const auto refused = failure_of(b.send(large));
  CHECK(refused.code == error_code::overloaded);
  CHECK(refused.message.find("3 batches of") == 0);
  answers.push_back(b.send(line("small enough")));
  b.actors.settle();
  for (const auto& answer : answers)
    CHECK(results_of(answer).size() == 1);
}

TEST_CASE("no batch is begun while too much of what others were answered is not sent") {
  batches b(false);
  std::vector<answer_pointer> unsent;
  for (int i = 0; i < 7; ++i) {
    unsent.push_back(b.send(line("long")));
    REQUIRE((*unsent.back())->accepted == 1);
  }
  const auto refused = failure_of(b.send(line("x")));
  CHECK(refused.code == error_code::overloaded);
  CHECK(refused.message.find("not read") != std::string::npos);
  unsent.pop_back();
  CHECK(results_of(b.send(line("x"))).size() == 1);
}

TEST_CASE("a long line is refused, and blank ones are passed over a few at a time") {
  batches b;
  const auto answer = b.send(line(std::string(1'048'577, 'x'), "mail") + std::string(1'048'577, ' ') + "\n" +
                             std::string(5'000, '\n') + line("after", "mail"));
  b.actors.settle();
  const auto results = results_of(answer);
  REQUIRE(results.size() == 3);
  for (const size_t i : {0, 1}) {
    CHECK(results[i].at("code") == "too_large");
    CHECK(results[i].at("status_code") == 413);
  }
  CHECK(results[2].at("line") == 5'003);
  CHECK(results[2].at("result") == true);
  CHECK(b.probe->handled(static_cast<size_t>(batch_message::turn)) >= 6);
}
