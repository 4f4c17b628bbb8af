// What ran when: attempts of tasks as the lists and the events tell of them, of one window of time and bounded. Pure:
// the workers' page draws from it, and the tests feed it.

/** Runs that are kept at most; the oldest ended ones go first, and `cut_ms` tells since when all are there. */
export const runs_max = 2_000;

/** Spans of time that can be looked at, by what stands in the address. */
export const spans = [
  { name: '1m', label: '1 m', length_ms: 60_000 },
  { name: '5m', label: '5 m', length_ms: 300_000 },
  { name: '15m', label: '15 m', length_ms: 900_000 },
  { name: '1h', label: '1 h', length_ms: 3_600_000 },
];

const unit_ms = { s: 1_000, m: 60_000, h: 3_600_000 };
const shortest_span_ms = 10_000;
const longest_span_ms = 86_400_000;

/** "10m" -> 600000; null for what is no span of 10 seconds to a day. */
export function parse_span(text) {
  const found = /^(\d{1,6})([smh])$/.exec(text ?? '');
  const length_ms = found ? Number(found[1]) * unit_ms[found[2]] : 0;
  return length_ms >= shortest_span_ms && length_ms <= longest_span_ms ? length_ms : null;
}

/** How a run is coloured: by what became of the task, and 'retried' where another attempt followed or will. */
export const kinds = ['running', 'finished', 'dead', 'cancelled', 'retried'];

const kind_of_state = (state) => (state === 'pending' || state === 'delayed' ? 'retried' : state);
const moment_ms = (iso) => (iso ? Date.parse(iso) : null);

/**
 * The book of runs. A run: {key, id, channel, attempt, name, kind, outcome, started_ms, ended_ms (null while it runs),
 * lane (null until it has one)}. `version` grows with every change.
 */
export class RunBook {
  constructor(limit = runs_max) {
    this.limit = limit;
    this.by_key = new Map();
    // The lists of by_channel(), without those in which something has changed.
    this.lists = new Map();
    this.version = 0;
    this.cut_ms = null;
  }

  get size() {
    return this.by_key.size;
  }

  /** Takes a task as lists have it: its last attempt. */
  take_task(task) {
    const started_ms = moment_ms(task.started_at);
    if (task.attempt === 0 || started_ms === null)
      return;
    const runs_on = task.state === 'running';
    const ended_ms = runs_on ? null : moment_ms(task.ended_at) ?? started_ms;
    this.put({ id: task.id, channel: task.channel, attempt: task.attempt, name: task.task_name, started_ms, ended_ms,
      kind: kind_of_state(task.state), outcome: task.outcome });
    this.name_before(task);
  }

  /** Attempts before that came as events have no name yet. */
  name_before({ id, attempt, task_name }) {
    for (let before = attempt - 1; before > 0; --before) {
      const run = this.by_key.get(`${id}/${before}`);
      if (!run || run.name)
        return;
      this.replace(run.key, { ...run, name: task_name });
    }
  }

  /** Takes the attempts of a task as its own page has them, for those that the lists do not tell. */
  take_attempts(task) {
    for (const attempt of task.attempts.slice(0, -1)) {
      const started_ms = moment_ms(attempt.started_at);
      if (started_ms === null)
        continue;
      // What somebody has tried again by hand ended as it did before that.
      const known = this.by_key.get(`${task.id}/${attempt.attempt}`);
      const kind = attempt.outcome?.kind === 'cancelled' ? 'cancelled' : known && known.ended_ms !== null ? known.kind : 'retried';
      this.put({ id: task.id, channel: task.channel, attempt: attempt.attempt, name: task.task_name, started_ms,
        ended_ms: moment_ms(attempt.ended_at) ?? started_ms, kind, outcome: attempt.outcome });
    }
    this.take_task(task);
  }

  /**
   * Takes an event about a task. Returns what the lists must be asked for, as events have no names and short runs only
   * an end: 'running', 'ended', 'attempts', or null.
   */
  take_event({ id, channel, state, attempt, outcome, at, deleted }) {
    // What has run stays in the picture, also when nothing else is left of it.
    if (deleted || attempt === 0)
      return null;
    const key = `${id}/${attempt}`;
    const at_ms = Date.parse(at);
    const known = this.by_key.get(key);
    this.close_before(id, attempt, at_ms);
    if (state === 'running') {
      if (!known)
        this.put({ id, channel, attempt, name: this.name_of(id, attempt), started_ms: at_ms, ended_ms: null, kind: 'running', outcome: null });
      return known?.name || this.by_key.get(key)?.name ? null : 'running';
    }
    // A task that waits again after an attempt tells how that ended; one that waits for another reason does not.
    if ((state === 'pending' || state === 'delayed') && !outcome)
      return null;
    if (known) {
      if (known.ended_ms === null)
        this.put({ ...known, ended_ms: at_ms, kind: kind_of_state(state), outcome });
      if (known.name)
        return null;
    }
    return kind_of_state(state) === 'retried' ? 'attempts' : 'ended';
  }

  /** Attempts of a task before this one have ended, though nobody told when. */
  close_before(id, attempt, at_ms) {
    const before = this.by_key.get(`${id}/${attempt - 1}`);
    if (before && before.ended_ms === null)
      this.put({ ...before, ended_ms: at_ms, kind: 'retried' });
  }

  name_of(id, attempt) {
    return this.by_key.get(`${id}/${attempt - 1}`)?.name ?? null;
  }

  put(run) {
    const key = `${run.id}/${run.attempt}`;
    const known = this.by_key.get(key);
    // A list that was made before an event may come after it: what has ended does not run again.
    if (known && known.ended_ms !== null && run.ended_ms === null) {
      if (!known.name && run.name)
        this.replace(key, { ...known, name: run.name });
      return;
    }
    // A task's end may be told later than its last attempt's: of two ends the earlier one is the attempt's.
    const ended_ms = known && known.ended_ms !== null ? Math.min(known.ended_ms, run.ended_ms) : run.ended_ms;
    this.replace(key, { ...run, key, ended_ms, name: run.name ?? known?.name ?? null, lane: known?.lane ?? null });
  }

  replace(key, run) {
    this.by_key.set(key, run);
    this.change(run.channel);
  }

  remove(run) {
    this.by_key.delete(run.key);
    this.change(run.channel);
  }

  change(channel) {
    this.lists.delete(channel);
    ++this.version;
  }

  /** Runs that, by a complete list of those that run, do not run any more: their end is unknown, so they go. */
  keep_running(ids, asked_at_ms) {
    for (const run of this.by_key.values())
      if (run.ended_ms === null && run.started_ms < asked_at_ms && !ids.has(run.id))
        this.remove(run);
  }

  /** Forgets what ended before `from_ms`, and the oldest ended ones where there are too many. */
  prune(from_ms) {
    for (const run of this.by_key.values())
      if (run.ended_ms !== null && run.ended_ms < from_ms)
        this.remove(run);
    if (this.cut_ms !== null && this.cut_ms <= from_ms)
      this.cut_ms = null;
    const surplus = this.by_key.size - this.limit;
    if (surplus <= 0)
      return;
    const oldest = [...this.by_key.values()].sort((one, other) => (one.ended_ms ?? Infinity) - (other.ended_ms ?? Infinity)
      || one.started_ms - other.started_ms).slice(0, surplus);
    for (const run of oldest) {
      this.remove(run);
      this.cut(run.ended_ms);
    }
  }

  /** Tells that runs which ended until then may be missing. */
  cut(ended_ms) {
    if (ended_ms !== null)
      this.cut_ms = Math.max(this.cut_ms ?? 0, ended_ms);
  }

  /** A list of runs, the first start first, of every channel that has any; the same list while nothing in it changes. */
  by_channel() {
    const changed = new Map();
    for (const run of this.by_key.values()) {
      if (this.lists.has(run.channel))
        continue;
      if (!changed.has(run.channel))
        changed.set(run.channel, []);
      changed.get(run.channel).push(run);
    }
    for (const [channel, runs] of changed)
      this.lists.set(channel, runs.sort((one, other) => one.started_ms - other.started_ms || (one.key < other.key ? -1 : 1)));
    return new Map(this.lists);
  }
}

/** The share of its workers' time that a channel's runs have filled, 0 to 1; null where there are no workers. */
export function busy_share(runs, worker, from_ms, until_ms) {
  if (worker < 1 || until_ms <= from_ms)
    return null;
  const filled_ms = runs.reduce((sum, { started_ms, ended_ms }) => sum
    + Math.max(0, Math.min(ended_ms ?? until_ms, until_ms) - Math.max(started_ms, from_ms)), 0);
  return Math.min(1, filled_ms / (worker * (until_ms - from_ms)));
}
