// One verb for many tasks: which are meant, fixed at one moment, and request after request until all is done. Pure.
import { request_of } from './task_query.js';

/** Tasks of one request, as the API bounds it. */
const ids_max = 1_000;
export const matches_max = 10_000;

const ms_of = (moment) => (Number.isNaN(Number(moment)) ? Date.parse(moment) : Number(moment) * 1000);

/**
 * Filters as a bulk request takes them. Only what was there at `now_ms`, a time of the daemon's, is meant: what is pushed
 * or ends while it is carried out would match again and again.
 */
export function matching(verb, filters, now_ms) {
  const given = request_of(filters, now_ms);
  const until = verb === 'cancel' ? 'created_until' : 'ended_until';
  const is_bounded = given[until] && ms_of(given[until]) < now_ms;
  return { ...given, ...(is_bounded ? {} : { [until]: new Date(now_ms).toISOString() }), ...(given.exit_code ? { exit_code: Number(given.exit_code) } : {}) };
}

/** The ids in portions of as many as one request takes. */
export const portions = (ids) => Array.from({ length: Math.ceil(ids.length / ids_max) }, (_one, index) => ({ ids: ids.slice(index * ids_max, (index + 1) * ids_max) }));

/**
 * Sends each of `requests` with `send(body)` for as long as there is more to do: {done, left, example, stopped}. `left` is
 * how many it was not done for, `example` one refusal of those. `progress` hears how many are done so far; when `is_over()`
 * nothing more is sent.
 */
export async function carry_out(send, requests, { progress, is_over }) {
  const sum = { done: 0, left: 0, example: null, stopped: false };
  for (const body of requests) {
    let left = 0;
    for (let more = true; more;) {
      if (is_over())
        return { ...sum, left: sum.left + left, stopped: true };
      const { matched, done, refused, more: has_more } = await send(body);
      sum.done += done;
      sum.example ??= refused[0] ?? null;
      // By filters only a few refusals are named, and what was refused is among what matches the next time.
      left = body.ids ? refused.length : matched - done;
      progress(sum.done);
      more = has_more && done > 0;
    }
    sum.left += left;
  }
  return sum;
}
