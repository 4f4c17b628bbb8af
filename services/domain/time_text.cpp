// RFC 3339 formatting with the days-to-civil algorithm of Howard Hinnant
// (howardhinnant.github.io/date_algorithms.html), which needs no time zone database and no locale.
#include "services/domain/time_text.hpp"

#include <chrono>
#include <cstdio>

namespace task_runner {

std::string format_time(wall_time_ms time_ms) {
  constexpr int64_t day_ms = 86'400'000;
  const int64_t days = time_ms / day_ms;
  const int64_t in_day = time_ms % day_ms;
  const int64_t shifted = days + 719'468;
  const int64_t era = shifted / 146'097;
  const int64_t day_of_era = shifted % 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  char text[96];
  const int length =
      std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", static_cast<int>(year),
                    static_cast<int>(month), static_cast<int>(day), static_cast<int>(in_day / 3'600'000),
                    static_cast<int>(in_day / 60'000 % 60), static_cast<int>(in_day / 1'000 % 60),
                    static_cast<int>(in_day % 1'000));
  return std::string(text, static_cast<size_t>(length));
}

wall_time_ms system_now_ms() noexcept {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

} // namespace task_runner
