// The history of the daemon as plots and tables want it: columns over time, and the speed of every channel.
import { request } from './api.js';

/** Spans that can be chosen: what the API is asked for, and how many of its steps are shown. */
export const spans = [
  { name: '15m', label: '15 min', query: { span: '1h', limit: 180 }, span_s: 900 },
  { name: '1h', label: '1 hour', query: { span: '1h', limit: 720 }, span_s: 3_600 },
  { name: '24h', label: '24 hours', query: { span: '24h', limit: 288 }, span_s: 86_400 },
];

/** What happened in each step, per second; null in gaps. */
const per_second = (values, lengths_s) => values.map((value, index) => (value === null || !lengths_s[index] ? null : value / lengths_s[index]));

/** The share of dead among what ended in each step, 0 to 1; null where nothing ended. */
const share = (dead, finished) => dead.map((value, index) => (value === null || value + finished[index] === 0 ? null : value / (value + finished[index])));

/** {at_ms, columns…, totals} of all channels together. `name` is that of a span. */
export async function load_statistics(name, signal) {
  const { query, span_s } = spans.find((span) => span.name === name) ?? spans[0];
  const { points, totals } = await request('GET', 'api/v1/statistics', { query, signal });
  return {
    span_s,
    at_ms: points.at.map((at) => Date.parse(at)),
    pushed_per_s: per_second(points.pushed, points.length_s),
    finished_per_s: per_second(points.finished, points.length_s),
    dead_per_s: per_second(points.dead, points.length_s),
    failure_share: share(points.dead, points.finished),
    pending: points.pending,
    running: points.running,
    workers: points.workers,
    wait_s: { p50: points.wait_p50_s, p95: points.wait_p95_s, p99: points.wait_p99_s },
    run_s: { p50: points.run_p50_s, p95: points.run_p95_s, p99: points.run_p99_s },
    totals: { recent: totals.last_5_minutes, hour: totals.last_hour },
  };
}

/** Channels of one page of their list; most daemons have fewer in all. */
const page_limit = 1000;

/** A map from the name of each channel to {oldest_wait_s, ended_per_s, eta_s, finished (per minute, the last hour)}. */
export async function load_speeds(signal) {
  const speeds = new Map();
  let cursor = null;
  do {
    const page = await request('GET', 'api/v1/statistics/channels', { query: { limit: page_limit, cursor }, signal });
    for (const { channel, next_wait_s, ended_per_s, eta_s, points } of page.items)
      speeds.set(channel, { oldest_wait_s: next_wait_s, ended_per_s, eta_s, finished: points.finished });
    cursor = page.next;
  } while (cursor);
  return speeds;
}
