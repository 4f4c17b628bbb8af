// Waiting for what cannot tell that it has happened: the daemon's own state, asked for over and over with a deadline.
// What a page shows is waited for with the browser's own means, which are told.
import { setTimeout as pause } from 'node:timers/promises';

/** Between two looks, and at most in all, milliseconds. */
const look_ms = 25;
const wait_ms_max = 20_000;

/** Calls `look` until it gives something true, and gives that. What it throws ends the waiting, but for requests that fail. */
export async function until(what, look, { ms_max = wait_ms_max } = {}) {
  const deadline = Date.now() + ms_max;
  let last = null;
  for (;;) {
    try {
      const found = await look();
      if (found)
        return found;
    } catch (problem) {
      // fetch throws a TypeError where nobody answers.
      if (!(problem instanceof TypeError))
        throw problem;
      last = problem;
    }
    if (Date.now() > deadline)
      throw new Error(`waited ${ms_max / 1000} s in vain until ${what}${last ? ` (${last.message})` : ''}`);
    await pause(look_ms);
  }
}
