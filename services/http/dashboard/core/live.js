// What happens in the daemon as it happens: one stream of server-sent events for the whole page. Events are handed on
// together, four times a second at most, so that a busy daemon never makes the page draw more often than eyes can follow.
import { address } from './api.js';
import { useEffect, useRef, useState } from './html.js';

/** How often listeners hear of what has happened, milliseconds. */
export const beat_ms = 250;
/** Events that are kept for one beat; with more the page is told to look at the lists instead. */
const waiting_max = 5_000;
/** After an answer that is no stream, until it is asked again: the daemon may only be starting. Milliseconds. */
const retry_ms = 2_000;
/** Of a daemon that is away the browser asks by itself first, so many times; then it is asked this often. Milliseconds. */
const quick_tries = 5;
const away_retry_ms = 5_000;
/** A page that nobody sees gives its stream back after so long: browsers allow a daemon few connections over all tabs. */
const unseen_ms = 15_000;

const listeners = new Set();
const watchers = new Set();
let source = null;
let last_id = null;
let waiting = [];
let overrun = false;
let timer = null;
let state = 'connecting';
let failures = 0;

function become(next) {
  if (state === next)
    return;
  state = next;
  for (const watcher of watchers)
    watcher(state);
}

function deliver() {
  timer = null;
  const batch = overrun ? [{ kind: 'reset', data: { reason: 'trimmed' } }] : waiting;
  waiting = [];
  overrun = false;
  for (const listener of listeners)
    listener(batch);
}

function take(kind, event) {
  last_id = event.lastEventId || last_id;
  if (waiting.length < waiting_max)
    waiting.push({ kind, data: JSON.parse(event.data) });
  else
    overrun = true;
  timer ??= setTimeout(deliver, beat_ms);
}

function open() {
  const opened = new EventSource(address('api/v1/events', { since: last_id }));
  source = opened;
  opened.addEventListener('ready', (event) => {
    last_id = event.lastEventId || last_id;
    failures = 0;
    become('open');
  });
  for (const kind of ['task', 'channel', 'reset'])
    opened.addEventListener(kind, (event) => take(kind, event));
  opened.onopen = () => become('open');
  opened.onerror = () => {
    become('lost');
    const is_away = ++failures > quick_tries;
    // After a cut the browser comes back by itself; after an answer that is no stream it has given up for good.
    if (opened.readyState !== EventSource.CLOSED && !is_away)
      return;
    opened.close();
    setTimeout(() => { if (source === opened) open(); }, is_away ? away_retry_ms : retry_ms);
  };
}

function close() {
  source?.close();
  source = null;
}

/** Opens the stream; called once. What was missed while it was closed comes first, or `reset` in its place. */
export function begin_live() {
  open();
  let closing = null;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(closing);
    if (document.hidden)
      closing = setTimeout(close, unseen_ms);
    else if (!source)
      open();
  });
}

/** Calls `handle` with a list of {kind, data} when something has happened. Returns what stops it. */
export function on_events(handle) {
  listeners.add(handle);
  return () => listeners.delete(handle);
}

/** As on_events, for as long as a component is shown; `handle` may change from one drawing to the next. */
export function useEvents(handle) {
  const latest = useRef(handle);
  latest.current = handle;
  useEffect(() => on_events((batch) => latest.current(batch)), []);
}

/** 'connecting', 'open' or 'lost'. */
export function useConnection() {
  const [now, set_now] = useState(state);
  useEffect(() => {
    set_now(state);
    watchers.add(set_now);
    return () => watchers.delete(set_now);
  }, []);
  return now;
}
