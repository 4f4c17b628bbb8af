// Keys that work everywhere and on a page: registered with what they do, so that "?" can list those of now.
import { useEffect, useRef } from './html.js';

const groups = new Set();

/** Whether keys go into a field. A checkbox takes none but the space. */
const is_typing = (target) => Boolean(target.closest?.('input:not([type="checkbox"]):not([type="radio"]), textarea, select, [contenteditable]'));

/** How long the first key of two is remembered, milliseconds. */
const sequence_ms = 1_500;
let first = null;

/** Runs what `keys` is registered for, if anything. What was registered last is nearest to what is shown. */
function run(keys, event) {
  return [...groups].reverse().some((group) => group.current.some((one) => one.key === keys && one.run(event) !== false));
}

const begins_sequence = (key) => [...groups].some((group) => group.current.some((one) => one.key.startsWith(`${key} `)));

function take(event) {
  const before = first;
  first = null;
  if (before && event.timeStamp - before.at < sequence_ms && run(`${before.key} ${event.key}`, event))
    return true;
  if (run(event.key, event))
    return true;
  if (begins_sequence(event.key))
    first = { key: event.key, at: event.timeStamp };
  return false;
}

let begun = false;
function begin() {
  if (begun)
    return;
  begun = true;
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented)
      return;
    if (is_typing(event.target)) {
      if (event.key === 'Escape')
        event.target.blur();
      return;
    }
    if (document.querySelector('dialog[open]'))
      return;
    if (take(event))
      event.preventDefault();
  });
}

/**
 * Keys for as long as a component is shown: [{key, does, run}]. "g o" is g, then o. `run` may return false: not for me.
 */
export function useKeys(keys) {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    begin();
    groups.add(latest);
    return () => groups.delete(latest);
  }, []);
}

/** What can be pressed now: [{key, does}]. */
export const keys_of_now = () => [...groups].flatMap((group) => group.current.filter(({ does }) => does));
