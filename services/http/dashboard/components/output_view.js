// The output of an attempt as a terminal: it grows while the command prints, stays at its end unless somebody scrolls
// up, can be searched, and holds no more than a page can bear; what came before is loaded when asked for.
import { address, read_output, segment } from '../core/api.js';
import { bytes, count } from '../core/format.js';
import { html, useLayoutEffect, useRef, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { make_earlier } from '../core/earlier_output.js';
import { follow_output, read_earlier, read_piece } from '../core/output_stream.js';
import { find_all, Screen, utf8_length } from '../core/terminal.js';
import { notify } from './notices.js';
import { Panel } from './basics.js';
import { StyleReader, TerminalView } from './terminal_view.js';

/** What the page holds of an output; earlier pieces that somebody asks for come on top, up to the second bound. */
const lines_max = 5_000;
const chars_max = 2 * 1024 * 1024;
const all_lines_max = 25_000;
/** Of a long output the last bytes are shown first; this many come with one press of "Earlier output". */
const tail_bytes = 1024 * 1024;
const earlier_bytes = 256 * 1024;
/** Lines are drawn this often. Milliseconds. */
const draw_ms = 120;
const found_max = 2_000;
/** So near to the end counts as at the end. */
const end_px = 12;

function make_session() {
  const styles = new StyleReader();
  return { screen: new Screen({ lines_max, chars_max, read_style: (sequence) => styles.read(sequence) }), end: 0, earlier_from_begin: false };
}

/** Follows the output of an attempt; returns what the panel needs to know of it. */
function useOutput(id, attempt, place, scroller, drawn) {
  const session = useRef(null);
  const view = useRef(null);
  const stuck = useRef(true);
  const [now, set_now] = useState({ status: 'loading', end: 0, begin: 0, behind: false, lines: 0, error: null });
  const after = useRef(drawn);
  after.current = drawn;

  const draw = () => {
    const { screen, end, status, error, is_over } = session.current;
    session.current.timer = null;
    // The page may have gone while the timer ran.
    if (is_over || !scroller.current)
      return;
    view.current.draw(screen);
    if (stuck.current)
      scroller.current.scrollTop = scroller.current.scrollHeight;
    set_now({ status, error, end, begin: screen.begin, behind: !stuck.current, lines: screen.lines.length });
    after.current();
  };
  const draw_soon = () => {
    if (!session.current.is_over)
      session.current.timer ??= setTimeout(draw, draw_ms);
  };

  // Undone before its elements are gone: an effect is undone a frame later, and would be drawn into meanwhile.
  useLayoutEffect(() => {
    const control = new AbortController();
    const mine = Object.assign(make_session(), { status: 'loading', control });
    session.current = mine;
    stuck.current = true;
    view.current = new TerminalView(place.current);
    view.current.clear();
    let stop = () => {};
    const told = {
      output: (data) => {
        const piece = read_piece(data, utf8_length);
        mine.screen.write(piece.text, piece.offset, piece.newlines);
        mine.end = piece.end;
        draw_soon();
      },
      gap: ({ from, to }) => { mine.screen.gap(from, to); mine.end = to; draw_soon(); },
      reset: (offset) => { mine.screen.clear(offset); mine.end = offset; view.current.clear(); draw_soon(); },
      end: ({ offset }) => { mine.status = 'ended'; mine.end = offset; stop = () => {}; draw_soon(); },
      state: (status) => { if (mine.status !== 'ended') mine.status = status; draw_soon(); },
    };
    const open = (from) => { stop = follow_output(id, attempt, from, told); };
    // A tab that nobody sees gives its connection back: browsers have only six for all tabs together.
    const visibility = () => {
      if (mine.status === 'loading' || mine.status === 'ended')
        return;
      stop();
      stop = () => {};
      if (!document.hidden)
        open(mine.end);
    };
    document.addEventListener('visibilitychange', visibility);
    (async () => {
      let from = 0;
      try {
        const { size } = await read_output(id, { attempt, offset: 0, length: 1 }, control.signal);
        from = Math.max(0, size - tail_bytes);
      } catch (error) {
        if (control.signal.aborted)
          return;
        // The stream begins at the beginning then, and says what is wrong if something is.
        mine.error = error.status === 404 ? null : error;
      }
      if (control.signal.aborted)
        return;
      mine.screen.clear(from);
      mine.end = from;
      mine.status = 'live';
      open(from);
      draw_soon();
    })();
    return () => {
      control.abort();
      mine.is_over = true;
      stop();
      clearTimeout(mine.timer);
      document.removeEventListener('visibilitychange', visibility);
      view.current.unmark();
    };
  }, [id, attempt]);

  const load_earlier = async () => {
    const mine = session.current;
    const to = mine.screen.begin;
    const from = mine.earlier_from_begin ? 0 : Math.max(0, to - earlier_bytes);
    try {
      const pieces = await read_earlier(id, attempt, { from, to, bytes_max: mine.earlier_from_begin ? tail_bytes : earlier_bytes * 3 }, mine.control.signal);
      if (mine.is_over)
        return;
      const styles = new StyleReader();
      const earlier = make_earlier(pieces, { from, to, begin: mine.screen.begin }, { lines_max, chars_max, read_style: (sequence) => styles.read(sequence) });
      if (!earlier)
        return;
      // Before a gap stands the head of the output, however far away that is.
      mine.earlier_from_begin = pieces[0]?.gap !== undefined;
      const height = scroller.current.scrollHeight - scroller.current.scrollTop;
      stuck.current = false;
      mine.screen.prepend(earlier);
      draw();
      scroller.current.scrollTop = scroller.current.scrollHeight - height;
    } catch (error) {
      if (!mine.is_over)
        notify(error.message, { kind: 'failure' });
    }
  };

  const follow_scroll = () => {
    if (!scroller.current)
      return;
    const { scrollTop, clientHeight, scrollHeight } = scroller.current;
    const at_end = scrollTop + clientHeight >= scrollHeight - end_px;
    if (at_end === stuck.current)
      return;
    stuck.current = at_end;
    set_now((before) => ({ ...before, behind: !at_end }));
  };
  const to_end = () => {
    stuck.current = true;
    scroller.current.scrollTop = scroller.current.scrollHeight;
    set_now((before) => ({ ...before, behind: false }));
  };
  const look_at = (number) => { stuck.current = false; view.current.show(number); };
  return { ...now, session, view, load_earlier, follow_scroll, to_end, look_at };
}

/** The search within: what is wanted, what was found, which of that is looked at. */
function useSearch(output) {
  const [wanted, set_wanted] = useState('');
  const [found, set_found] = useState([]);
  const [looked_at, set_looked_at] = useState(0);
  const search = (text = wanted, place = looked_at) => {
    const { session, view } = output.current;
    if (!session.current)
      return [];
    const next = find_all(session.current.screen.lines, text, found_max);
    if (next.length > 0 || found.length > 0)
      set_found(next);
    view.current.mark(next, place);
    return next;
  };
  const step = (by) => {
    const next = search();
    if (next.length === 0)
      return;
    const at = (looked_at + by + next.length) % next.length;
    set_looked_at(at);
    output.current.look_at(next[at].number);
    output.current.view.current.mark(next, at);
  };
  const type = (text) => {
    set_wanted(text);
    const next = search(text, 0);
    // The last one is nearest to what is seen of an output that grows.
    const at = Math.max(0, next.length - 1);
    set_looked_at(at);
    if (next.length === 0)
      return;
    output.current.look_at(next[at].number);
    output.current.view.current.mark(next, at);
  };
  return { wanted, found, looked_at, type, step, again: () => { if (wanted) search(); } };
}

const status_words = { loading: 'loading …', live: 'live', lost: 'not connected …', ended: 'ended' };

function SearchField({ search, output }) {
  const { wanted, found, looked_at, type, step } = search;
  const on_key = (event) => {
    if (event.key === 'Enter') {
      event.preventDefault();
      step(event.shiftKey ? -1 : 1);
    } else if (event.key === 'Escape') {
      type('');
      output.current.to_end();
    }
  };
  const number = found.length === 0 ? 'none' : `${count(Math.min(looked_at, found.length - 1) + 1)} of ${count(found.length)}${found.length >= found_max ? ' or more' : ''}`;
  return html`<div class="terminal-search" role="search" aria-label="Output">
    <input id="output-search" type="search" aria-label="Search the output" placeholder="Search" value=${wanted} onInput=${(event) => type(event.target.value)} onKeyDown=${on_key} />
    <span class="found" role="status">${wanted && number}</span>
    <button type="button" class="button icon-only" aria-label="One before" title="One before" disabled=${found.length === 0} onClick=${() => step(-1)}>↑</button>
    <button type="button" class="button icon-only" aria-label="Next one" title="Next one" disabled=${found.length === 0} onClick=${() => step(1)}>↓</button>
  </div>`;
}

function Earlier({ output, lines }) {
  const [busy, set_busy] = useState(false);
  const is_too_much = lines >= all_lines_max;
  const load = async () => {
    set_busy(true);
    await output.load_earlier();
    set_busy(false);
  };
  return html`<div class="terminal-earlier">${is_too_much ? html`<span>What came before is in the download.</span>`
    : html`<button type="button" class="link-button" disabled=${busy} onClick=${load}>${busy ? 'Loading …' : `Earlier output (${bytes(output.begin)} before this)`}</button>`}</div>`;
}

/** `running`: whether the attempt still runs. */
export function OutputView({ id, attempt, running }) {
  const place = useRef(null);
  const scroller = useRef(null);
  const [wrap, set_wrap] = useState(true);
  const current = useRef(null);
  const search = useSearch(current);
  const output = useOutput(id, attempt, place, scroller, () => search.again());
  current.current = output;
  useKeys([
    { key: '/', does: 'search the output', run: () => document.getElementById('output-search')?.focus() },
    { key: 'w', does: 'wrap long lines of the output, or not', run: () => set_wrap(!wrap) },
    { key: 'e', does: 'go to the end of the output', run: () => output.to_end() },
  ]);
  const is_empty = output.end === 0 && output.status !== 'loading';
  const download = address(`api/v1/tasks/${segment(id)}/output`, { attempt });
  return html`<${Panel} title="Output" kind="terminal-panel" extra=${html`<div class="terminal-tools">
      <span class="terminal-status ${output.status}"><i aria-hidden="true"></i>${output.status === 'live' && !running ? 'ended' : status_words[output.status]}${output.end > 0 ? ` · ${bytes(output.end)}` : ''}</span>
      <${SearchField} search=${search} output=${current} />
      <button type="button" class="button" aria-pressed=${String(wrap)} onClick=${() => set_wrap(!wrap)}>Wrap</button>
      <a class="button" href=${download.href} download=${`${id}-${attempt}.txt`}>Download</a></div>`}>
    ${output.error && html`<p class="panel-body outcome bad" role="alert">The output cannot be read: ${output.error.message}</p>`}
    <div class="terminal-frame">
      <div class="terminal ${wrap ? 'wrap' : ''}" ref=${scroller} tabindex="0" role="region" aria-label="Output of the attempt" onScroll=${output.follow_scroll}>
        ${output.begin > 0 && html`<${Earlier} output=${output} lines=${output.lines} />`}
        ${is_empty && html`<p class="terminal-empty">${running ? 'It has printed nothing yet.' : 'It printed nothing.'}</p>`}
        <div class="terminal-lines" ref=${place}></div>
      </div>
      ${output.behind && html`<button type="button" class="button terminal-to-end" onClick=${output.to_end}>To the end ↓</button>`}
    </div>
  <//>`;
}
