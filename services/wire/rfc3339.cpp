// Reads RFC 3339 with the civil-to-days algorithm of Howard Hinnant
// (howardhinnant.github.io/date_algorithms.html), so that neither locale nor time zone can change the
// meaning.
#include "services/wire/rfc3339.hpp"

#include <cstddef>

namespace task_runner {

namespace {

constexpr wall_time_ms last_moment_ms = 253'402'300'799'999; // 9999-12-31T23:59:59.999Z

/// A cursor over the text; every read says whether it found what it was to find.
class time_reader {
public:
  explicit time_reader(std::string_view text)
      : text_(text) {}

  bool digits(size_t count, int64_t& value) noexcept {
    if (text_.size() - at_ < count)
      return false;
    value = 0;
    for (size_t i = 0; i < count; ++i) {
      const char c = text_[at_ + i];
      if (c < '0' || c > '9')
        return false;
      value = value * 10 + (c - '0');
    }
    at_ += count;
    return true;
  }

  /// One of the characters in `allowed`; tells which one.
  bool one_of(std::string_view allowed, char& found) noexcept {
    if (at_ == text_.size() || allowed.find(text_[at_]) == std::string_view::npos)
      return false;
    found = text_[at_++];
    return true;
  }

  bool literal(char expected) noexcept {
    char found = 0;
    return one_of(std::string_view(&expected, 1), found);
  }

  /// An optional fraction: at least one digit behind the point, of which three count.
  bool fraction(int64_t& milliseconds) noexcept {
    milliseconds = 0;
    if (at_ == text_.size() || text_[at_] != '.')
      return true;
    ++at_;
    const size_t first = at_;
    int64_t weight = 100;
    for (; at_ != text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      milliseconds += (text_[at_] - '0') * weight;
      weight /= 10;
    }
    return at_ != first;
  }

  bool at_end() const noexcept { return at_ == text_.size(); }

private:
  std::string_view text_;
  size_t at_ = 0;
};

int64_t days_in_month(int64_t year, int64_t month) noexcept {
  constexpr int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

int64_t days_since_epoch(int64_t year, int64_t month, int64_t day) noexcept {
  const int64_t shifted_year = month <= 2 ? year - 1 : year;
  const int64_t era = shifted_year / 400;
  const int64_t year_of_era = shifted_year - era * 400;
  const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

} // namespace

std::optional<wall_time_ms> parse_rfc3339(std::string_view text) noexcept {
  time_reader reader(text);
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milliseconds = 0;
  char found = 0;
  if (!reader.digits(4, year) || !reader.literal('-') || !reader.digits(2, month) || !reader.literal('-') ||
      !reader.digits(2, day) || !reader.one_of("Tt ", found) || !reader.digits(2, hour) ||
      !reader.literal(':') || !reader.digits(2, minute) || !reader.literal(':') ||
      !reader.digits(2, second) || !reader.fraction(milliseconds))
    return std::nullopt;
  // A negative offset may lift the last day of 1969 into 1970, so the year itself is not held to 1970.
  if (year < 1969 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
      minute > 59 || second > 60)
    return std::nullopt;
  int64_t offset_minutes = 0;
  if (!reader.one_of("Zz+-", found))
    return std::nullopt;
  if (found == '+' || found == '-') {
    int64_t offset_hour = 0, offset_minute = 0;
    if (!reader.digits(2, offset_hour) || !reader.literal(':') || !reader.digits(2, offset_minute) ||
        offset_hour > 23 || offset_minute > 59)
      return std::nullopt;
    offset_minutes = (offset_hour * 60 + offset_minute) * (found == '+' ? 1 : -1);
  }
  if (!reader.at_end())
    return std::nullopt;
  const int64_t minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
  const wall_time_ms moment_ms = (minutes * 60 + second) * 1'000 + milliseconds;
  if (moment_ms < 0 || moment_ms > last_moment_ms)
    return std::nullopt;
  return moment_ms;
}

} // namespace task_runner
