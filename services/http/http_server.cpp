// Start and stop of Pistache's listener with the gate's transport in it.
#include "services/http/http_server.hpp"

#include "services/http/gate.hpp"
#include "services/http/gate_transport.hpp"
#include "services/observability/log.hpp"

#include <pistache/listener.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <sys/resource.h>

namespace task_runner {

namespace {

/// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
constexpr int backlog = 1'024;

constexpr uint32_t threads_max = 64;

/// Descriptors that connections leave to the rest of the daemon.
constexpr uint64_t spare_descriptors = 128;

/// Where that would leave connections less than this part of a low limit, they get this part.
constexpr uint64_t least_part = 4;

/// Even a tiny limit on open files leaves the server this many connections.
constexpr uint32_t connections_min = 16;

/// Streams leave one in so many connections to other requests.
constexpr uint32_t streamless_part = 4;

/// A stream's head must fit what may wait.
constexpr uint32_t stream_unsent_min = 1'024;

bool is_routable_method(std::string_view method) {
  constexpr std::array methods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  return std::find(methods.begin(), methods.end(), method) != methods.end();
}

bool is_segment_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::string_view("-._~:").find(c) != std::string_view::npos);
}

/// A path as the router is asked for it: no empty segment, no trailing slash, nothing that needs encoding.
bool is_pattern(std::string_view pattern) {
  if (pattern == "/")
    return true;
  if (pattern.empty() || pattern.front() != '/' || pattern.back() == '/' ||
      pattern.find("//") != std::string_view::npos)
    return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '/') {
      // ":name" needs a name.
      if (pattern.substr(i + 1, 1) == ":" && (i + 2 == pattern.size() || pattern[i + 2] == '/'))
        return false;
    } else if (!is_segment_character(pattern[i])) {
      return false;
    }
  }
  return true;
}

/// The shape of a pattern, in which the names of its parameters do not count.
std::string shape_of(std::string_view pattern) {
  std::string shape;
  bool in_name = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '/')
      in_name = false;
    if (!in_name)
      shape += pattern[i];
    if (pattern[i] == ':' && pattern[i - 1] == '/')
      in_name = true;
  }
  return shape;
}

bool is_wildcard_address(std::string_view host) {
  return host.empty() || host == "0.0.0.0" || host == "::";
}

uint32_t connections_that_fit(uint32_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return wanted;
  const uint64_t spared = limit.rlim_cur > spare_descriptors ? limit.rlim_cur - spare_descriptors : 0;
  const uint64_t room = std::max<uint64_t>(spared, limit.rlim_cur / least_part);
  const auto fitting = static_cast<uint32_t>(std::clamp<uint64_t>(room, connections_min, UINT32_MAX));
  return std::min(wanted, fitting);
}

} // namespace

class http_server::implementation {
public:
  explicit implementation(http_server_options options)
      : options_(std::move(options))
      , counters_(std::make_shared<http_counters>()) {}

  result<void> route(std::string_view method, std::string_view pattern, http_handler handler) {
    if (!is_routable_method(method) || !is_pattern(pattern) || !handler)
      return error{error_code::invalid_argument,
                   "cannot route " + std::string(method) + " " + std::string(pattern) +
                       "; expected a method such as GET and a path such as /tasks/:id"};
    for (const auto& other : routes_)
      if (other.method == method && shape_of(other.pattern) == shape_of(pattern))
        return error{error_code::conflict,
                     "there is a route for " + std::string(method) + " " + other.pattern};
    routes_.push_back({std::string(method), std::string(pattern), std::move(handler)});
    return {};
  }

  result<void> start() {
    std::lock_guard<std::mutex> guard(mutex_);
    if (listener_)
      return error{error_code::conflict, "the HTTP server runs already"};
    if (auto valid = check_options(); !valid)
      return valid;
    const auto core = make_core();
    const bool is_v6 = options_.host.find(':') != std::string::npos;
    const std::string host = is_v6 ? "[" + options_.host + "]" : options_.host;
    const std::string address = host + ":" + std::to_string(options_.port);
    try {
      auto listener = std::make_unique<Pistache::Tcp::Listener>();
      using Pistache::Tcp::Options;
      listener->init(options_.threads,
                     Pistache::Flags<Options>(Options::ReuseAddr) | Options::NoDelay | Options::CloseOnExec,
                     "tr-http", backlog);
      listener->setHandler(std::make_shared<gate>(core));
      listener->setTransportFactory([core] { return std::make_shared<gate_transport>(core); });
      listener->bind(Pistache::Address(host, Pistache::Port(options_.port)));
      listener->runThreaded();
      port_ = static_cast<uint16_t>(listener->getPort());
      listener_ = std::move(listener);
    } catch (const std::exception& thrown) {
      return bind_error(address, thrown.what());
    }
    return {};
  }

  void stop() {
    std::lock_guard<std::mutex> guard(mutex_);
    if (!listener_)
      return;
    listener_->shutdown();
    // Joins the threads, then destroys the transports, which close their connections.
    listener_.reset();
    port_ = 0;
  }

  uint16_t port() const {
    std::lock_guard<std::mutex> guard(mutex_);
    return port_;
  }

  const http_counters& counters() const noexcept { return *counters_; }

private:
  result<void> check_options() const {
    const bool sizes = options_.body_max > 0 && options_.header_max > 0 && options_.connections_max > 0 &&
                       options_.streams_max > 0 && options_.stream_unsent_max >= stream_unsent_min;
    const bool times = options_.header_deadline_ms > 0 && options_.body_deadline_ms > 0 &&
                       options_.request_timeout_ms > 0 && options_.idle_timeout_ms > 0 &&
                       options_.stream_stall_ms > 0;
    if (!sizes || !times || options_.threads == 0 || options_.threads > threads_max)
      return error{
          error_code::invalid_argument,
          "an option of the HTTP server is out of range: sizes and times start at 1, threads are 1 to " +
              std::to_string(threads_max)};
    return {};
  }

  std::shared_ptr<const gate_core> make_core() const {
    auto rules = std::make_shared<http_rules>();
    rules->header_max = options_.header_max;
    rules->body_max = options_.body_max;
    rules->header_deadline_ms = options_.header_deadline_ms;
    rules->body_deadline_ms = options_.body_deadline_ms;
    rules->request_timeout_ms = options_.request_timeout_ms;
    rules->idle_timeout_ms = options_.idle_timeout_ms;
    rules->connections_max = connections_that_fit(options_.connections_max);
    rules->streams_max =
        std::min(options_.streams_max, rules->connections_max - rules->connections_max / streamless_part);
    rules->stream_unsent_max = options_.stream_unsent_max;
    rules->stream_stall_ms = options_.stream_stall_ms;
    rules->legacy_200_paths = options_.legacy_200_paths;
    rules->guard.allow_hosts = options_.allow_hosts;
    // Whoever binds to an address or name on purpose is reached under it.
    if (!is_wildcard_address(options_.host))
      rules->guard.listen_host = options_.host;
    if (rules->connections_max < options_.connections_max)
      log_event(log_level::info, "fewer HTTP connections than configured: the limit on open files is low",
                {{"connections_max", rules->connections_max}});
    auto core = std::make_shared<gate_core>();
    core->rules = std::move(rules);
    core->counters = counters_;
    core->routes = routes_;
    return core;
  }

  static error bind_error(const std::string& address, std::string_view reason) {
    // Pistache passes on no error number, only its text.
    if (reason.find(std::strerror(EADDRINUSE)) != std::string_view::npos)
      return {error_code::conflict,
              "cannot listen on " + address +
                  ": the address is in use; stop what uses it (another daemon?) or choose "
                  "another address"};
    for (const int shortage : {EMFILE, ENFILE, EAGAIN, ENOMEM, ENOBUFS})
      if (reason.find(std::strerror(shortage)) != std::string_view::npos)
        return {error_code::unavailable, "cannot listen on " + address + ": " + std::string(reason) +
                                             "; look at the limits on memory, processes and open files"};
    return {error_code::invalid_argument, "cannot listen on " + address + ": " + std::string(reason) +
                                              "; expected an address of this machine and a port one may use"};
  }

  const http_server_options options_;
  const std::shared_ptr<http_counters> counters_;
  route_table routes_;
  mutable std::mutex mutex_;
  std::unique_ptr<Pistache::Tcp::Listener> listener_;
  uint16_t port_ = 0;
};

http_server::http_server(http_server_options options)
    : implementation_(std::make_unique<implementation>(std::move(options))) {}

http_server::~http_server() {
  stop();
}

result<void> http_server::route(std::string_view method, std::string_view pattern, http_handler handler) {
  return implementation_->route(method, pattern, std::move(handler));
}

result<void> http_server::start() {
  return implementation_->start();
}

void http_server::stop() {
  implementation_->stop();
}

uint16_t http_server::port() const {
  return implementation_->port();
}

const http_counters& http_server::counters() const noexcept {
  return implementation_->counters();
}

} // namespace task_runner
