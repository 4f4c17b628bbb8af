// The kinds of actor that a listing can be of, held against the actors that there are.
#include "actors/executor.hpp"
#include "actors/gateway/ask.hpp"
#include "actors/gateway/batch.hpp"
#include "actors/gateway/requests.hpp"
#include "actors/historian.hpp"
#include "actors/intake.hpp"
#include "actors/queue.hpp"
#include "actors/router.hpp"
#include "actors/supervisor.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace task_runner;

TEST_CASE("a listing can be of every kind of actor there is, and of no other") {
  std::vector<std::string_view> kinds{actor_probe("store").kind()};
  for (const auto* shape : {&asker_shape(), &batch_shape(), &executor_shape(), &historian_shape(),
                            &intake_shape(), &queue_shape(), &router_shape(), &supervisor_shape()})
    kinds.push_back(shape->kind);
  std::sort(kinds.begin(), kinds.end());
  CHECK(kinds == std::vector<std::string_view>(actor_kinds.begin(), actor_kinds.end()));
  http_request request;
  request.query_parameters = {{"kind", "nobody"}};
  const auto refused = decode_actor_list(request);
  REQUIRE_FALSE(refused);
  CHECK(
      refused.failure().message ==
      "\"kind\" is none of actors; give batch, executor, gateway, historian, intake, queue, router, service "
      "or supervisor");
  for (const auto kind : kinds) {
    request.query_parameters = {{"kind", std::string(kind)}};
    CHECK(decode_actor_list(request));
  }
}
