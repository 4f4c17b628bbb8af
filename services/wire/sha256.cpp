// OpenSSL's digest, which takes the processor's own instructions for it where there are any.
// Its calls fail for want of memory alone: the algorithm is built in.
#include "services/wire/sha256.hpp"

#include <new>
#include <openssl/evp.h>

namespace task_runner {

struct sha256::state {
  struct freed {
    void operator()(EVP_MD_CTX* gone) const noexcept { EVP_MD_CTX_free(gone); }
  };
  std::unique_ptr<EVP_MD_CTX, freed> context{EVP_MD_CTX_new()};
};

sha256::sha256()
    : state_(std::make_unique<state>()) {
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc();
}

sha256::~sha256() = default;

void sha256::add(std::string_view bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1)
    throw std::bad_alloc();
}

std::string sha256::finish() {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), reinterpret_cast<unsigned char*>(digest.data()), &length) !=
      1)
    throw std::bad_alloc();
  digest.resize(length);
  return digest;
}

} // namespace task_runner
