// All channels with their counts, for every page that needs them: loaded once, kept current by the stream of events.
import { channels as api } from './api.js';
import { useEffect, useState } from './html.js';
import { on_events } from './live.js';

/** Every so often the list is loaded anew, as settings change without an event. Milliseconds. */
const refresh_ms = 15_000;

let known = null;
let failure = null;
let loading = false;
let again = false;
const watchers = new Set();

function tell() {
  for (const watcher of watchers)
    watcher({ channels: known, error: failure });
}

/** Loads the list anew; what is asked for meanwhile is done once more afterwards. */
export async function reload_channels() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    known = (await api.list()).items;
    failure = null;
  } catch (error) {
    failure = error;
  } finally {
    loading = false;
    tell();
    if (again) {
      again = false;
      reload_channels();
    }
  }
}

const counted = ['pending', 'held', 'delayed', 'running', 'finished', 'dead', 'cancelled', 'expired', 'retried', 'dead_letters'];

function changed_by(channel, event) {
  const counts = { ...channel.counts };
  for (const name of counted)
    counts[name] = event[name];
  const is_idle = counts.pending + counts.delayed + counts.running === 0;
  const paused_state = counts.running > 0 ? 'draining' : is_idle ? 'drained' : 'paused';
  const was_paused = ['paused', 'draining', 'drained'].includes(channel.state);
  // Which kind of paused it is, only the daemon knows when it begins; while it lasts the counts tell enough.
  const state = !event.paused ? 'open' : was_paused && channel.state !== 'paused' ? paused_state : 'paused';
  return { ...channel, counts, worker: event.worker, state, count: counts.pending + counts.delayed + counts.running };
}

function follow(batch) {
  if (batch.some(({ kind }) => kind === 'reset')) {
    reload_channels();
    return;
  }
  const latest = new Map();
  for (const { kind, data } of batch)
    if (kind === 'channel')
      latest.set(data.channel, data);
  if (latest.size === 0 || known === null)
    return;
  const names = new Set(known.map(({ name }) => name));
  known = known.flatMap((channel) => {
    const event = latest.get(channel.name);
    if (!event)
      return [channel];
    return event.removed ? [] : [changed_by(channel, event)];
  });
  tell();
  for (const [name, event] of latest)
    if (!event.removed && !names.has(name)) {
      reload_channels();
      break;
    }
}

let begun = false;
function begin() {
  if (begun)
    return;
  begun = true;
  on_events(follow);
  setInterval(() => { if (!document.hidden) reload_channels(); }, refresh_ms);
  reload_channels();
}

/** {channels: a list by name or null before it came, error}. */
export function useChannels() {
  const [now, set_now] = useState({ channels: known, error: failure });
  useEffect(() => {
    begin();
    set_now({ channels: known, error: failure });
    watchers.add(set_now);
    return () => watchers.delete(set_now);
  }, []);
  return now;
}

/** Whether nothing of the channel is started because somebody has said so. */
export const is_paused = (channel) => ['paused', 'draining', 'drained'].includes(channel.state);
