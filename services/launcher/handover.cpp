// The handover as bytes, and back with every value and every cross-reference checked.
#include "services/launcher/handover.hpp"

#include "services/domain/names.hpp"
#include "services/launcher/attempt_codec.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace task_runner::launcher {
namespace {

constexpr std::string_view handover_magic{"TRHAND\0\n", 8};
constexpr size_t version_text_length_max = 64;
constexpr size_t slot_length_max = 256;
constexpr size_t text_length_max = 4'096;
constexpr size_t environment_length_max = 4'194'304;
constexpr size_t pending_length_max = 67'108'864;
/// stdin, stdout and stderr are nobody's to hand on.
constexpr int descriptor_min = 3;
constexpr int signal_max = 64;

void write_optional_kind(byte_writer& out, const std::optional<outcome_kind>& kind) {
  out.flag(kind.has_value());
  if (kind)
    out.number(static_cast<uint8_t>(*kind));
}

/// Only these two reasons end a tree before its time.
std::optional<outcome_kind> read_optional_kind(byte_reader& in) {
  if (!in.flag())
    return std::nullopt;
  const auto kind = static_cast<outcome_kind>(in.number<uint8_t>());
  if (kind != outcome_kind::timed_out && kind != outcome_kind::cancelled)
    in.reject();
  return kind;
}

void write_descriptor(byte_writer& out, int descriptor) {
  out.number(static_cast<int32_t>(descriptor));
}

/// -1 for none where that is allowed.
int read_descriptor(byte_reader& in, bool may_be_none = false) {
  const auto descriptor = in.number<int32_t>();
  if (descriptor < descriptor_min && !(may_be_none && descriptor == -1))
    in.reject();
  return descriptor;
}

template <class Record, class Writer>
void write_all(byte_writer& out, const std::vector<Record>& records, Writer write_one) {
  out.number(static_cast<uint32_t>(records.size()));
  for (const Record& one : records)
    write_one(out, one);
}

/// Stops at the first damaged record; the count is not trusted to reserve memory.
template <class Record, class Reader>
std::vector<Record> read_all(byte_reader& in, Reader read_one) {
  std::vector<Record> records;
  const auto count = in.number<uint32_t>();
  for (uint32_t i = 0; i < count && in.ok(); ++i)
    records.push_back(read_one(in));
  return records;
}

void write_attempt(byte_writer& out, const handed_attempt& value) {
  write_known(out, value.known.attempt);
  out.number(value.known.process_began_ms);
  out.number(value.known.tag);
  out.text(value.known.slot);
  write_optional_kind(out, value.known.stopping);
  out.number(value.child);
  out.number(value.ticket);
  out.number(static_cast<int32_t>(value.early_signal));
}

handed_attempt read_attempt(byte_reader& in) {
  handed_attempt value;
  value.known.attempt = read_known(in);
  value.known.process_began_ms = in.number<uint64_t>();
  value.known.tag = in.number<uint64_t>();
  value.known.slot = std::string(in.text(slot_length_max));
  value.known.stopping = read_optional_kind(in);
  value.child = in.number<uint64_t>();
  value.ticket = in.number<uint64_t>();
  value.early_signal = in.number<int32_t>();
  if (value.early_signal < 0 || value.early_signal > signal_max)
    in.reject();
  return value;
}

void write_waiting(byte_writer& out, const handed_start& value) {
  out.number(value.ticket);
  write_start(out, value.request);
}

handed_start read_waiting(byte_reader& in) {
  handed_start value;
  value.ticket = in.number<uint64_t>();
  value.request = read_start(in);
  return value;
}

void write_progress(byte_writer& out, const output_progress& value) {
  out.number(value.head_size);
  out.number(value.ring_total);
  out.number(value.total_bytes);
  out.number(value.failed_bytes);
  out.flag(value.has_head);
  out.flag(value.has_tail);
  out.flag(value.finished);
}

output_progress read_progress(byte_reader& in) {
  output_progress value;
  value.head_size = in.number<uint64_t>();
  value.ring_total = in.number<uint64_t>();
  value.total_bytes = in.number<uint64_t>();
  value.failed_bytes = in.number<uint64_t>();
  value.has_head = in.flag();
  value.has_tail = in.flag();
  value.finished = in.flag();
  return value;
}

void write_child(byte_writer& out, const handed_child& value) {
  out.number(value.number);
  write_key(out, value.key);
  out.number(static_cast<int32_t>(value.pid));
  write_descriptor(out, value.process);
  write_descriptor(out, value.output);
  out.flag(value.writer.has_value());
  if (value.writer)
    write_progress(out, *value.writer);
  out.flag(value.failure_place.has_value());
  if (value.failure_place)
    out.number(*value.failure_place);
  for (const std::string* text : {&value.context.program, &value.context.directory, &value.context.user})
    out.text(std::string_view(*text).substr(0, text_length_max));
  out.number(value.tag);
  out.text(value.slot);
  out.number(value.timeout_at);
  out.number(value.grace_ms);
  out.number(value.wake_at);
  write_optional_kind(out, value.asked);
  out.number(value.asked_grace_ms);
  write_outcome(out, value.how);
  out.number(value.ended_at_ms);
  out.number(value.survivors);
  out.flag(value.exited);
  out.flag(value.lingering);
}

handed_child read_child(byte_reader& in) {
  handed_child value;
  value.number = in.number<uint64_t>();
  value.key = read_key(in);
  value.pid = in.number<int32_t>();
  value.process = read_descriptor(in, true);
  value.output = read_descriptor(in, true);
  if (in.flag())
    value.writer = read_progress(in);
  if (in.flag())
    value.failure_place = in.number<uint64_t>();
  for (std::string* text : {&value.context.program, &value.context.directory, &value.context.user})
    *text = std::string(in.text(text_length_max));
  value.tag = in.number<uint64_t>();
  value.slot = std::string(in.text(slot_length_max));
  value.timeout_at = in.number<steady_ms>();
  value.grace_ms = in.number<int64_t>();
  value.wake_at = in.number<steady_ms>();
  value.asked = read_optional_kind(in);
  value.asked_grace_ms = in.number<int64_t>();
  value.how = read_outcome(in);
  value.ended_at_ms = in.number<wall_time_ms>();
  value.survivors = in.number<uint32_t>();
  value.exited = in.flag();
  value.lingering = in.flag();
  // A process that lives is watched.
  if (value.pid <= 0 || value.wake_at < 0 || value.exited != (value.process < 0))
    in.reject();
  return value;
}

void write_tree(byte_writer& out, const std::pair<uint64_t, stopping_tree>& value) {
  const stopping_tree& tree = value.second;
  out.number(value.first);
  out.number(static_cast<int32_t>(tree.tree.leader));
  out.number(tree.tree.tag);
  out.text(tree.tree.slot);
  out.number(tree.kill_at);
  out.number(tree.give_up_at);
  out.number(tree.next_look);
  out.number(tree.look_pause_ms);
  out.flag(tree.warned);
  out.number(static_cast<uint32_t>(tree.members.size()));
  for (const auto& [pid, began] : tree.members) {
    out.number(static_cast<int32_t>(pid));
    out.number(began);
  }
}

std::pair<uint64_t, stopping_tree> read_tree(byte_reader& in) {
  std::pair<uint64_t, stopping_tree> value;
  stopping_tree& tree = value.second;
  value.first = in.number<uint64_t>();
  tree.tree.leader = in.number<int32_t>();
  tree.tree.tag = in.number<uint64_t>();
  tree.tree.slot = std::string(in.text(slot_length_max));
  tree.kill_at = in.number<steady_ms>();
  tree.give_up_at = in.number<steady_ms>();
  tree.next_look = in.number<steady_ms>();
  tree.look_pause_ms = in.number<steady_ms>();
  tree.warned = in.flag();
  const auto count = in.number<uint32_t>();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    const auto pid = in.number<int32_t>();
    const auto began = in.number<uint64_t>();
    // In ascending order, so that none is there twice.
    if (pid <= 0 || (!tree.members.empty() && pid <= tree.members.rbegin()->first))
      in.reject();
    tree.members[pid] = began;
  }
  // These numbers are signalled: what is no process must not be among them.
  if (tree.tree.leader < 0 || tree.look_pause_ms < 0)
    in.reject();
  return value;
}

void write_table(byte_writer& out, const handed_table& table) {
  write_all(out, table.attempts, write_attempt);
  write_all(out, table.waiting, write_waiting);
  write_all(out, table.children, write_child);
  write_all(out, table.stopping, write_tree);
  write_all(out, table.asked, [](byte_writer& to, uint64_t number) { to.number(number); });
  out.number(table.next_number);
  write_descriptor(out, table.failure_memory);
  out.number(table.outcomes.size);
  out.text(table.outcomes.pending);
  out.flag(table.outcomes.overrun);
}

handed_table read_table(byte_reader& in) {
  handed_table table;
  table.attempts = read_all<handed_attempt>(in, read_attempt);
  table.waiting = read_all<handed_start>(in, read_waiting);
  table.children = read_all<handed_child>(in, read_child);
  table.stopping = read_all<std::pair<uint64_t, stopping_tree>>(in, read_tree);
  table.asked = read_all<uint64_t>(in, [](byte_reader& from) { return from.number<uint64_t>(); });
  table.next_number = in.number<uint64_t>();
  table.failure_memory = read_descriptor(in, true);
  table.outcomes.size = in.number<uint64_t>();
  table.outcomes.pending = std::string(in.text(pending_length_max));
  table.outcomes.overrun = in.flag();
  return table;
}

/// Whether what refers to each other is there, once, and agrees.
bool goes_together(const handed_table& table) {
  std::map<attempt_key, const handed_attempt*> attempts;
  for (const handed_attempt& one : table.attempts)
    if (!attempts.emplace(one.known.attempt.key, &one).second)
      return false;
  std::map<uint64_t, const handed_child*> children;
  for (const handed_child& child : table.children) {
    if (child.number == 0 || child.number >= table.next_number ||
        !children.emplace(child.number, &child).second)
      return false;
    const auto attempt = attempts.find(child.key);
    const bool is_current = attempt != attempts.end() && attempt->second->child == child.number &&
                            !attempt->second->known.attempt.ended;
    if (is_current == child.lingering)
      return false;
  }
  std::set<uint64_t> tickets;
  for (const handed_start& one : table.waiting)
    if (one.ticket == 0 || one.ticket >= table.next_number || !tickets.insert(one.ticket).second)
      return false;
  for (const handed_attempt& one : table.attempts) {
    const bool runs = one.child != 0;
    if (runs && children.count(one.child) == 0)
      return false;
    if (!runs && !one.known.attempt.ended && tickets.count(one.ticket) == 0)
      return false;
  }
  for (const auto& [number, tree] : table.stopping)
    if (children.count(number) == 0)
      return false;
  return std::all_of(table.asked.begin(), table.asked.end(), [&](uint64_t number) {
    const auto found = children.find(number);
    return found == children.end() || found->second->asked.has_value();
  });
}

bool all_differ(std::vector<int> descriptors) {
  std::sort(descriptors.begin(), descriptors.end());
  return std::adjacent_find(descriptors.begin(), descriptors.end()) == descriptors.end();
}

error damaged(std::string_view what) {
  return {error_code::invalid_argument, "this is no handover of a launcher: " + std::string(what)};
}

} // namespace

result<std::string> encode_handover(const handover& value) {
  byte_writer body;
  body.text(std::string_view(value.version).substr(0, version_text_length_max));
  write_identity(body, value.to);
  body.number(value.upgrades);
  for (const int descriptor :
       {value.state_dir, value.lock, value.listener, value.output_dir, value.null_input})
    write_descriptor(body, descriptor);
  body.number(static_cast<uint64_t>(value.command_descriptors.rlim_cur));
  body.number(static_cast<uint64_t>(value.command_descriptors.rlim_max));
  body.text(value.surroundings.environment);
  body.text(value.surroundings.directory);
  body.number(value.surroundings.file_mask);
  write_table(body, value.table);
  if (body.bytes().size() > handover_bytes_max)
    return error{error_code::too_large, "the handover would have " + std::to_string(body.bytes().size()) +
                                            " bytes, at most " + std::to_string(handover_bytes_max) +
                                            " are allowed"};
  byte_writer out;
  out.raw(handover_magic);
  out.number(handover_version);
  out.number(crc32(body.bytes()));
  out.number(static_cast<uint64_t>(body.bytes().size()));
  out.raw(body.bytes());
  return std::move(out.bytes());
}

result<handover> decode_handover(std::string_view bytes) {
  if (bytes.substr(0, handover_magic.size()) != handover_magic)
    return damaged("it does not begin with its mark");
  bytes.remove_prefix(handover_magic.size());
  byte_reader head(bytes);
  const auto version = head.number<uint32_t>();
  const auto checksum = head.number<uint32_t>();
  const auto length = head.number<uint64_t>();
  if (!head.ok() || length != head.left())
    return damaged("it is cut short or too long");
  if (version < handover_version_min || version > handover_version)
    return damaged("its format is of version " + std::to_string(version) + ", this program reads " +
                   std::to_string(handover_version_min) + " to " + std::to_string(handover_version));
  const std::string_view body = bytes.substr(bytes.size() - static_cast<size_t>(length));
  if (crc32(body) != checksum)
    return damaged("its checksum is wrong");

  byte_reader in(body);
  handover value;
  value.version = std::string(in.text(version_text_length_max));
  value.to = read_identity(in);
  value.upgrades = in.number<uint32_t>();
  for (int* descriptor :
       {&value.state_dir, &value.lock, &value.listener, &value.output_dir, &value.null_input})
    *descriptor = read_descriptor(in);
  value.command_descriptors.rlim_cur = in.number<uint64_t>();
  value.command_descriptors.rlim_max = in.number<uint64_t>();
  value.surroundings.environment = std::string(in.text(environment_length_max));
  value.surroundings.directory = std::string(in.text(text_length_max));
  value.surroundings.file_mask = in.number<uint32_t>();
  value.table = read_table(in);
  if (!in.complete())
    return damaged(in.ok() ? "something is left over at its end" : "a value is damaged");
  if (value.surroundings.file_mask > 0777 || !all_differ(descriptors_of(value)) ||
      !goes_together(value.table))
    return damaged("what it says does not go together");
  return value;
}

std::vector<int> descriptors_of(const handover& value) {
  std::vector<int> all{value.state_dir, value.lock, value.listener, value.output_dir, value.null_input};
  const auto add = [&all](int descriptor) {
    if (descriptor >= 0)
      all.push_back(descriptor);
  };
  add(value.table.failure_memory);
  for (const handed_child& child : value.table.children) {
    add(child.process);
    add(child.output);
  }
  return all;
}

} // namespace task_runner::launcher
