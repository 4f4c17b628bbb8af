// What became of a task over time, as stretches of waiting and running for the bar on its page. Pure.

/** Attempts that are drawn one by one, the last ones; those before are one stretch. */
export const attempts_max = 40;

const at_ms = (iso) => (iso ? Date.parse(iso) : null);

const is_success = (outcome) => outcome?.kind === 'exited' && outcome.code === 0;

function run_of({ attempt, started_at, ended_at, outcome }, now_ms) {
  const from = at_ms(started_at);
  const to = Math.max(from, at_ms(ended_at) ?? now_ms);
  const kind = !ended_at ? 'running' : is_success(outcome) ? 'finished' : outcome?.kind === 'cancelled' ? 'cancelled' : 'dead';
  return { kind, attempt, outcome, from, to };
}

/** From the end of one attempt, or from the push, up to what comes next: its own delay or pause, then in line. */
function waits(from, due, to, pause) {
  const stretches = [];
  const turn = due !== null && due > from ? Math.min(due, to) : from;
  if (turn > from)
    stretches.push({ kind: pause, from, to: turn });
  if (to > turn)
    stretches.push({ kind: 'pending', from: turn, to });
  return stretches;
}

/**
 * {from, to, stretches: [{kind, from, to, attempt?, outcome?}], more}: times in milliseconds, `kind` a state, or pause
 * (between attempts), ahead (yet to come), more (attempts that are put together); `more` is how many those are. Attempts that never started are not drawn.
 */
export function timeline_of(task, now_ms) {
  const created = at_ms(task.created_at);
  const due = at_ms(task.execute_at);
  const waits_now = task.state === 'pending' || task.state === 'delayed';
  const ended = ['finished', 'dead', 'cancelled'].includes(task.state);
  const started = (task.attempts ?? []).filter(({ started_at }) => started_at);
  const more = Math.max(0, started.length - attempts_max);
  const shown = started.slice(more);
  const stretches = [];
  let from = created;
  if (more > 0) {
    from = at_ms(shown[0].started_at);
    stretches.push({ kind: 'more', from: created, to: from });
  }
  for (const [index, attempt] of shown.entries()) {
    const run = run_of(attempt, now_ms);
    // The moment that a task was due is known of its last wait alone; between others the pause may have been shorter.
    const is_first = index + more === 0;
    const is_due_known = index === shown.length - 1 && !waits_now;
    const turn = is_due_known && due !== null && (is_first || due >= from) ? due : is_first ? null : run.from;
    stretches.push(...waits(from, turn, run.from, is_first ? 'delayed' : 'pause'), run);
    from = run.to;
  }
  if (waits_now)
    stretches.push(...waits(from, due, Math.max(now_ms, from), shown.length > 0 ? 'pause' : 'delayed'));
  else if (ended && shown.length === 0)
    stretches.push(...waits(from, due, Math.max(from, at_ms(task.ended_at) ?? from), 'delayed'));
  // What is yet to come of a delay, so that one sees how much of it is over.
  const until = task.state === 'delayed' && due > now_ms ? due : null;
  if (until)
    stretches.push({ kind: 'ahead', from: Math.max(now_ms, from), to: until });
  const to = stretches.length ? stretches[stretches.length - 1].to : created;
  return { from: created, to, stretches: stretches.filter((one) => one.to > one.from || one.attempt), more };
}

/** The part of the bar that each stretch takes: of its time, and so much at least that it can be seen. Sums up to 1. */
export function shares_of(stretches, least = 0.012) {
  if (stretches.length === 0)
    return [];
  const whole = stretches.reduce((sum, { from, to }) => sum + to - from, 0);
  const floor = Math.min(least, 1 / stretches.length);
  const raw = stretches.map(({ from, to }) => Math.max(floor, whole > 0 ? (to - from) / whole : 1 / stretches.length));
  const sum = raw.reduce((total, one) => total + one, 0);
  return raw.map((one) => one / sum);
}
