// Which page is shown, and with which filters: all of it stands behind the # of the address, so that every view can be
// bookmarked, shared and gone back to.
import { useEffect, useState } from './html.js';

/** "#/tasks/abc?state=dead" -> {path: ['tasks','abc'], query: {state: 'dead'}} */
function parse_location(hash) {
  const text = hash.replace(/^#\/?/, '');
  const mark = text.indexOf('?');
  const path = (mark < 0 ? text : text.slice(0, mark)).split('/').filter(Boolean).map(decode);
  const query = Object.fromEntries(new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1)));
  return { path, query };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view, for `href`: link(['tasks', id], {attempt: 2}). Empty members are left out. */
export function link(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

/** Goes to a view. `replace` keeps it out of the history: for filters that change while somebody types. */
export function go(target, { replace = false } = {}) {
  if (!replace) {
    location.hash = target;
    return;
  }
  history.replaceState(null, '', target);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

/** The view of now. */
export function useLocation() {
  const [now, set_now] = useState(() => parse_location(location.hash));
  useEffect(() => {
    const follow = () => set_now(parse_location(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return now;
}
