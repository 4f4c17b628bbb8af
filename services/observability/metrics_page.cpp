// Metrics as prometheus-cpp's plain values, and its writer.
#include "services/observability/metrics_page.hpp"

#include <limits>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace task_runner {

namespace {

prometheus::ClientMetric& add_metric(prometheus::MetricFamily& to, const metric_labels& labels) {
  auto& added = to.metric.emplace_back();
  for (const auto& [name, value] : labels)
    added.label.push_back({name, value});
  return added;
}

} // namespace

metrics_page::metrics_page() = default;
metrics_page::~metrics_page() = default;

prometheus::MetricFamily& metrics_page::family(const std::string& name, const std::string& help, int type) {
  if (families_.empty() || families_.back().name != name)
    families_.push_back({name, help, static_cast<prometheus::MetricType>(type), {}});
  return families_.back();
}

void metrics_page::gauge(const std::string& name, const std::string& help, const metric_labels& labels,
                         double value) {
  add_metric(family(name, help, static_cast<int>(prometheus::MetricType::Gauge)), labels).gauge.value = value;
}

void metrics_page::counter(const std::string& name, const std::string& help, const metric_labels& labels,
                           double value) {
  add_metric(family(name, help, static_cast<int>(prometheus::MetricType::Counter)), labels).counter.value =
      value;
}

void metrics_page::histogram(const std::string& name, const std::string& help, const metric_labels& labels,
                             const duration_histogram::snapshot& durations) {
  auto& written =
      add_metric(family(name, help, static_cast<int>(prometheus::MetricType::Histogram)), labels).histogram;
  written.sample_count = durations.count;
  written.sample_sum = durations.sum_s;
  for (size_t i = 0; i < duration_bounds_s.size(); ++i)
    written.bucket.push_back({durations.at_most[i], duration_bounds_s[i]});
  written.bucket.push_back({durations.count, std::numeric_limits<double>::infinity()});
}

std::string metrics_page::text() const {
  return prometheus::TextSerializer().Serialize(families_);
}

} // namespace task_runner
