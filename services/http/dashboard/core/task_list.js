// One page of the list of tasks, kept current: rows that are shown change with the stream of events; what would come in
// from outside is counted, and fetched when nobody is reading.
import { tasks as api } from './api.js';
import { useEffect, useMemo, useRef, useState } from './html.js';
import { useEvents } from './live.js';
import { usePaced } from './pace.js';
import { useResource } from './resource.js';
import { changed_by, comes_in, EventsSince } from './task_changes.js';
import { may_match, request_of } from './task_query.js';

/** The list is loaded anew at most this often. Milliseconds. */
const refresh_ms = 1_000;
/** Others that match are counted up to here. */
export const unseen_max = 1_000;
/** Tasks whose events are kept while the list is loaded: as many as are handed on together at most. */
const since_max = 5_000;

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
  // What happened since a load began: its answer may be from before that.
  const since = useRef(new EventsSince(since_max));
  const others_in = (events, page) => (cursor ? [] : events.filter((event) => may_match(filters, event)
    && comes_in(event, { items: page.items, next: page.next, sort, by_state: Boolean(filters.state) })).map(({ id }) => id));

  const { data, error, loading, reload } = useResource(async (signal) => {
    since.current.clear();
    const page = await api.list({ ...request_of(filters, Date.now()), sort, cursor, limit }, signal);
    const before = known.current;
    const ids = new Set(page.items.map(({ id }) => id));
    const arrived = new Set(before.key === key ? page.items.filter(({ id }) => !before.ids.has(id)).map(({ id }) => id) : []);
    known.current = { key, ids };
    const { shown, others } = since.current.apart(ids);
    set_changes(shown);
    set_unseen(new Set(others_in(others, page).slice(0, unseen_max)));
    return { ...page, key, arrived };
  }, [key]);
  const ask = usePaced(reload, refresh_ms);

  const items = useMemo(() => (data?.items ?? []).filter(({ id }) => !changes.get(id)?.deleted).map((task) => {
    const event = changes.get(task.id);
    return event ? changed_by(task, event) : task;
  }), [data, changes]);

  const take_unseen = (events) => {
    const found = others_in(events, data);
    if (found.length === 0)
      return false;
    set_unseen((before) => new Set([...before, ...found].slice(0, unseen_max)));
    return true;
  };

  useEvents((batch) => {
    const told = batch.filter(({ kind }) => kind === 'task').map((event) => event.data);
    since.current.take(told);
    if (batch.some(({ kind }) => kind === 'reset')) {
      ask();
      return;
    }
    if (!data || data.key !== key)
      return;
    const shown = told.filter(({ id }) => known.current.ids.has(id));
    const others = told.filter(({ id }) => !known.current.ids.has(id));
    if (shown.length > 0)
      set_changes((before) => new Map([...before, ...shown.map((event) => [event.id, event])]));
    const more = take_unseen(others);
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
