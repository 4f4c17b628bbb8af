// What an event of the stream makes of a task that is shown, and which tasks it tells of for the first time. Pure.

const terminal = new Set(['finished', 'dead', 'cancelled']);

/** The task as it stands after the event {state, attempt, outcome, at}. */
export function changed_by(task, event) {
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

/** The ids from `from` up to `to`, in the order of `ids`, whichever of them stands first; `to` alone without `from`. */
export function between(ids, from, to) {
  const [one, other] = [ids.indexOf(from), ids.indexOf(to)];
  if (one < 0 || other < 0)
    return [to];
  return ids.slice(Math.min(one, other), Math.max(one, other) + 1);
}
