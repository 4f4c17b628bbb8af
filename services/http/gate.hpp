// The one Pistache handler: raw bytes go to the connection they belong to, complete requests through
// Pistache's parser and router to their handler. Pistache's own parser only ever sees a clean request line,
// for what it makes of hostile bytes (wrong lengths, exception texts in answers) must not be reachable.
#pragma once

#include "services/http/connection.hpp"
#include "services/http/route_table.hpp"

#include <pistache/http.h>
#include <pistache/peer.h>
#include <pistache/router.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace task_runner {

/// What all workers of a server share.
struct gate_core {
  std::shared_ptr<const http_rules> rules;
  std::shared_ptr<http_counters> counters;
  route_table routes;
};

/// The gate of one worker thread. Made before that thread runs, used by that thread alone, destroyed after
/// it.
class gate final : public Pistache::Http::Handler {
public:
  explicit gate(std::shared_ptr<const gate_core> core);
  ~gate() override;

  std::shared_ptr<Pistache::Tcp::Handler> clone() const override { return std::make_shared<gate>(core_); }

  void onConnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override;
  void onInput(const char* buffer, size_t length, const std::shared_ptr<Pistache::Tcp::Peer>& peer) override;
  void onDisconnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override;
  void onRequest(const Pistache::Http::Request& request, Pistache::Http::ResponseWriter response) override;

  /// Forgets a connection whose descriptor is about to be closed.
  void disconnect(int descriptor);

  /// The socket has room again.
  void on_room(int descriptor);

  /// Whether a part of an answer waits for room in this socket.
  bool wants_room(int descriptor) const;

  /// Deals with what other threads posted. Returns the descriptors that wait for room.
  std::vector<int> take_posted();

  /// Acts on all deadlines that have passed.
  void expire(int64_t now_ms);

  /// The earliest moment at which expire() has to be called, monotonic milliseconds; `http_connection::never`
  /// when there is none.
  int64_t wake_at_ms() const noexcept { return wake_at_ms_; }

  /// The descriptor that becomes readable when take_posted() has something to do.
  int mailbox_descriptor() const noexcept { return mailbox_->descriptor(); }

private:
  /// What the router's callback needs to know, for the length of one call of the router.
  struct routing {
    const std::shared_ptr<http_connection>* connection = nullptr;
    accepted_request* request = nullptr;
    http_responder responder;
    /// Only asked whether there is a route: nothing is to be called.
    bool probe = false;
    bool found = false;
  };

  void add_routes();
  void drive(const std::shared_ptr<http_connection>& connection);
  void dispatch(const std::shared_ptr<http_connection>& connection, accepted_request request);
  bool route(std::string_view method, std::string_view path);
  void on_route(size_t index, const Pistache::Rest::Request* matched);
  std::string allowed_methods(const request_target& target);
  void answer_unrouted(const accepted_request& request, const http_responder& responder);

  const std::shared_ptr<const gate_core> core_;
  const std::shared_ptr<worker_mailbox> mailbox_;
  std::unordered_map<int, std::shared_ptr<http_connection>> connections_;
  /// Not shared between workers: Pistache's router changes its own tables while it looks up a route.
  Pistache::Rest::Router router_;
  std::vector<std::vector<std::string>> parameter_names_;
  /// Routes without parameters, by "METHOD PATH": they need no search. Where one of them fits, the router
  /// would choose it as well.
  std::unordered_map<std::string, size_t> literal_routes_;
  std::unique_ptr<Pistache::Http::RequestParser> parser_;
  routing* routing_ = nullptr;
  int64_t wake_at_ms_ = http_connection::never;
};

} // namespace task_runner
