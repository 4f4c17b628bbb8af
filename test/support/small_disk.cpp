// unshare, mount, and a file that takes all the room.
#include "test/support/small_disk.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <stdexcept>
#include <sys/mount.h>
#include <unistd.h>

namespace task_runner::test {

small_disk::small_disk(uint64_t bytes)
    : options_("mode=0700,size=" + std::to_string(bytes)) {
  // Private: even if the test dies, no other process ever sees the mount.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tr-test", path().c_str(), "tmpfs", 0, options_.c_str()) != 0)
    why_not_ = std::strerror(errno);
}

small_disk::~small_disk() {
  if (mounted())
    ::umount2(path().c_str(), MNT_DETACH);
}

void small_disk::fill() {
  const int file = ::open(ballast().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0)
    throw std::runtime_error(std::string("cannot fill the disk: ") + std::strerror(errno));
  const std::array<char, 65'536> block{};
  size_t length = block.size();
  // Down to the last byte: whole blocks first, then ever smaller pieces.
  while (length > 0)
    if (::write(file, block.data(), length) != static_cast<ssize_t>(length))
      length /= 2;
  ::close(file);
}

void small_disk::make_room() {
  if (::unlink(ballast().c_str()) != 0)
    throw std::runtime_error(std::string("cannot make room: ") + std::strerror(errno));
}

bool small_disk::set_read_only(bool read_only) {
  const unsigned long flags = read_only ? MS_REMOUNT | MS_RDONLY : MS_REMOUNT;
  if (::mount("tr-test", path().c_str(), "tmpfs", flags, options_.c_str()) == 0)
    return true;
  if (errno == EBUSY)
    return false;
  throw std::runtime_error(std::string("cannot mount the disk anew: ") + std::strerror(errno));
}

} // namespace task_runner::test
