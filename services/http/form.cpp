// Decoding of forms; the headers of multipart bodies are read by POCO, the bodies are cut here.
// Nothing in a body is guessed: what does not follow the rules is an error that says which part.
#include "services/http/form.hpp"

#include "services/http/http_text.hpp"
#include "services/http/request_target.hpp"

#include <Poco/MemoryStream.h>
#include <Poco/Net/MessageHeader.h>
#include <Poco/Net/NameValueCollection.h>

#include <exception>

namespace task_runner {

namespace {

/// Longest boundary that RFC 2046 allows.
constexpr size_t boundary_length_max = 70;

/// Most bytes of the headers of one part.
constexpr size_t part_head_max = 8'192;

error bad_form(std::string message) {
  return error{error_code::invalid_argument, std::move(message)};
}

bool is_boundary(std::string_view text) {
  constexpr std::string_view allowed =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ";
  return !text.empty() && text.size() <= boundary_length_max &&
         text.find_first_not_of(allowed) == std::string_view::npos && text.back() != ' ';
}

/// Browsers and curl write these three, and only these, as percent codes in the names of multipart fields.
std::string unescape_name(std::string_view name) {
  std::string plain;
  for (size_t at = 0; at < name.size();) {
    const auto code = name.substr(at, 3);
    const char meant = code == "%22" ? '"' : code == "%0D" ? '\r' : code == "%0A" ? '\n' : '\0';
    plain += meant == '\0' ? name[at] : meant;
    at += meant == '\0' ? 1 : 3;
  }
  return plain;
}

std::string boundary_of(std::string_view content_type) {
  std::string ignored;
  Poco::Net::NameValueCollection parameters;
  Poco::Net::MessageHeader::splitParameters(std::string(content_type), ignored, parameters);
  return parameters.get("boundary", "");
}

/// Cuts a multipart body into its parts, headers included. Not by POCO's MultipartReader: that one does not
/// notice a body that was cut short, takes any line that begins with the boundary for it, and adds a byte to
/// a part that ends in the beginnings of one.
result<std::vector<std::string_view>> split_parts(std::string_view body, const std::string& boundary) {
  const std::string delimiter = "\r\n--" + boundary;
  const auto cut_short = [] {
    return bad_form("the multipart body is cut short: its closing boundary is missing");
  };
  std::vector<std::string_view> parts;
  // The first boundary may stand at the very beginning.
  const bool at_once = body.substr(0, delimiter.size() - 2) == std::string_view(delimiter).substr(2);
  const auto preamble = at_once ? 0 : body.find(delimiter);
  if (preamble == std::string_view::npos)
    return cut_short();
  body.remove_prefix(preamble + delimiter.size() - (at_once ? 2 : 0));
  while (body.substr(0, 2) != "--") {
    if (body.size() < 2)
      return cut_short();
    // RFC 2046 would allow blanks behind the boundary; nobody sends them.
    if (body.substr(0, 2) != "\r\n")
      return bad_form("malformed multipart body: the boundary is not alone on its line");
    const auto end = body.find(delimiter);
    if (end == std::string_view::npos)
      return cut_short();
    if (parts.size() == form_fields_max)
      return bad_form("the form has more than " + std::to_string(form_fields_max) + " fields");
    parts.push_back(body.substr(2, end < 2 ? 0 : end - 2));
    body.remove_prefix(end + delimiter.size());
  }
  return parts;
}

result<form_field> read_part(std::string_view part, size_t number) {
  const auto head_end = part.find("\r\n\r\n");
  const auto head = part.substr(0, head_end);
  if (head_end == std::string_view::npos || head.size() > part_head_max)
    return bad_form("part " + std::to_string(number) + " of the form has no end of its headers within " +
                    std::to_string(part_head_max) + " bytes");
  Poco::MemoryInputStream stream(part.data(), static_cast<std::streamsize>(head_end + 4));
  Poco::Net::MessageHeader header;
  header.setFieldLimit(part_header_lines_max);
  header.read(stream);
  std::string disposition;
  Poco::Net::NameValueCollection parameters;
  Poco::Net::MessageHeader::splitParameters(header.get("Content-Disposition", ""), disposition, parameters);
  if (!equals_ignoring_case(disposition, "form-data") || !parameters.has("name"))
    return bad_form("part " + std::to_string(number) +
                    " of the form has no name; expected Content-Disposition: form-data; name=\"…\"");
  form_field field;
  field.name = unescape_name(parameters.get("name"));
  field.is_file = parameters.has("filename");
  field.value = part.substr(head_end + 4);
  if (auto checked = check_text("a field name of the form", field.name); !checked)
    return checked.failure();
  if (!field.is_file)
    if (auto checked = check_text("field \"" + field.name + "\" of the form", field.value); !checked)
      return checked.failure();
  return field;
}

result<form_fields> decode_multipart(std::string_view content_type, std::string_view body) {
  const auto boundary = boundary_of(content_type);
  if (!is_boundary(boundary))
    return bad_form("multipart/form-data without a usable boundary in its Content-Type");
  const auto parts = split_parts(body, boundary);
  if (!parts)
    return parts.failure();
  form_fields form;
  for (const auto part : *parts) {
    auto field = read_part(part, form.fields.size() + 1);
    if (!field)
      return field.failure();
    form.fields.push_back(std::move(*field));
  }
  return form;
}

} // namespace

std::optional<std::string_view> form_fields::get(std::string_view name) const {
  for (const auto& field : fields)
    if (field.name == name)
      return field.value;
  return std::nullopt;
}

std::vector<std::string_view> form_fields::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& field : fields)
    if (field.name == name)
      values.emplace_back(field.value);
  return values;
}

std::string media_type_of(std::string_view content_type) {
  return to_lower_case(trim_blanks(content_type.substr(0, content_type.find(';'))));
}

bool is_json(std::string_view content_type) {
  constexpr std::string_view suffix = "+json";
  const auto type = media_type_of(content_type);
  return type == "application/json" ||
         (type.size() > suffix.size() &&
          type.compare(type.size() - suffix.size(), suffix.size(), suffix) == 0);
}

result<form_fields> decode_form(std::string_view content_type, std::string_view body) {
  const auto type = media_type_of(content_type);
  if (type == "application/x-www-form-urlencoded") {
    auto pairs = decode_pairs(body, "the form", form_fields_max);
    if (!pairs)
      return pairs.failure();
    form_fields form;
    for (auto& [name, value] : *pairs)
      form.fields.push_back({std::move(name), std::move(value), false});
    return form;
  }
  if (type == "multipart/form-data") {
    try {
      return decode_multipart(content_type, body);
    } catch (const std::exception&) {
      // POCO's texts name its own classes; they would help nobody.
      return bad_form("malformed multipart body");
    }
  }
  if (type.empty() && body.empty())
    return form_fields{};
  return bad_form((type.empty() ? "the body has no Content-Type"
                                : "the Content-Type " + json_quote(type) + " is not understood") +
                  "; expected application/x-www-form-urlencoded, multipart/form-data or application/json");
}

} // namespace task_runner
