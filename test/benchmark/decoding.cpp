// Task definitions out of the bytes that carry them: a message from Redis, bodies of the API, forms.
// Each is decoded and checked as on its way to the intake.
#include "actors/gateway/requests.hpp"
#include "services/domain/push.hpp"
#include "services/http/http_message.hpp"
#include "services/wire/push_json.hpp"
#include "test/benchmark/support.hpp"

#include <string>
#include <utility>

namespace task_runner::benchmarks {

namespace {

/// As the documentation of the predecessor shows it.
constexpr const char* redis_message = R"({"task":"/usr/bin/php artisan mail:send --user 4711","chan":"mail",)"
                                      R"("ts":1800000000})";

/// One that says much.
constexpr const char* api_body =
    R"({"task":"nightly report","channel":"reports","command":{"name":"/usr/bin/python3","args":)"
    R"(["/srv/reports/nightly.py","--day","2027-01-15","--format","pdf"]},"priority":10,"max_attempts":5,)"
    R"("backoff":"exponential","backoff_s":2,"timeout_s":600,"grace_s":20,"concurrency_key":"reports",)"
    R"("concurrency_max":2,"env":{"LANG":"C.UTF-8","REPORT_BUCKET":"finance"},"cwd":"/srv/reports",)"
    R"("limits":{"memory":"512M","cpu_s":300}})";

constexpr const char* form_body =
    "task=%2Fusr%2Fbin%2Fphp+artisan+mail%3Asend+--user+4711&channel=mail&delay=0";

constexpr const char* multipart_body = "--limit-of-parts\r\n"
                                       "Content-Disposition: form-data; name=\"task\"\r\n\r\n"
                                       "/usr/bin/php artisan mail:send --user 4711\r\n"
                                       "--limit-of-parts\r\n"
                                       "Content-Disposition: form-data; name=\"channel\"\r\n\r\n"
                                       "mail\r\n"
                                       "--limit-of-parts--\r\n";

/// Whether it was decoded, and passes the checks of the intake.
bool is_good(const result<push_item>& item) {
  return item && check_push(*item);
}

void decode_message(benchmark::State& state) {
  const std::string text = redis_message;
  for (auto _ : state) {
    if (!is_good(decode_push_json(text))) {
      state.SkipWithError("the message was refused");
      break;
    }
  }
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_message)->Name("decode/redis_message");

void decode_body(benchmark::State& state, const char* content_type, const char* body) {
  http_request request;
  request.method = "POST";
  request.path = "/push";
  request.headers = {{"host", "127.0.0.1:60001"}, {"accept", "*/*"}, {"content-type", content_type}};
  request.body = body;
  for (auto _ : state) {
    if (!is_good(decode_push(request))) {
      state.SkipWithError("the body was refused");
      break;
    }
  }
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(decode_body, json, "application/json", api_body)->Name("decode/api_json");
BENCHMARK_CAPTURE(decode_body, json_short, "application/json", redis_message)->Name("decode/api_json_short");
BENCHMARK_CAPTURE(decode_body, form, "application/x-www-form-urlencoded", form_body)->Name("decode/form");
BENCHMARK_CAPTURE(decode_body, multipart, "multipart/form-data; boundary=limit-of-parts", multipart_body)
    ->Name("decode/multipart");

} // namespace

} // namespace task_runner::benchmarks
