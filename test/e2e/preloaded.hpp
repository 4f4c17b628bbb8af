// The test's end of test/preload: sets the wall clock that a daemon sees, and takes away and gives back the
// right to write below a directory. The machine's own clock and mounts are left alone.
#pragma once

#include "test/preload/preload.hpp"
#include "test/support/daemon.hpp"
#include "test/support/temp_dir.hpp"

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace task_runner::test {

/// The page that the library in the daemon, its launcher and its commands looks at. Must outlive them. Not
/// thread-safe.
class preloaded {
public:
  preloaded()
      : fd_(open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    void* const at = fd_ < 0 || ftruncate(fd_, sizeof(preload_page)) != 0
                         ? MAP_FAILED
                         : mmap(nullptr, sizeof(preload_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (at == MAP_FAILED)
      throw std::runtime_error("cannot make " + path());
    page_ = static_cast<preload_page*>(at);
  }
  ~preloaded() {
    munmap(page_, sizeof(preload_page));
    close(fd_);
  }
  preloaded(const preloaded&) = delete;
  preloaded& operator=(const preloaded&) = delete;

  /// Has a daemon with these options load the library.
  void add_to(daemon_options& options) const {
    options.environment.emplace_back("LD_PRELOAD", TEST_PRELOAD_LIBRARY);
    options.environment.emplace_back(preload_page_variable, path());
    // A sanitizer wants to be the first library.
    const char* given = std::getenv("ASAN_OPTIONS");
    options.environment.emplace_back("ASAN_OPTIONS",
                                     (given == nullptr ? std::string() : given + std::string(":")) +
                                         "verify_asan_link_order=0");
  }

  /// Sets the clock and tells whoever waits for that, as the kernel does.
  void set_clock(std::chrono::milliseconds by) {
    const int64_t shift_ms = page_->clock_shift_ms + by.count();
    if (pwrite(fd_, &shift_ms, sizeof shift_ms, offsetof(preload_page, clock_shift_ms)) != sizeof shift_ms)
      throw std::runtime_error("cannot write " + path());
  }
  /// Sets the clock and tells nobody.
  void set_clock_silently(std::chrono::milliseconds by) {
    __atomic_add_fetch(&page_->clock_shift_ms, by.count(), __ATOMIC_SEQ_CST);
  }
  /// The wall clock as the daemon sees it, milliseconds since the epoch.
  int64_t now_ms() const {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count() +
           page_->clock_shift_ms;
  }

  /// From now on nothing below `directory` can be changed; what is running finds that out at its next write.
  void take_writing(const std::string& directory) {
    const auto whole = std::filesystem::canonical(directory).string();
    if (whole.size() >= sizeof page_->read_only_directory)
      throw std::runtime_error("too long a path: " + whole);
    whole.copy(page_->read_only_directory, whole.size());
    page_->read_only_directory[whole.size()] = '\0';
    __atomic_store_n(&page_->read_only, 1, __ATOMIC_SEQ_CST);
  }
  void give_writing() { __atomic_store_n(&page_->read_only, 0, __ATOMIC_SEQ_CST); }
  int writes_refused() const { return __atomic_load_n(&page_->writes_refused, __ATOMIC_SEQ_CST); }

private:
  std::string path() const { return directory_ / "page"; }

  temp_dir directory_{"tr-preload"};
  int fd_;
  preload_page* page_ = nullptr;
};

} // namespace task_runner::test
