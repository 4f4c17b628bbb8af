// The description of the HTTP API for programs: one OpenAPI 3.1 document,
// services/http/api_document/openapi.json. Its version is the program's; test/e2e/openapi_answers.py holds
// what it says against real answers.
#pragma once

#include "services/http/assets.hpp"

#include <string_view>

namespace task_runner {

/// The path of the document in its set.
constexpr std::string_view api_document_path = "openapi.json";

/// What tr_embed has made of it: this one file.
const asset_set& api_document_assets();

} // namespace task_runner
