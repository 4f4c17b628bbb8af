// Reads with the plain POSIX calls. A C++ stream could not say why it failed.
#include "config/text_file.hpp"

#include "config/values.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner {

namespace {

error cannot_read(const std::string& path, const std::string& why) {
  return error{error_code::invalid_argument, "cannot read " + quote_for_message(path) + ": " + why};
}

/// Closes on every way out.
class descriptor {
public:
  explicit descriptor(int number)
      : number_(number) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (number_ >= 0)
      ::close(number_);
  }
  int number() const { return number_; }

private:
  int number_;
};

} // namespace

result<text_file> read_text_file(const std::string& path, size_t bytes_max) {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.number() < 0)
    return cannot_read(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.number(), &status) != 0)
    return cannot_read(path, std::strerror(errno));
  text_file content;
  content.readable_by_all = S_ISREG(status.st_mode) && (status.st_mode & S_IROTH) != 0;
  std::array<char, 16'384> buffer{};
  for (;;) {
    const ssize_t count = ::read(file.number(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return cannot_read(path, std::strerror(errno));
    if (count == 0)
      return content;
    content.text.append(buffer.data(), static_cast<size_t>(count));
    if (content.text.size() > bytes_max)
      return cannot_read(path, "it has more than " + std::to_string(bytes_max) + " bytes");
  }
}

} // namespace task_runner
