// The passage of a request with a key: record, handler, answer to the record, answer to the client.
#include "actors/gateway/keyed_requests.hpp"

#include "actors/gateway/ask.hpp"
#include "services/domain/names.hpp"
#include "services/observability/log.hpp"
#include "services/wire/sha256.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace task_runner {

namespace {

constexpr int too_many_requests = 429;

const error under_way{error_code::in_progress,
                      "the same request, with this Idempotency-Key, is being carried out; send it again in a "
                      "second to get its answer"};
const error of_another{error_code::key_reused,
                       "the Idempotency-Key was given with another method, path or body; a new request needs "
                       "a new key"};

/// The key that the request gives, or what is wrong with it.
result<std::string> read_key(const http_request& request) {
  const auto lines = std::count_if(request.headers.begin(), request.headers.end(),
                                   [](const http_header& one) { return one.name == key_header; });
  const std::string key(request.header(key_header).value_or(""));
  const bool is_printable = std::all_of(key.begin(), key.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (lines != 1 || key.empty() || key.size() > request_key_length_max || !is_printable)
    return error{error_code::invalid_argument, "the Idempotency-Key cannot be used; give one, of 1 to " +
                                                   std::to_string(request_key_length_max) +
                                                   " printable ASCII characters, such as a random UUID"};
  return key;
}

/// Tells requests apart: method, path and body, each with its length.
std::string fingerprint_of(const http_request& request) {
  sha256 digest;
  for (const auto* part : {&request.method, &request.path, &request.body}) {
    digest.add(std::to_string(part->size()) + ":");
    digest.add(*part);
  }
  return digest.finish();
}

bool is_kept(const held_answer& answer) {
  return answer.meant_status < 500 && answer.meant_status != too_many_requests;
}

given_answer answer_to_keep(const held_answer& answer) {
  if (answer.body.size() <= kept_answer_bytes_max)
    return {answer.status, answer.content_type, answer.body};
  return {answer.status, std::string(envelope_content_type),
          make_envelope(answer.status, "done before; the answer then had " +
                                           std::to_string(answer.body.size()) +
                                           " bytes, which is too large to be kept")};
}

} // namespace

struct keyed_requests::passage {
  http_request request;
  http_responder responder;
  http_handler handler;
  std::string key;
  uint64_t batch = 0;
};

keyed_requests::keyed_requests(store_writer& writer, const wall_clock& clock, int64_t keep_ms, caf::actor via)
    : writer_(writer)
    , clock_(clock)
    , keep_ms_(keep_ms)
    , via_(std::move(via)) {}

void keyed_requests::handle(const http_request& request, const http_responder& responder,
                            const http_handler& handler) {
  auto key = read_key(request);
  if (!key) {
    responder.fail(key.failure());
    return;
  }
  auto fingerprint = fingerprint_of(request);
  if (auto entered = enter(*key, fingerprint, request.body.size()); !entered) {
    const bool soon = entered.failure().code == error_code::in_progress;
    responder.fail(entered.failure(),
                   soon ? std::vector<http_header>{{"Retry-After", std::to_string(retry_after_s)}}
                        : std::vector<http_header>{});
    return;
  }
  auto one = std::make_shared<passage>(passage{request, responder, handler, std::move(*key), 0});
  const auto now_ms = clock_.now_ms();
  begin_request begin;
  begin.key = one->key;
  begin.fingerprint = std::move(fingerprint);
  begin.task_id = make_task_id(now_ms);
  begin.now_ms = now_ms;
  begin.forget_before_ms = now_ms - keep_ms_;
  std::vector<store_operation> operations;
  operations.emplace_back(std::move(begin));
  auto submitted = writer_.submit(
      std::move(operations), [self = shared_from_this(), one](result<std::vector<store_answer>> answers) {
        self->begun(one, std::move(answers));
        const std::lock_guard lock(self->mutex_);
        --self->asked_;
        self->store_answered_.notify_all();
      });
  if (submitted)
    return;
  {
    const std::lock_guard lock(mutex_);
    --asked_;
    store_answered_.notify_all();
  }
  fail(one, submitted.failure());
}

void keyed_requests::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  store_answered_.wait(lock, [this] { return asked_ == 0; });
  via_ = caf::actor{};
}

result<void> keyed_requests::enter(const std::string& key, const std::string& fingerprint, size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (closed_)
    return error{error_code::draining, "the daemon is stopping; try again in a second"};
  if (const auto found = under_way_.find(key); found != under_way_.end())
    return found->second == fingerprint ? under_way : of_another;
  const bool fits = under_way_.empty() || under_way_bytes_ + bytes <= keyed_bytes_max;
  if (under_way_.size() >= keyed_requests_max || !fits)
    return error{error_code::overloaded, "too many requests with an Idempotency-Key are being carried out; "
                                         "nothing was done, try again in a second"};
  under_way_.emplace(key, fingerprint);
  under_way_bytes_ += bytes;
  ++asked_;
  return {};
}

void keyed_requests::leave(const passage& one) {
  const std::lock_guard lock(mutex_);
  under_way_.erase(one.key);
  under_way_bytes_ -= one.request.body.size();
}

void keyed_requests::begun(const passage_pointer& one, result<std::vector<store_answer>> answers) {
  if (!answers) {
    fail(one, answers.failure());
    return;
  }
  auto& found = std::get<request_answer>(answers->front());
  switch (found.what) {
  case request_answer::kind::another:
    fail(one, of_another);
    return;
  case request_answer::kind::answered: {
    held_answer again;
    again.status = found.answer.status;
    again.meant_status = found.answer.status;
    again.content_type = std::move(found.answer.content_type);
    again.body = std::move(found.answer.body);
    again.extra_headers.push_back({replayed_header, "true"});
    send(one, again);
    return;
  }
  case request_answer::kind::begun:
  case request_answer::kind::unanswered:
    one->batch = found.identity.batch;
    one->request.identity = std::move(found.identity);
    carry_out(one);
    return;
  }
}

/// On the actors' thread: this one is the store's, which has commits to make.
void keyed_requests::carry_out(const passage_pointer& one) {
  caf::actor via;
  {
    const std::lock_guard lock(mutex_);
    if (!closed_)
      via = via_;
  }
  if (!via) {
    fail(one, {error_code::draining, "the daemon is stopping; try again in a second"});
    return;
  }
  auto relay = one->responder.relayed_to(
      [self = shared_from_this(), one](held_answer answer) { self->answered(one, std::move(answer)); });
  caf::anon_send(
      via, ask_request{[one, relay = std::move(relay)](asker_pointer) {
                         try {
                           one->handler(one->request, relay);
                         } catch (const std::exception& thrown) {
                           log_event(log_level::error, "HTTP handler failed",
                                     {{"path", one->request.path}, {"reason", thrown.what()}});
                           relay.fail({error_code::internal, "internal error; the daemon's log says more"});
                         }
                       },
                       ask_origin::counted});
}

void keyed_requests::answered(const passage_pointer& one, held_answer answer) {
  if (!is_kept(answer)) {
    send(one, answer);
    return;
  }
  const auto held = std::make_shared<held_answer>(std::move(answer));
  std::vector<store_operation> operations;
  operations.emplace_back(finish_request{one->batch, answer_to_keep(*held)});
  const auto not_kept = [one](const error& why) {
    log_event(log_level::warning, "the answer to a request with an Idempotency-Key was not kept",
              {{"path", one->request.path}, {"reason", why.message}});
  };
  auto submitted =
      writer_.submit(std::move(operations), [self = shared_from_this(), one, held,
                                             not_kept](const result<std::vector<store_answer>>& answers) {
        if (!answers)
          not_kept(answers.failure());
        self->send(one, *held);
      });
  if (!submitted) {
    not_kept(submitted.failure());
    send(one, *held);
  }
}

void keyed_requests::fail(const passage_pointer& one, const error& why) {
  leave(*one);
  one->responder.fail(why);
}

void keyed_requests::send(const passage_pointer& one, const held_answer& answer) {
  leave(*one);
  one->responder.send(answer);
}

} // namespace task_runner
