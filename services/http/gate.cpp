// From raw bytes to handlers, by way of Pistache's parser and router.
#include "services/http/gate.hpp"

#include "services/http/envelope.hpp"
#include "services/http/http_text.hpp"
#include "services/observability/log.hpp"

#include <algorithm>
#include <array>
#include <exception>

namespace task_runner {

namespace {

using Pistache::Http::Method;

struct known_method {
  std::string_view name;
  Method value;
};

/// Those that can have a route. TRACE and CONNECT are answered like any other unknown method.
constexpr std::array known_methods{
    known_method{"GET", Method::Get},         known_method{"HEAD", Method::Head},
    known_method{"POST", Method::Post},       known_method{"PUT", Method::Put},
    known_method{"PATCH", Method::Patch},     known_method{"DELETE", Method::Delete},
    known_method{"OPTIONS", Method::Options},
};

const known_method* find_method(std::string_view name) {
  const auto* found = std::find_if(known_methods.begin(), known_methods.end(),
                                   [&](const known_method& one) { return one.name == name; });
  return found == known_methods.end() ? nullptr : found;
}

/// Connections beyond the limit that are still told why, as a share of the limit; more are cut without a
/// word.
constexpr uint32_t told_share = 8;

/// Room in Pistache's parser for the request line it is given: a path may grow threefold when it is
/// re-encoded.
size_t parser_room(const http_rules& rules) {
  return 3 * rules.header_max + 256;
}

} // namespace

gate::gate(std::shared_ptr<const gate_core> core)
    : core_(std::move(core))
    , mailbox_(std::make_shared<worker_mailbox>())
    , parser_(std::make_unique<Pistache::Http::RequestParser>(parser_room(*core_->rules))) {
  add_routes();
}

gate::~gate() {
  mailbox_->close();
}

void gate::add_routes() {
  const auto& routes = core_->routes;
  for (size_t index = 0; index < routes.size(); ++index) {
    const auto& one = routes[index];
    auto& names = parameter_names_.emplace_back();
    for (size_t at = one.pattern.find("/:"); at != std::string::npos; at = one.pattern.find("/:", at + 1))
      names.push_back(one.pattern.substr(at + 2, one.pattern.find('/', at + 2) - at - 2));
    // Pistache hands the writer over by value.
    // NOLINTNEXTLINE(performance-unnecessary-value-param)
    const auto call = [this, index](const Pistache::Rest::Request& matched, Pistache::Http::ResponseWriter) {
      on_route(index, &matched);
      return Pistache::Rest::Route::Result::Ok;
    };
    router_.addRoute(find_method(one.method)->value, one.pattern, call);
    if (names.empty())
      literal_routes_.emplace(one.method + " " + one.pattern, index);
    const bool has_own_head = std::any_of(routes.begin(), routes.end(), [&](const http_route& other) {
      return other.method == "HEAD" && other.pattern == one.pattern;
    });
    if (one.method != "GET" || has_own_head)
      continue;
    router_.addRoute(Method::Head, one.pattern, call);
    if (names.empty())
      literal_routes_.emplace("HEAD " + one.pattern, index);
  }
}

void gate::onConnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) {
  auto connection = std::make_shared<http_connection>(peer->fd(), core_->rules, core_->counters, mailbox_);
  connections_[peer->fd()] = connection;
  auto& counters = *core_->counters;
  counters.connections_accepted.fetch_add(1, std::memory_order_relaxed);
  const auto open = counters.connections_open.fetch_add(1, std::memory_order_relaxed) + 1;
  const auto limit = core_->rules->connections_max;
  if (open > limit) {
    counters.connections_refused.fetch_add(1, std::memory_order_relaxed);
    if (open > limit + std::max(1U, limit / told_share))
      connection->cut_now();
    else
      connection->refuse_for_number();
  }
  wake_at_ms_ = std::min(wake_at_ms_, connection->deadline_ms());
}

void gate::onInput(const char* buffer, size_t length, const std::shared_ptr<Pistache::Tcp::Peer>& peer) {
  const auto found = connections_.find(peer->fd());
  if (found == connections_.end())
    return;
  // A handler may be called from here: hold on to the connection.
  const auto connection = found->second;
  connection->receive({buffer, length});
  drive(connection);
}

void gate::onDisconnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) {
  disconnect(peer->fd());
}

/// Pistache calls this for requests that its own onInput has read; this gate's onInput never lets it come to
/// that.
void gate::onRequest(const Pistache::Http::Request&, Pistache::Http::ResponseWriter) {}

void gate::disconnect(int descriptor) {
  const auto found = connections_.find(descriptor);
  if (found == connections_.end())
    return;
  found->second->disconnected();
  connections_.erase(found);
  core_->counters->connections_open.fetch_sub(1, std::memory_order_relaxed);
}

void gate::on_room(int descriptor) {
  const auto found = connections_.find(descriptor);
  if (found == connections_.end())
    return;
  const auto connection = found->second;
  connection->send_rest();
  drive(connection);
}

bool gate::wants_room(int descriptor) const {
  const auto found = connections_.find(descriptor);
  return found != connections_.end() && found->second->wants_room();
}

std::vector<int> gate::take_posted() {
  std::vector<int> waiting;
  for (const auto& connection : mailbox_->take()) {
    connection->taken_from_mailbox();
    const int descriptor = connection->descriptor();
    const auto found = connections_.find(descriptor);
    // It may have left since, and its descriptor may be another's by now.
    if (found == connections_.end() || found->second != connection)
      continue;
    drive(connection);
    if (connection->wants_room())
      waiting.push_back(descriptor);
  }
  return waiting;
}

void gate::expire(int64_t now_ms) {
  wake_at_ms_ = http_connection::never;
  for (const auto& entry : connections_) {
    if (entry.second->deadline_ms() <= now_ms)
      entry.second->expire(now_ms);
    wake_at_ms_ = std::min(wake_at_ms_, entry.second->deadline_ms());
  }
}

/// Takes the connection as far as it goes: all requests that are complete and may be handled.
void gate::drive(const std::shared_ptr<http_connection>& connection) {
  while (auto request = connection->next())
    dispatch(connection, std::move(*request));
  wake_at_ms_ = std::min(wake_at_ms_, connection->deadline_ms());
}

void gate::dispatch(const std::shared_ptr<http_connection>& connection, accepted_request request) {
  routing call;
  call.connection = &connection;
  call.request = &request;
  call.responder = http_responder(connection, request.number, request.form);
  const auto responder = call.responder;
  routing_ = &call;
  try {
    const bool routed = !request.target.asterisk && find_method(request.head.method) != nullptr &&
                        route(request.head.method, request.target.router_path);
    if (!routed)
      answer_unrouted(request, responder);
  } catch (const std::exception& thrown) {
    log_event(log_level::error, "HTTP handler failed",
              {{"path", request.target.path}, {"reason", thrown.what()}});
    responder.fail(error{error_code::internal, "internal error; the daemon's log says more"});
  } catch (...) {
    log_event(log_level::error, "HTTP handler failed", {{"path", request.target.path}});
    responder.fail(error{error_code::internal, "internal error; the daemon's log says more"});
  }
  routing_ = nullptr;
}

/// Finds the route, with parameters by way of Pistache, which parses the request line and calls on_route()
/// back when there is one.
bool gate::route(std::string_view method, std::string_view path) {
  std::string line(method);
  line += ' ';
  line += path;
  routing_->found = false;
  if (const auto literal = literal_routes_.find(line); literal != literal_routes_.end()) {
    on_route(literal->second, nullptr);
    return true;
  }
  line += " HTTP/1.1\r\n\r\n";
  parser_->reset();
  const bool parsed =
      parser_->feed(line.data(), line.size()) && parser_->parse() == Pistache::Http::Private::State::Done;
  if (!parsed)
    throw std::runtime_error("Pistache's parser does not take the request line");
  // A writer without a peer sends nothing: when there is no route, Pistache answers 404 or 405 on its own,
  // and in its own words.
  Pistache::Http::ResponseWriter mute(Pistache::Http::Version::Http11, transport(), this, {});
  router_.route(parser_->request, std::move(mute));
  return routing_->found;
}

/// `matched` has the values of the parameters, where there are any.
void gate::on_route(size_t index, const Pistache::Rest::Request* matched) {
  routing_->found = true;
  if (routing_->probe)
    return;
  auto& from = *routing_->request;
  http_request request;
  request.method = std::move(from.head.method);
  request.path = from.target.path;
  request.query_parameters = std::move(from.target.query_parameters);
  request.headers = std::move(from.head.headers);
  request.body = std::move(from.body);
  request.peer_address = (*routing_->connection)->peer_address();
  for (const auto& name : parameter_names_[index]) {
    auto value = percent_decode(matched->param(":" + name).as<std::string>(), plus_sign::is_plus, "the path");
    // The router was given what append_encoded() made: it always decodes.
    request.path_parameters.push_back({name, value ? std::move(*value) : std::string()});
  }
  core_->routes[index].handler(request, std::move(routing_->responder));
}

/// The methods that have a route for this path, as an Allow header has them; empty when there are none.
std::string gate::allowed_methods(const request_target& target) {
  std::string allowed;
  routing_->probe = true;
  for (const auto& method : known_methods) {
    const bool used = std::any_of(core_->routes.begin(), core_->routes.end(), [&](const http_route& one) {
      return one.method == method.name || (method.name == "HEAD" && one.method == "GET");
    });
    if (method.name == "OPTIONS" || !used || !(target.asterisk || route(method.name, target.router_path)))
      continue;
    allowed += allowed.empty() ? "" : ", ";
    allowed += method.name;
  }
  routing_->probe = false;
  if (!allowed.empty())
    allowed += ", OPTIONS";
  return allowed;
}

void gate::answer_unrouted(const accepted_request& request, const http_responder& responder) {
  const auto allowed = allowed_methods(request.target);
  const auto& method = request.head.method;
  if (allowed.empty() || (request.target.asterisk && method != "OPTIONS")) {
    responder.fail(error{error_code::not_found, "no such path: " + request.target.path});
    return;
  }
  if (method == "OPTIONS") {
    responder.send(204, {}, {}, {{"Allow", allowed}});
    return;
  }
  responder.fail(error{error_code::method_not_allowed,
                       "the method " + method + " is not allowed here; allowed: " + allowed},
                 {{"Allow", allowed}});
}

} // namespace task_runner
