// One page of the list of tasks, kept current: rows that are shown change with the stream of events; what would come in
// from outside is counted, and fetched when nobody is reading.
import { tasks as api } from './api.js';
import { useEffect, useMemo, useRef, useState } from './html.js';
import { useEvents } from './live.js';
import { usePaced } from './pace.js';
import { useResource } from './resource.js';
import { changed_by, is_newer_than } from './task_changes.js';
import { may_match, request_of } from './task_query.js';

/** The list is loaded anew at most this often. Milliseconds. */
const refresh_ms = 1_000;
/** Others that match are counted up to here. */
export const unseen_max = 1_000;

/**
 * `view` is {filters, sort, cursor, limit}; `may_follow()` says whether rows may move now. Returns {items, next, error,
 * loading, arrived, unseen, reload, ask}: `arrived` holds the ids that were not there before, `unseen` is how many others
 * match, `ask` loads anew when it is time.
 */
export function useTaskList(view, may_follow) {
  const { filters, sort, cursor, limit } = view;
  const key = JSON.stringify([filters, sort, cursor, limit]);
  const [changes, set_changes] = useState(() => new Map());
  const [unseen, set_unseen] = useState(() => new Set());
  const known = useRef({ key: null, ids: new Set() });

  const { data, error, loading, reload } = useResource(async (signal) => {
    const page = await api.list({ ...request_of(filters, Date.now()), sort, cursor, limit }, signal);
    const before = known.current;
    const ids = new Set(page.items.map(({ id }) => id));
    const arrived = new Set(before.key === key ? page.items.filter(({ id }) => !before.ids.has(id)).map(({ id }) => id) : []);
    known.current = { key, ids };
    set_changes(new Map());
    set_unseen(new Set());
    return { ...page, key, arrived };
  }, [key]);
  const ask = usePaced(reload, refresh_ms);

  const items = useMemo(() => (data?.items ?? []).map((task) => {
    const event = changes.get(task.id);
    return event ? changed_by(task, event) : task;
  }), [data, changes]);

  const take_unseen = (events) => {
    const newest = data.items.length > 0 ? data.items[0].id : null;
    const found = events.filter((event) => may_match(filters, event) && (filters.state || is_newer_than(event, newest)));
    if (found.length === 0)
      return false;
    set_unseen((before) => new Set([...before, ...found.map(({ id }) => id)].slice(0, unseen_max)));
    return true;
  };

  useEvents((batch) => {
    if (!data || data.key !== key)
      return;
    if (batch.some(({ kind }) => kind === 'reset')) {
      ask();
      return;
    }
    const told = batch.filter(({ kind }) => kind === 'task').map((event) => event.data);
    const shown = told.filter(({ id }) => known.current.ids.has(id));
    const others = told.filter(({ id }) => !known.current.ids.has(id));
    if (shown.length > 0)
      set_changes((before) => new Map([...before, ...shown.map((event) => [event.id, event])]));
    const more = !cursor && take_unseen(others);
    if ((shown.length > 0 || more) && may_follow())
      ask();
  });

  // Somebody was reading when others came, and has gone on since.
  useEffect(() => {
    if (unseen.size === 0)
      return undefined;
    const timer = setInterval(() => { if (may_follow()) ask(); }, refresh_ms);
    return () => clearInterval(timer);
  }, [unseen.size === 0]);

  const is_current = data?.key === key;
  return { items: is_current || loading ? items : [], next: is_current ? data.next : null, arrived: data?.arrived, error, loading: loading || !is_current && !error,
    unseen: unseen.size, reload, ask };
}
