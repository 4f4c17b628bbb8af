// SHA-256 against the examples of its standard, whatever pieces the bytes come in.
// The digests are those of FIPS 180-4's examples and of sha256sum.
#include "services/wire/sha256.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;

namespace {

std::string hex_of(const std::string& digest) {
  std::string text;
  for (const char byte : digest) {
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) & 0xf];
  }
  return text;
}

std::string digest_of(const std::string& text, size_t piece) {
  sha256 digest;
  for (size_t at = 0; at < text.size(); at += piece)
    digest.add(std::string_view(text).substr(at, piece));
  return hex_of(digest.finish());
}

} // namespace

TEST_CASE("SHA-256 of the standard's examples") {
  CHECK(digest_of("", 1) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest_of("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 100) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digest_of(std::string(1'000'000, 'a'), 4'096) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 does not depend on the pieces, at any length about a block") {
  for (size_t length = 0; length < 200; ++length) {
    std::string text;
    for (size_t i = 0; i < length; ++i)
      text += static_cast<char>('a' + i % 26);
    const auto whole = digest_of(text, 1'000);
    CHECK(digest_of(text, 1) == whole);
    CHECK(digest_of(text, 63) == whole);
    CHECK(digest_of(text, 64) == whole);
    CHECK(digest_of(text + "x", 65) != whole);
  }
}
