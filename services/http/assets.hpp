// Files of the tree that are part of the binary, by their paths, and how one of them is answered over HTTP.
// services/http/embed.cmake puts them there; nothing of them is read from a disk while the daemon runs.
#pragma once

#include "services/http/http_message.hpp"
#include "services/http/http_responder.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// A file that was embedded. Its bytes live as long as the process.
struct asset {
  /// Below the folder that was embedded, without a slash in front: "openapi.json", "parts/table.js".
  std::string path;
  std::string_view bytes;
  /// What Content-Type says, by the name's ending.
  std::string_view media_type;
  /// A strong entity tag, with its quotes: other bytes have another one.
  std::string etag;
};

/// What tr_embed says of one file.
struct embedded_file {
  std::string_view path;
  const char* begin = nullptr;
  const char* end = nullptr;
};

/// The files of one tr_embed. Read only after it is made, and so thread-safe.
class asset_set {
public:
  asset_set(std::initializer_list<embedded_file> files);

  /// The file at that very path; null when there is none. No path leads out of the set.
  const asset* find(std::string_view path) const noexcept;
  /// All files, by path.
  const std::vector<asset>& all() const noexcept { return assets_; }

private:
  std::vector<asset> assets_;
};

/// The media type of a file name's ending; application/octet-stream where that says nothing.
std::string_view media_type_of_path(std::string_view path) noexcept;

/// Whether a request has what carries this entity tag already: one of its If-None-Match names it, or says
/// `*`.
bool has_unchanged(const http_request& request, std::string_view etag) noexcept;

/// Answers a GET or HEAD with the file: 200, or 304 without its bytes when the client has them already. A
/// client may keep what it gets, and asks each time whether it is still good (Cache-Control: no-cache), so
/// that a new version of the daemon is never met by files of the old one. `extra_headers` are sent with both.
void answer_asset(const asset& file, const http_request& request, const http_responder& responder,
                  std::vector<http_header> extra_headers = {});

} // namespace task_runner
