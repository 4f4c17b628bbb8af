// A page of metrics in the text format that Prometheus reads (version 0.0.4).
// prometheus-cpp writes it; nobody else includes it.
#pragma once

#include "services/observability/channel_metrics.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace prometheus {
struct MetricFamily;
}

namespace task_runner {

/// The media type of the page.
constexpr const char* metrics_media_type = "text/plain; version=0.0.4; charset=utf-8";

/// Names and values of labels. Values may be any text; there must be few different ones.
using metric_labels = std::vector<std::pair<std::string, std::string>>;

/// Collects metrics and writes them down. All of one name are added one after the other and have the same
/// help. NOT thread-safe.
class metrics_page {
public:
  metrics_page();
  ~metrics_page();
  metrics_page(const metrics_page&) = delete;
  metrics_page& operator=(const metrics_page&) = delete;

  /// A value that goes up and down.
  void gauge(const std::string& name, const std::string& help, const metric_labels& labels, double value);
  /// A value that only grows; its name ends in `_total`.
  void counter(const std::string& name, const std::string& help, const metric_labels& labels, double value);
  /// Durations; the name ends in `_seconds`.
  void histogram(const std::string& name, const std::string& help, const metric_labels& labels,
                 const duration_histogram::snapshot& durations);

  std::string text() const;

private:
  prometheus::MetricFamily& family(const std::string& name, const std::string& help, int type);

  std::vector<prometheus::MetricFamily> families_;
};

} // namespace task_runner
