// The limit for POST /push: a server of the same Pistache whose handler does nothing but answer. It prints
// the port that it listens on, at the loopback address, and serves until it is ended.
//
//   noop_http THREADS
#include <pistache/endpoint.h>
#include <pistache/http.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

namespace {

class nothing : public Pistache::Http::Handler {
public:
  HTTP_PROTOTYPE(nothing)

  void onRequest(const Pistache::Http::Request&, Pistache::Http::ResponseWriter response) override {
    response.send(Pistache::Http::Code::Ok, "ok");
  }
};

} // namespace

int main(int count, char** words) {
  const int threads = count == 2 ? std::atoi(words[1]) : 0;
  if (threads < 1 || threads > 64) {
    std::cerr << "usage: noop_http THREADS     1 to 64\n";
    return 2;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  try {
    Pistache::Http::Endpoint endpoint(Pistache::Address("127.0.0.1", Pistache::Port(0)));
    endpoint.init(Pistache::Http::Endpoint::options()
                      .threads(threads)
                      .maxRequestSize(size_t{2} << 20)
                      .flags(Pistache::Tcp::Options::ReuseAddr));
    endpoint.setHandler(std::make_shared<nothing>());
    endpoint.serveThreaded();
    std::cout << static_cast<uint16_t>(endpoint.getPort()) << std::endl;
    int signal = 0;
    sigwait(&ends, &signal);
    endpoint.shutdown();
  } catch (const std::exception& error) {
    std::cerr << "noop_http: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
