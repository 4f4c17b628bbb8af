// The dashboard's files: the page and its parts from services/http/dashboard, and below "vendor" the
// libraries that services/http/web_packages.cmake has fetched. All of them are part of the binary.
#pragma once

#include "services/http/assets.hpp"

#include <string_view>

namespace task_runner {

/// The path of the one page in its set.
constexpr std::string_view dashboard_page_path = "index.html";

/// What tr_embed has made of them, by their paths below /dashboard.
const asset_set& dashboard_assets();

} // namespace task_runner
