// Ends of texts that were cut anywhere, and base64.
#include "services/domain/names.hpp"
#include "services/wire/byte_text.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace task_runner;

TEST_CASE("base64") {
  CHECK(encode_base64("").empty());
  CHECK(encode_base64("f") == "Zg==");
  CHECK(encode_base64("fo") == "Zm8=");
  CHECK(encode_base64("foo") == "Zm9v");
  CHECK(encode_base64("foobar") == "Zm9vYmFy");
  CHECK(encode_base64(std::string("\xff\xfe\0", 3)) == "//4A");
}

TEST_CASE("base64 is read back, and what is none is not") {
  for (const auto& bytes : {std::string(), std::string("f"), std::string("fo"), std::string("foo"),
                            std::string("foobar"), std::string("\xff\xfe\0\x80", 4)})
    CHECK(decode_base64(encode_base64(bytes)) == bytes);
  for (const std::string text : {"Z", "Zg", "Zg=", "=", "====", "Z===", "Zm9v!A==", "Zg==Zg==", "Zm 9"})
    CHECK_FALSE(decode_base64(text));
}

TEST_CASE("a text that was cut anywhere keeps its whole characters, and no more") {
  const std::string text = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const auto whole = whole_characters(std::string_view(text).substr(0, cut));
    CAPTURE(cut);
    CHECK(is_valid_utf8(whole));
    CHECK(cut - whole.size() < 4);
    // Nothing that is whole already is left out.
    const bool is_boundary = is_valid_utf8(std::string_view(text).substr(0, cut));
    CHECK((whole.size() == cut) == is_boundary);
  }
}

TEST_CASE("bytes that cannot become a character are not kept back") {
  for (const std::string bytes :
       {"a\xff", "a\x80", "a\x80\x80\x80\x80", "\xc0", "\xc1", "\xf5", "\xe0\x80", "\xed\xa0", "\xf0\x8f",
        "\xf4\x90", "\xe2\x82\xac\x80", "\xf0\x9f\x98\x80\x80"})
    CHECK(whole_characters(bytes) == bytes);
  for (const std::string lead : {"\xc2", "\xe0", "\xed", "\xf0", "\xf4", "\xe0\xa0", "\xed\x9f", "\xf0\x90",
                                 "\xf4\x8f", "\xf0\x90\x80"})
    CHECK(whole_characters("a" + lead) == "a");
  CHECK(whole_characters("").empty());
}
