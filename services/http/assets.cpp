// Look-up of embedded files, their tags, and the answers with them.
#include "services/http/assets.hpp"

#include "services/http/http_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace task_runner {

namespace {

struct media_type_row {
  std::string_view ending;
  std::string_view media_type;
};

constexpr std::array media_types{
    media_type_row{".css", "text/css; charset=utf-8"},
    media_type_row{".html", "text/html; charset=utf-8"},
    media_type_row{".ico", "image/x-icon"},
    media_type_row{".js", "text/javascript; charset=utf-8"},
    media_type_row{".json", "application/json; charset=utf-8"},
    media_type_row{".mjs", "text/javascript; charset=utf-8"},
    media_type_row{".png", "image/png"},
    media_type_row{".svg", "image/svg+xml"},
    media_type_row{".txt", "text/plain; charset=utf-8"},
    media_type_row{".webmanifest", "application/manifest+json"},
    media_type_row{".woff2", "font/woff2"},
};

/// FNV-1a, and the length: no secret, only a name for these bytes.
std::string make_etag(std::string_view bytes) {
  uint64_t hash = 14'695'981'039'346'656'037U;
  for (const char byte : bytes)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 1'099'511'628'211U;
  const auto append = [](std::string& text, uint64_t number) {
    std::array<char, 16> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
    text.append(digits.data(), written.ptr);
  };
  std::string tag = "\"";
  append(tag, bytes.size());
  tag += '-';
  append(tag, hash);
  tag += '"';
  return tag;
}

/// Takes the first entity tag off a list of them, without the mark of a weak one: nothing that is asked here
/// minds it. A comma may stand within the quotes. Empty at the end, and where the list is malformed.
std::string_view take_tag(std::string_view& list) noexcept {
  while (!list.empty() && (list.front() == ',' || list.front() == ' ' || list.front() == '\t'))
    list.remove_prefix(1);
  if (list.substr(0, 2) == "W/")
    list.remove_prefix(2);
  const auto end = list.substr(0, 1) == "\"" ? list.find('"', 1) : std::string_view::npos;
  if (end == std::string_view::npos) {
    list = {};
    return {};
  }
  const auto tag = list.substr(0, end + 1);
  list.remove_prefix(end + 1);
  return tag;
}

bool is_before(const asset& left, std::string_view path) noexcept {
  return left.path < path;
}

} // namespace

asset_set::asset_set(std::initializer_list<embedded_file> files) {
  for (const auto& file : files) {
    const std::string_view bytes(file.begin, static_cast<size_t>(file.end - file.begin));
    assets_.push_back({std::string(file.path), bytes, media_type_of_path(file.path), make_etag(bytes)});
  }
  std::sort(assets_.begin(), assets_.end(),
            [](const asset& left, const asset& right) { return left.path < right.path; });
}

const asset* asset_set::find(std::string_view path) const noexcept {
  const auto found = std::lower_bound(assets_.begin(), assets_.end(), path, is_before);
  return found != assets_.end() && found->path == path ? &*found : nullptr;
}

std::string_view media_type_of_path(std::string_view path) noexcept {
  for (const auto& row : media_types)
    if (path.size() > row.ending.size() &&
        equals_ignoring_case(path.substr(path.size() - row.ending.size()), row.ending))
      return row.media_type;
  return "application/octet-stream";
}

bool has_unchanged(const http_request& request, std::string_view etag) noexcept {
  for (const auto& [name, value] : request.headers) {
    if (name != "if-none-match")
      continue;
    if (trim_blanks(value) == "*")
      return true;
    for (std::string_view list = value; !list.empty();)
      if (take_tag(list) == etag)
        return true;
  }
  return false;
}

void answer_asset(const asset& file, const http_request& request, const http_responder& responder,
                  std::vector<http_header> extra_headers) {
  extra_headers.push_back({"ETag", file.etag});
  extra_headers.push_back({"Cache-Control", "no-cache"});
  if (has_unchanged(request, file.etag))
    responder.send(304, {}, {}, extra_headers);
  else
    responder.send(200, file.media_type, file.bytes, extra_headers);
}

} // namespace task_runner
