// Work that many events ask for and that is done now and then: at most once within a time, and once more afterwards
// when it was asked for meanwhile.
import { useCallback, useEffect, useRef } from './html.js';

/**
 * Returns a function that asks for `run`. It runs at once when it has rested for `rest_ms`, else when that is over; while
 * a promise that it returned is not settled it does not run again.
 */
export function usePaced(run, rest_ms) {
  const latest = useRef(run);
  latest.current = run;
  const state = useRef({ timer: null, running: false, wanted: false, last_at: -Infinity });

  const ask = useCallback(() => {
    const now = state.current;
    now.wanted = true;
    if (now.running || now.timer !== null)
      return;
    const wait_ms = now.last_at + rest_ms - performance.now();
    if (wait_ms > 0) {
      now.timer = setTimeout(() => { now.timer = null; ask(); }, wait_ms);
      return;
    }
    now.wanted = false;
    now.running = true;
    now.last_at = performance.now();
    Promise.resolve(latest.current()).finally(() => {
      now.running = false;
      if (now.wanted && !now.stopped)
        ask();
    });
  }, [rest_ms]);

  useEffect(() => {
    const now = state.current;
    now.stopped = false;
    return () => {
      now.stopped = true;
      clearTimeout(now.timer);
      now.timer = null;
    };
  }, []);
  return ask;
}
