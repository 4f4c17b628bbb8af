// A look at a real Redis server for messages that nobody takes.
#include "services/source/redis_checkup.hpp"

#include "test/support/free_port.hpp"
#include "test/support/redis_server.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace task_runner;
using namespace task_runner::test;

namespace {

const std::vector<std::string> keys{"task:prepare:queue", "other:list"};

redis_endpoint endpoint_of(const redis_server& server) {
  redis_endpoint endpoint;
  endpoint.port = server.port();
  return endpoint;
}

} // namespace

TEST_CASE("redis: names that resemble an intake key are told from others") {
  for (const auto* near :
       {":task:prepare:queue", "laravel_database_task:prepare:queue", "task:prepare:queue:default",
        "Task:Prepare:Queue", "task_prepare_queue", "task.prepare.queue", "task:prepare:queues",
        "task:perpare:queue", "queue:task:prepare:queue", "task:prepar:queu"})
    CHECK(resembles_key(near, "task:prepare:queue"));
  for (const auto* far :
       {"task:prepare:queue", "task:prepare:rejected", "tasks", "queue", "task:prepare", "",
        "{task:prepare:queue}:taken:node:1", "task:prepare:queue-of-something-else-entirely"})
    CHECK_FALSE(resembles_key(far, "task:prepare:queue"));
  CHECK_FALSE(resembles_key("abd", "abc")); // short names resemble each other too easily
  CHECK_FALSE(resembles_key(std::string(10'000, 'x'), "task:prepare:queue"));
}

TEST_CASE("redis: a checkup finds what waits, and changes nothing") {
  const redis_server server;
  server.command({"LPUSH", "task:prepare:queue", "a", "b"});
  server.command({"LPUSH", "prefix:task:prepare:queue", "c"});
  server.command({"HSET", "other:list", "field", "value"});
  server.command({"LPUSH", "task:prepare:rejected", "d", "e", "f"});
  server.client(3)->command({"RPUSH", "task:prepare:queue", "g"});
  const auto found = check_redis(endpoint_of(server), keys);
  INFO((found ? std::string() : found.failure().message));
  REQUIRE(found);
  CHECK_FALSE(found->version.empty());
  REQUIRE(found->backlogs.size() == 1);
  CHECK(found->backlogs[0].messages == 2);
  CHECK(found->rejected == 3);
  CHECK(found->keys_seen == 4);
  CHECK_FALSE(found->is_cut_short);
  REQUIRE(found->misplaced.size() == 3);
  const auto has = [&](misplaced_messages::kind what, const std::string& key, uint32_t db,
                       uint64_t messages) {
    return std::any_of(found->misplaced.begin(), found->misplaced.end(), [&](const misplaced_messages& one) {
      return one.what == what && one.key == key && one.db == db && one.messages == messages;
    });
  };
  CHECK(has(misplaced_messages::kind::no_list, "other:list", 0, 0));
  CHECK(has(misplaced_messages::kind::similar_key, "prefix:task:prepare:queue", 0, 1));
  CHECK(has(misplaced_messages::kind::other_database, "task:prepare:queue", 3, 1));
  CHECK(server.command({"DBSIZE"}).integer == 4);
  CHECK(server.command({"LLEN", "task:prepare:queue"}).integer == 2);
}

TEST_CASE("redis: a checkup goes through many keys, and says when there are too many findings") {
  const redis_server server;
  std::vector<std::vector<std::string>> commands;
  for (int i = 0; i < 5'000; ++i)
    commands.push_back({"SET", "key:" + std::to_string(i), "x"});
  for (int i = 0; i < 30; ++i)
    commands.push_back({"LPUSH", std::to_string(i) + ":task:prepare:queue", "x"});
  server.client()->pipeline(commands);
  const auto found = check_redis(endpoint_of(server), keys);
  REQUIRE(found);
  CHECK(found->keys_seen >= 5'030);
  CHECK(found->misplaced.size() == checkup_findings_max);
  CHECK(found->is_cut_short);
}

TEST_CASE("redis: a server that cannot be used is said so") {
  redis_endpoint nowhere;
  nowhere.port = free_port();
  const auto away = check_redis(nowhere, keys);
  REQUIRE_FALSE(away);
  CHECK(away.failure().message.find("cannot be reached") != std::string::npos);
  redis_server_options options;
  options.password = "open-sesame";
  const redis_server locked(options);
  const auto refused = check_redis(endpoint_of(locked), keys);
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().message.find("redis-password") != std::string::npos);
  auto endpoint = endpoint_of(locked);
  endpoint.password = "open-sesame";
  CHECK(check_redis(endpoint, keys));
}
