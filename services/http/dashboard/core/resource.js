// Data of the daemon that a component shows: loaded, loaded again as time goes by, and kept while it is loaded again.
import { useCallback, useEffect, useRef, useState } from './html.js';
import { useConnection } from './live.js';

/**
 * Loads with `load(signal)` and returns {data, error, loading, reload}. It loads anew when a member of `depends_on`
 * changes, every `every_ms` while the page is visible, and at reload(). What came last stays while that goes on, and
 * after a failure, which `error` tells. Answers that come late never replace newer ones.
 */
export function useResource(load, depends_on = [], { every_ms = 0 } = {}) {
  const [state, set_state] = useState({ data: null, error: null, loading: true });
  const latest = useRef(load);
  latest.current = load;
  const running = useRef(null);

  const reload = useCallback(async () => {
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    try {
      const data = await latest.current(control.signal);
      if (!control.signal.aborted)
        set_state({ data, error: null, loading: false });
    } catch (error) {
      if (!control.signal.aborted)
        set_state((before) => ({ data: before.data, error, loading: false }));
    } finally {
      if (running.current === control)
        running.current = null;
    }
  }, []);

  useEffect(() => {
    set_state((before) => ({ ...before, loading: true }));
    reload();
    return () => running.current?.abort();
  }, depends_on);

  useEffect(() => {
    if (!every_ms)
      return undefined;
    const again = () => {
      // One at a time: a slow daemon is not asked more, but less.
      if (!document.hidden && !running.current)
        reload();
    };
    const timer = setInterval(again, every_ms);
    document.addEventListener('visibilitychange', again);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', again);
    };
  }, [every_ms, reload]);

  return { ...state, reload };
}

/**
 * The time of now, milliseconds, drawn anew every `every_ms`: for ages and run times that grow. It stands still while the
 * daemon is away: nobody knows then what goes on.
 */
export function useNow(every_ms = 1_000) {
  const [now, set_now] = useState(() => Date.now());
  const is_away = useConnection() === 'lost';
  useEffect(() => {
    if (is_away)
      return undefined;
    set_now(Date.now());
    const timer = setInterval(() => set_now(Date.now()), every_ms);
    return () => clearInterval(timer);
  }, [every_ms, is_away]);
  return now;
}
