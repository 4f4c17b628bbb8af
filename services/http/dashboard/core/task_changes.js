// What an event of the stream makes of a task that is shown, and which tasks it tells of for the first time. Pure.

const terminal = new Set(['finished', 'dead', 'cancelled']);

/** The task as it stands after the event {state, attempt, outcome, at}, or as it last stood before {deleted}. */
export function changed_by(task, event) {
  if (event.deleted)
    return task;
  const { state, attempt, outcome, at } = event;
  const now = { ...task, state, attempt, outcome };
  if (state === 'running')
    return { ...now, outcome: null, started_at: at, ended_at: null, duration_s: null };
  if (!terminal.has(state))
    return now;
  // The start of an attempt that was over within a quarter of a second is not told of by itself.
  const started_at = attempt === task.attempt ? task.started_at : null;
  const duration_s = started_at ? Math.max(0, (Date.parse(at) - Date.parse(started_at)) / 1000) : null;
  return { ...now, started_at, ended_at: at, duration_s };
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/;

/**
 * Whether the event tells of a task that was pushed after the one with the id `newest`. The daemon's own ids begin with
 * the time; others are taken for new up to their first attempt, as what came before it may not be told of by itself.
 */
export function is_newer_than({ id, attempt }, newest) {
  if (uuid.test(id) && newest !== null && uuid.test(newest))
    return id > newest;
  return attempt <= 1;
}

/**
 * Whether a task that the event tells of may come in on the page that shows `items`, where it is not yet; `next` is the
 * place behind a full page. `by_state`: only some states are shown, so that older tasks come in as well.
 */
export function comes_in(event, { items, next, sort, by_state }) {
  if (event.deleted)
    return false;
  if (sort === '-ended' || sort === 'ended')
    return terminal.has(event.state) && (sort === '-ended' || !next);
  const is_oldest_first = sort === 'created';
  if (is_oldest_first && next)
    return false;
  const newest = items[is_oldest_first ? items.length - 1 : 0]?.id ?? null;
  return by_state || is_newer_than(event, newest);
}

/** The last event of each task, the last `most` of them, for what is loaded meanwhile. */
export class EventsSince {
  constructor(most) {
    this.most = most;
    this.by_id = new Map();
  }

  clear() {
    this.by_id.clear();
  }

  take(events) {
    for (const event of events) {
      // What came last stands last.
      this.by_id.delete(event.id);
      this.by_id.set(event.id, event);
    }
    for (const id of this.by_id.keys()) {
      if (this.by_id.size <= this.most)
        break;
      this.by_id.delete(id);
    }
  }

  /** A map by id of the events about these tasks, and a list of the others. */
  apart(ids) {
    const all = [...this.by_id];
    return { shown: new Map(all.filter(([id]) => ids.has(id))), others: all.filter(([id]) => !ids.has(id)).map(([, event]) => event) };
  }
}

/** The ids from `from` up to `to`, in the order of `ids`, whichever of them stands first; `to` alone without `from`. */
export function between(ids, from, to) {
  const [one, other] = [ids.indexOf(from), ids.indexOf(to)];
  if (one < 0 || other < 0)
    return [to];
  return ids.slice(Math.min(one, other), Math.max(one, other) + 1);
}
