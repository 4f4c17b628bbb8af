// At-most-once answering, and the answer 500 for a request that everybody has let go of.
#include "services/http/http_responder.hpp"

#include "services/http/connection.hpp"
#include "services/http/envelope.hpp"
#include "services/observability/log.hpp"

#include <atomic>

namespace task_runner {

/// What all copies of a responder share.
class http_responder::exchange {
public:
  exchange(std::shared_ptr<http_connection> connection, uint64_t number, bool legacy_200)
      : connection_(std::move(connection))
      , number_(number)
      , legacy_200_(legacy_200) {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  ~exchange() {
    if (answered_.load(std::memory_order_acquire))
      return;
    const auto body =
        make_envelope(500, "the request was given up without an answer; the daemon's log may say why");
    if (answer({legacy_200_ ? 200 : 500, envelope_content_type, body, {}}))
      log_event(log_level::warning, "HTTP request given up without an answer");
  }

  bool answer(const http_answer& what) {
    if (answered_.exchange(true, std::memory_order_acq_rel))
      return false;
    return connection_->answer(number_, what);
  }

  bool answered() const noexcept { return answered_.load(std::memory_order_acquire); }
  bool is_legacy() const noexcept { return legacy_200_; }

private:
  const std::shared_ptr<http_connection> connection_;
  const uint64_t number_;
  const bool legacy_200_;
  std::atomic<bool> answered_{false};
};

http_responder::http_responder(std::shared_ptr<http_connection> connection, uint64_t request_number,
                               bool legacy_200)
    : exchange_(std::make_shared<exchange>(std::move(connection), request_number, legacy_200)) {}

bool http_responder::send(int status, std::string_view content_type, std::string_view body,
                          const std::vector<http_header>& extra_headers) const {
  return exchange_ != nullptr && exchange_->answer({status, content_type, body, extra_headers});
}

bool http_responder::send_envelope(int status_code, std::string_view message, std::string_view data_json,
                                   std::string_view members_json, std::vector<http_header> extra_headers,
                                   std::shared_ptr<void> hold) const {
  if (exchange_ == nullptr)
    return false;
  const bool legacy = exchange_->is_legacy();
  if (legacy && (status_code == 429 || status_code == 503))
    extra_headers.push_back({"Retry-After", std::to_string(retry_after_s)});
  return exchange_->answer({legacy ? 200 : status_code, envelope_content_type,
                            make_envelope(status_code, message, data_json, members_json), extra_headers,
                            std::move(hold)});
}

bool http_responder::fail(const error& failure, std::vector<http_header> extra_headers) const {
  return send_envelope(http_status(failure.code), failure.message, "null", {}, std::move(extra_headers));
}

bool http_responder::answered() const {
  return exchange_ != nullptr && exchange_->answered();
}

} // namespace task_runner
