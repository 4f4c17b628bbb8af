// The row of a table that keys act on: j and k move it, Enter opens it, and it stays with its item while rows come and go.
import { useRef, useState } from './html.js';
import { useKeys } from './keyboard.js';

/**
 * For the list `items` with `key_of(item)`. Returns {current: a key or null, table: a ref of the table's}. The row's own
 * link or button is the element with data-row-link, and is given the focus.
 */
export function useRows(items, key_of) {
  const [current, set_current] = useState(null);
  const table = useRef(null);
  const index = items.findIndex((item) => key_of(item) === current);
  const move = (step) => {
    const next = items[Math.min(items.length - 1, Math.max(0, index < 0 ? 0 : index + step))];
    if (!next)
      return;
    set_current(key_of(next));
    const place = table.current?.querySelectorAll('[data-row-link]')[items.indexOf(next)];
    place?.focus();
    place?.scrollIntoView({ block: 'nearest' });
  };
  useKeys([
    { key: 'j', does: 'go to the next row', run: () => move(1) },
    { key: 'k', does: 'go to the row before', run: () => move(-1) },
  ]);
  return { current: index < 0 ? null : current, table };
}
