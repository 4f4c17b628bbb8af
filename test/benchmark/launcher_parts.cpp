// The launcher's parts without its processes: packets of the protocol, and the files of captured output.
// What the launcher's single thread does for every command beside starting and reaping it.
#include "services/launcher/output_file.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/launcher/protocol.hpp"
#include "test/benchmark/support.hpp"

#include <fcntl.h>
#include <string>
#include <utility>

namespace task_runner::benchmarks {

namespace {

using namespace task_runner::launcher;

attempt_start start_of(uint64_t number) {
  attempt_start start;
  start.key = {task_id_of(number), 1};
  start.channel = "default";
  start.line = make_task(number).name;
  return start;
}

any_event end_of(uint64_t number) {
  attempt_ended end;
  end.key = {task_id_of(number), 1};
  end.channel = "default";
  end.started_at_ms = some_moment_ms;
  end.ended_at_ms = some_moment_ms;
  return end;
}

std::string packet_of_starts(uint64_t count) {
  packet_batch batch(packet_batch::kind::requests);
  for (uint64_t number = 0; number < count; ++number)
    batch.add(any_request(start_of(number)));
  return batch.take().at(0);
}

std::string packet_of_ends(uint64_t count) {
  packet_batch batch(packet_batch::kind::events);
  for (uint64_t number = 0; number < count; ++number)
    batch.add(end_of(number));
  return batch.take().at(0);
}

constexpr int64_t records = 16;

void encode_starts(benchmark::State& state) {
  const any_request request = start_of(1);
  for (auto _ : state) {
    packet_batch batch(packet_batch::kind::requests);
    for (int64_t i = 0; i < records; ++i)
      batch.add(request);
    benchmark::DoNotOptimize(batch.take());
  }
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations() * records);
}
BENCHMARK(encode_starts)->Name("protocol/encode_starts");

void encode_ends(benchmark::State& state) {
  const any_event event = end_of(1);
  for (auto _ : state) {
    packet_batch batch(packet_batch::kind::events);
    for (int64_t i = 0; i < records; ++i)
      batch.add(event);
    benchmark::DoNotOptimize(batch.take());
  }
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations() * records);
}
BENCHMARK(encode_ends)->Name("protocol/encode_ends");

void decode_packet(benchmark::State& state, std::string (*make)(uint64_t)) {
  const std::string packet = make(records);
  for (auto _ : state) {
    auto message = decode(packet);
    if (!message) {
      state.SkipWithError(message.failure().message.c_str());
      break;
    }
    benchmark::DoNotOptimize(message);
  }
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations() * records);
}
BENCHMARK_CAPTURE(decode_packet, starts, packet_of_starts)->Name("protocol/decode_starts");
BENCHMARK_CAPTURE(decode_packet, ends, packet_of_ends)->Name("protocol/decode_ends");

/// A directory for output, in memory.
class output_place {
public:
  output_place()
      : descriptor_(::open(directory_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
  int descriptor() const { return descriptor_.get(); }

private:
  memory_directory directory_;
  owned_descriptor descriptor_;
};

/// An attempt that wrote a line.
void write_line(benchmark::State& state) {
  const output_place place;
  const std::string line(64, 'x');
  uint64_t number = 0;
  for (auto _ : state) {
    output_writer writer(place.descriptor(), {task_id_of(++number), 1}, output_limits{});
    writer.append(line);
    writer.finish();
    if (writer.failed_bytes() != 0) {
      state.SkipWithError("the output could not be written");
      break;
    }
  }
  hold_against(state, new_file);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(write_line)->Name("output/line")->UseRealTime();

/// An attempt that wrote nothing.
void write_nothing(benchmark::State& state) {
  const output_place place;
  uint64_t number = 0;
  for (auto _ : state) {
    output_writer writer(place.descriptor(), {task_id_of(++number), 1}, output_limits{});
    writer.finish();
    benchmark::DoNotOptimize(writer.total_bytes());
  }
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(write_nothing)->Name("output/nothing");

/// A chatty attempt, past what is kept of its beginning: pieces of the size that a pipe gives.
void write_tail(benchmark::State& state) {
  const output_place place;
  const std::string piece(4'096, 'x');
  output_writer writer(place.descriptor(), {task_id_of(1), 1}, output_limits{});
  for (auto _ : state)
    writer.append(piece);
  if (writer.failed_bytes() != 0)
    state.SkipWithError("the output could not be written");
  writer.finish();
  hold_against(state, cpu);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(piece.size()));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(write_tail)->Name("output/piece_4k");

} // namespace

} // namespace task_runner::benchmarks
