// The handle of a stream: everything is the connection's, but that it ends with its last owner.
#include "services/http/http_stream.hpp"

#include "services/http/connection.hpp"

#include <utility>

namespace task_runner {

/// What all copies of a handle share.
class http_stream::owned_stream {
public:
  explicit owned_stream(std::shared_ptr<http_connection> connection)
      : connection_(std::move(connection)) {}
  ~owned_stream() { connection_->end_stream(); }
  owned_stream(const owned_stream&) = delete;
  owned_stream& operator=(const owned_stream&) = delete;

  http_connection& connection() const noexcept { return *connection_; }

private:
  const std::shared_ptr<http_connection> connection_;
};

http_stream::http_stream(std::shared_ptr<http_connection> connection)
    : stream_(std::make_shared<owned_stream>(std::move(connection))) {}

bool http_stream::write(std::string_view bytes) const {
  return stream_ != nullptr && stream_->connection().write_stream(bytes);
}

size_t http_stream::unsent() const {
  return stream_ == nullptr ? 0 : stream_->connection().unsent_of_stream();
}

} // namespace task_runner
