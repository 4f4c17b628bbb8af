// How much goes on between the actors: from totals that only grow to messages per second. Pure.

/** Rates are taken over this many of the last looks, so that they do not jump with each. */
export const looks_max = 4;

const key_of = ({ from, to }) => `${from} ${to}`;

/** What is kept of an answer: {at_ms, handled: a map by actor, sent: a map by "from to"}. */
export function look_of({ items, edges }, at_ms) {
  return {
    at_ms,
    handled: new Map(items.filter(({ messages }) => messages).map(({ name, messages, started_at }) => [name, { total: messages.total, started_at }])),
    sent: new Map(edges.map((edge) => [key_of(edge), edge.messages])),
  };
}

/** The last looks, with a new one. */
export const with_look = (looks, look) => [...looks, look].slice(-looks_max);

/**
 * Messages per second between the first and the last look: {handled: by actor, sent: by "from to"}. What was not there at
 * the first look, or has begun anew since, is missing: nobody can say.
 */
export function rates_of(looks) {
  const [first, last] = [looks[0], looks[looks.length - 1]];
  const rates = { handled: new Map(), sent: new Map() };
  if (!last || last.at_ms <= first.at_ms)
    return rates;
  const length_s = (last.at_ms - first.at_ms) / 1_000;
  for (const [name, { total, started_at }] of last.handled) {
    const before = first.handled.get(name);
    if (before && before.started_at === started_at && total >= before.total)
      rates.handled.set(name, (total - before.total) / length_s);
  }
  for (const [key, total] of last.sent) {
    // An edge that was not there before has carried nothing before.
    const before = first.sent.get(key) ?? 0;
    if (total >= before)
      rates.sent.set(key, (total - before) / length_s);
  }
  return rates;
}

/** For how long an actor has been handling one message, seconds; null while it waits for one. */
export const busy_s = (actor, now_ms) => (actor.busy_since ? Math.max(0, (now_ms - Date.parse(actor.busy_since)) / 1_000) : null);

/** An actor that handles one message for so long holds up those that wait. Seconds. */
const long_busy_s = 1;

/** What deserves a look, in words; '' where nothing does. */
export function warning_of(actor, now_ms) {
  const busy = busy_s(actor, now_ms);
  if (actor.alive === false)
    return 'has ended';
  if (busy !== null && busy >= long_busy_s)
    return `busy for ${Math.floor(busy)} s`;
  return actor.restarts > 0 ? `restarted ${actor.restarts} ${actor.restarts === 1 ? 'time' : 'times'}` : '';
}
