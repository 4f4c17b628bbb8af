// Asking the kernel for the file of a program.
// /proc/self/exe is the file itself, even when its name has been given to another one meanwhile.
#include "services/launcher/program_identity.hpp"

#include <sys/stat.h>

namespace task_runner::launcher {
namespace {

program_identity from(const struct stat& facts) noexcept {
  program_identity identity;
  identity.device = facts.st_dev;
  identity.inode = facts.st_ino;
  identity.size = static_cast<uint64_t>(facts.st_size);
  identity.modified_ns = static_cast<int64_t>(facts.st_mtim.tv_sec) * 1'000'000'000 + facts.st_mtim.tv_nsec;
  return identity;
}

program_identity look() noexcept {
  struct stat facts {};
  return ::stat("/proc/self/exe", &facts) == 0 ? from(facts) : program_identity{};
}

/// Before main(): what the file is touched for later (a package manager sets times last) does not count.
const program_identity at_start = look();

} // namespace

const program_identity& own_program() noexcept {
  return at_start;
}

program_identity identify_program(int descriptor) noexcept {
  struct stat facts {};
  return ::fstat(descriptor, &facts) == 0 ? from(facts) : program_identity{};
}

void write_identity(byte_writer& out, const program_identity& identity) {
  out.number(identity.device);
  out.number(identity.inode);
  out.number(identity.size);
  out.number(identity.modified_ns);
}

program_identity read_identity(byte_reader& in) {
  program_identity identity;
  identity.device = in.number<uint64_t>();
  identity.inode = in.number<uint64_t>();
  identity.size = in.number<uint64_t>();
  identity.modified_ns = in.number<int64_t>();
  return identity;
}

} // namespace task_runner::launcher
