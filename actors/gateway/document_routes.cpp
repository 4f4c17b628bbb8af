// The route of the API's own description, which programs read.
// It asks nobody, and so it is answered while the daemon starts and stops as well.
#include "actors/gateway/handlers.hpp"
#include "services/http/api_document.hpp"

namespace task_runner {

void add_document_routes(route_table& routes) {
  routes.push_back(
      {"GET", "/api/v1/openapi.json", [](const http_request& request, const http_responder& responder) {
         // Its absence would be a fault of the build, and is told as one.
         if (const auto* document = api_document_assets().find(api_document_path))
           answer_asset(*document, request, responder);
         else
           responder.fail({error_code::internal, "this build has no description of its API"});
       }});
}

} // namespace task_runner
