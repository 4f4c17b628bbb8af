// The routes of the dashboard: its page at the root, where a browser asks for one, and its files below
// /dashboard. They ask nobody, and so the page is there while the daemon starts and stops as well.
#include "actors/gateway/handlers.hpp"
#include "services/http/dashboard.hpp"

namespace task_runner {

namespace {

constexpr std::string_view page_media_type = "text/html";
constexpr std::string_view text_media_type = "text/plain";

/// What a browser may do with the page: load what is the daemon's own and talk to the daemon, nothing else.
/// No text becomes markup or a script (trusted types), and nobody may put the page into a frame of theirs.
const std::vector<http_header>& page_headers() {
  static const std::vector<http_header> headers{
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
       "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
       "require-trusted-types-for 'script'; trusted-types 'none'"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Permissions-Policy",
       "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
       "microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), "
       "usb=(), xr-spatial-tracking=()"},
  };
  return headers;
}

/// The predecessor's sentence for programs, the page for those who prefer one.
void answer_root(const http_request& request, const http_responder& responder) {
  const http_header by_accept{"Vary", "Accept"};
  const auto* const page = request.prefers(page_media_type, text_media_type)
                               ? dashboard_assets().find(dashboard_page_path)
                               : nullptr;
  if (page == nullptr) {
    responder.send(200, "text/plain; charset=utf-8", "TaskRunner Started.", {by_accept});
    return;
  }
  auto headers = page_headers();
  headers.push_back(by_accept);
  answer_asset(*page, request, responder, std::move(headers));
}

} // namespace

void add_dashboard_routes(route_table& routes) {
  routes.push_back({"GET", "/", answer_root});
  // Where people look for it who have not read that it is at the root.
  routes.push_back(
      {"GET", "/dashboard", [](const http_request&, const http_responder& responder) {
         responder.send(302, "text/plain; charset=utf-8", "The dashboard is at /.\n", {{"Location", "/"}});
       }});
  for (const auto& file : dashboard_assets().all()) {
    // The page names its files by paths relative to the root, and works nowhere else.
    if (file.path == dashboard_page_path)
      continue;
    routes.push_back({"GET", "/dashboard/" + file.path,
                      [&file](const http_request& request, const http_responder& responder) {
                        answer_asset(file, request, responder, page_headers());
                      }});
  }
}

} // namespace task_runner
