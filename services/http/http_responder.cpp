// At-most-once answering, and the answer 500 for a request that everybody has let go of.
#include "services/http/http_responder.hpp"

#include "services/http/connection.hpp"
#include "services/http/envelope.hpp"
#include "services/observability/log.hpp"

#include <atomic>
#include <utility>

namespace task_runner {

/// What all copies of a responder share.
class http_responder::exchange {
public:
  exchange(std::shared_ptr<http_connection> connection, uint64_t number, failure_form form)
      : connection_(std::move(connection))
      , number_(number)
      , form_(form) {}
  exchange(const exchange& original, answer_listener listener)
      : connection_(original.connection_)
      , number_(original.number_)
      , form_(original.form_)
      , listener_(std::move(listener)) {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  ~exchange() {
    if (answered_.load(std::memory_order_acquire))
      return;
    const error why{error_code::internal,
                    "the request was given up without an answer; the daemon's log may say why"};
    const auto told = make_failure(form_, describe_failure(why));
    if (answer({told.status, told.content_type, told.body, {}}, http_status(why.code)))
      log_event(log_level::warning, "HTTP request given up without an answer");
  }

  bool answer(const http_answer& what, int meant_status) {
    if (answered_.exchange(true, std::memory_order_acq_rel))
      return false;
    if (!listener_)
      return connection_->answer(number_, what);
    listener_({what.status, meant_status, std::string(what.content_type), std::string(what.body),
               what.extra_headers, what.hold});
    return true;
  }

  std::optional<http_stream> stream(std::string_view content_type,
                                    const std::vector<http_header>& extra_headers, stream_listener listener) {
    if (listener_) {
      const error why{error_code::internal, "defect: this request cannot be answered with a stream"};
      const auto told = make_failure(form_, describe_failure(why));
      answer({told.status, told.content_type, told.body, {}}, http_status(why.code));
      return std::nullopt;
    }
    if (answered_.exchange(true, std::memory_order_acq_rel))
      return std::nullopt;
    switch (connection_->begin_stream(number_, content_type, extra_headers, std::move(listener))) {
    case stream_start::opened:
      return http_stream(connection_);
    case stream_start::too_many: {
      const error why{error_code::overloaded, "too many streams are open; try again later, or close some"};
      const auto told = make_failure(form_, describe_failure(why));
      connection_->answer(number_, {told.status, told.content_type, told.body, {}});
      return std::nullopt;
    }
    case stream_start::bodiless:
    case stream_start::too_late:
      return std::nullopt;
    }
    return std::nullopt;
  }

  bool answered() const noexcept { return answered_.load(std::memory_order_acquire); }
  failure_form form() const noexcept { return form_; }

private:
  const std::shared_ptr<http_connection> connection_;
  const uint64_t number_;
  const failure_form form_;
  const answer_listener listener_;
  std::atomic<bool> answered_{false};
};

http_responder::http_responder(std::shared_ptr<http_connection> connection, uint64_t request_number,
                               failure_form form)
    : exchange_(std::make_shared<exchange>(std::move(connection), request_number, form)) {}

http_responder http_responder::relayed_to(answer_listener listener) const {
  http_responder relay;
  if (exchange_ != nullptr)
    relay.exchange_ = std::make_shared<exchange>(*exchange_, std::move(listener));
  return relay;
}

bool http_responder::send(const held_answer& answer) const {
  return exchange_ != nullptr && exchange_->answer({answer.status, answer.content_type, answer.body,
                                                    answer.extra_headers, answer.hold},
                                                   answer.meant_status);
}

bool http_responder::send(int status, std::string_view content_type, std::string_view body,
                          const std::vector<http_header>& extra_headers) const {
  return exchange_ != nullptr && exchange_->answer({status, content_type, body, extra_headers}, status);
}

bool http_responder::send_envelope(int status_code, std::string_view message, std::string_view data_json,
                                   std::string_view members_json,
                                   const std::vector<http_header>& extra_headers,
                                   std::shared_ptr<void> hold) const {
  return exchange_ != nullptr &&
         exchange_->answer({status_code, envelope_content_type,
                            make_envelope(status_code, message, data_json, members_json), extra_headers,
                            std::move(hold)},
                           status_code);
}

bool http_responder::fail(const error& failure, std::vector<http_header> extra_headers) const {
  return fail(describe_failure(failure), {}, std::move(extra_headers));
}

bool http_responder::fail(const failed_request& failed, std::string_view members_json,
                          std::vector<http_header> extra_headers) const {
  if (exchange_ == nullptr)
    return false;
  const auto told = make_failure(exchange_->form(), failed, members_json);
  // The head adds it by the HTTP status, which may be 200.
  if (told.status != failed.status && (failed.status == 429 || failed.status == 503))
    extra_headers.push_back({"Retry-After", std::to_string(retry_after_s)});
  return exchange_->answer({told.status, told.content_type, told.body, extra_headers}, failed.status);
}

std::optional<http_stream> http_responder::stream(std::string_view content_type,
                                                  const std::vector<http_header>& extra_headers,
                                                  stream_listener listener) const {
  if (exchange_ == nullptr)
    return std::nullopt;
  return exchange_->stream(content_type, extra_headers, std::move(listener));
}

bool http_responder::answered() const {
  return exchange_ != nullptr && exchange_->answered();
}

} // namespace task_runner
