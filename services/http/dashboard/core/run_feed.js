// Keeps a book of runs current: seeded from the lists, moved on by the events, and completed by short lists where events
// do not say enough. At most two requests a second, and none while the page is hidden.
import { request, tasks } from './api.js';
import { useCallback, useEffect, useRef, useState } from './html.js';
import { useEvents } from './live.js';
import { RunBook, runs_max } from './runs.js';

const page_max = 1_000;
/** Tasks that ended since the last look, at most; with more, some runs are missing, and the page says so. */
const news_max = 500;
/** Waiting tasks that are looked through for attempts which have failed. */
const waiting_max = 500;
const look_ms = 1_000;
/** The lists are asked again from a little before the last look on, as ends are written after they are noted. */
const overlap_ms = 2_000;
/** Tasks whose earlier attempts are asked for one by one, at most so many in line. */
const details_max = 60;
const asked_max = 5_000;
/** After a failure it is asked again. Milliseconds. */
const failure_rest_ms = 5_000;
/** After so long without a look, everything is loaded anew. */
const stale_ms = 30_000;

const ended_states = 'finished,dead,cancelled';
const iso = (at_ms) => new Date(at_ms).toISOString();

/** How far the daemon's clock is before the browser's, milliseconds; differences that nobody sees count as none. */
async function clock_lead(signal) {
  const before_ms = Date.now();
  const daemon = await request('GET', 'api/v1/daemon', { signal });
  const middle_ms = (before_ms + Date.now()) / 2;
  const lead_ms = Date.parse(daemon.now) - middle_ms;
  return Math.abs(lead_ms) > 500 ? lead_ms : 0;
}

class RunFeed {
  constructor(span_ms, channel, tell) {
    Object.assign(this, { span_ms, channel, tell, book: new RunBook(), lead_ms: 0, wanted: new Set(), details: [], asked: new Set(),
      seen_ms: 0, looked_ms: 0, missing_ms: Infinity, is_second: false, busy: true, control: new AbortController(), error: null, loaded: false });
  }

  now_ms = () => Date.now() + this.lead_ms;

  list(query) {
    return tasks.list({ ...query, channel: this.channel }, this.control.signal);
  }

  take_items(items) {
    for (const task of items) {
      this.book.take_task(task);
      this.ask_attempts(task.id, task.attempt);
    }
  }

  /** Puts a task in line whose attempts before this one are not in the book, or have no name there. */
  ask_attempts(id, attempt) {
    const before = `${id}/${attempt - 1}`;
    if (attempt < 2 || this.details.length >= details_max || this.asked.has(before) || this.book.by_key.get(before)?.name)
      return;
    if (this.asked.size >= asked_max)
      this.asked.clear();
    this.asked.add(before);
    this.details.push(id);
  }

  async seed() {
    this.busy = true;
    try {
      this.lead_ms = await clock_lead(this.control.signal);
      this.seen_ms = this.now_ms();
      const from_ms = this.seen_ms - this.span_ms;
      const running = await this.list({ state: 'running', limit: page_max });
      this.take_items(running.items);
      let cursor = null;
      do {
        const page = await this.list({ state: ended_states, sort: '-ended', ended_from: iso(from_ms), limit: page_max, cursor });
        this.take_items(page.items);
        cursor = page.next;
        if (cursor && this.book.size >= runs_max && page.items.length > 0)
          this.book.cut(Date.parse(page.items[page.items.length - 1].ended_at));
      } while (cursor && this.book.size < runs_max);
      const waiting = await this.list({ state: 'delayed', limit: waiting_max });
      this.take_items(waiting.items.filter(({ attempt, ended_at }) => attempt > 0 && Date.parse(ended_at) >= from_ms));
      this.loaded = true;
      this.error = null;
    } catch (error) {
      this.fail(error);
    } finally {
      this.finish();
    }
  }

  fail(error) {
    if (!this.control.signal.aborted)
      this.error = error;
  }

  finish() {
    this.busy = false;
    this.looked_ms = Date.now();
    if (!this.control.signal.aborted)
      this.tell();
  }

  take_events(batch) {
    if (batch.some(({ kind }) => kind === 'reset')) {
      this.wanted.add('all');
      return;
    }
    for (const { kind, data } of batch) {
      if (kind !== 'task' || (this.channel && data.channel !== this.channel))
        continue;
      const missing = this.book.take_event(data);
      if (missing === 'attempts')
        this.ask_attempts(data.id, data.attempt + 1);
      else if (missing)
        this.wanted.add(missing);
      if (missing === 'ended')
        this.missing_ms = Math.min(this.missing_ms, Date.parse(data.at));
    }
    this.tell();
  }

  /** What is missing is asked for: one or two requests. */
  async look() {
    if (document.hidden || this.busy || this.error && Date.now() - this.looked_ms < failure_rest_ms)
      return;
    if (!this.loaded || this.wanted.has('all') || Date.now() - this.looked_ms > stale_ms && this.wanted.size > 0) {
      this.wanted.clear();
      await this.seed();
      return;
    }
    if (this.wanted.size === 0 && this.details.length === 0)
      return;
    this.busy = true;
    const wanted = new Set(this.wanted);
    try {
      await this.look_for(wanted);
      this.error = null;
    } catch (error) {
      this.fail(error);
      for (const one of wanted)
        this.wanted.add(one);
    } finally {
      this.finish();
    }
  }

  async look_for(wanted) {
    this.wanted.clear();
    const asked_ms = this.now_ms();
    if (wanted.has('ended')) {
      const from_ms = Math.max(Math.min(this.seen_ms - overlap_ms, this.missing_ms), asked_ms - this.span_ms);
      this.missing_ms = Infinity;
      const page = await this.list({ state: ended_states, sort: '-ended', ended_from: iso(from_ms), limit: news_max });
      if (page.next && page.items.length >= news_max)
        this.book.cut(Date.parse(page.items[page.items.length - 1].ended_at));
      this.take_items(page.items);
      this.seen_ms = asked_ms;
    }
    // Of what else is missing something is asked for at every other look.
    this.is_second = !this.is_second;
    if (!this.is_second) {
      if (wanted.has('running'))
        this.wanted.add('running');
      return;
    }
    if (wanted.has('running')) {
      const page = await this.list({ state: 'running', limit: page_max });
      this.take_items(page.items);
      if (!page.next)
        this.book.keep_running(new Set(page.items.map(({ id }) => id)), asked_ms - overlap_ms);
    } else if (this.details.length > 0) {
      const id = this.details.shift();
      // A task that is gone by now has nothing to tell.
      const task = await tasks.get(id, this.control.signal).catch((error) => { if (error.status !== 404) throw error; });
      if (task)
        this.book.take_attempts(task);
    }
  }
}

/**
 * The runs of a span of time: {book, now_ms(): the daemon's time, loaded, error, reload}. What uses it is drawn anew when
 * the book has changed. With `channel` only that one's runs are asked for.
 */
export function useRuns(span_ms, channel) {
  const feed = useRef(null);
  const [, set_version] = useState(0);
  useEffect(() => {
    const own = new RunFeed(span_ms, channel, () => { if (feed.current === own) set_version((version) => version + 1); });
    feed.current = own;
    own.seed();
    const timer = setInterval(() => own.look(), look_ms);
    return () => {
      clearInterval(timer);
      own.control.abort();
    };
  }, [span_ms, channel]);
  useEvents((batch) => feed.current?.take_events(batch));
  const reload = useCallback(() => {
    feed.current.wanted.add('all');
    feed.current.error = null;
    feed.current.look();
  }, []);
  const own = feed.current;
  return { book: own?.book ?? null, now_ms: own?.now_ms ?? Date.now, loaded: own?.loaded ?? false, error: own?.error ?? null, reload };
}
