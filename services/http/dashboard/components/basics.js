// Small things that many pages show: states, outcomes, times, failures, emptiness, menus, dialogs.
import { html, useEffect, useId, useLayoutEffect, useRef } from '../core/html.js';
import { duration, from_now, moment, outcome } from '../core/format.js';
import { link } from '../core/router.js';
import { Icon } from './icons.js';

const glyphs = { pending: '◌', delayed: '◷', running: '▶', finished: '✓', dead: '✕', cancelled: '⊘',
  open: '●', paused: '‖', draining: '‖', drained: '‖', failed: '✕' };

/** A state of a task or a channel: a word, and a glyph and a colour that only repeat it. */
export const State = ({ state }) => html`<span class="state ${state}"><span aria-hidden="true">${glyphs[state] ?? '•'}</span>${state}</span>`;

const still_run = (number) => (number === 1 ? '1 still runs' : `${number.toLocaleString('en-US')} still run`);
const channel_words = ({ state, worker, counts }) => (state === 'draining' ? `paused, ${still_run(counts.running)}` : state === 'drained' ? 'paused, nothing runs'
  : state === 'open' && worker === 0 ? 'no workers' : state);

/** The state of a channel, with what its numbers say about it. */
export const ChannelState = ({ channel }) => {
  const words = channel_words(channel);
  const kind = words === 'no workers' ? 'paused' : channel.state;
  return html`<span class="state ${kind}"><span aria-hidden="true">${glyphs[kind] ?? '•'}</span>${words}</span>`;
};

/** "2 of 4 workers", or what it is where there are none. */
export const workers_of = ({ counts, worker }) => (worker === 0 ? `${counts.running.toLocaleString('en-US')} running, 0 workers`
  : `${counts.running.toLocaleString('en-US')} of ${worker.toLocaleString('en-US')} ${worker === 1 ? 'worker' : 'workers'}`);

/** How an attempt ended, and the daemon's sentence about it as a title. */
export const Outcome = ({ of }) => html`<span class="outcome ${!of || (of.kind === 'exited' && of.code === 0) ? '' : 'bad'}" title=${of?.error}>${outcome(of)}</span>`;

/** A moment as "3 m ago", in full as a title. */
export const Ago = ({ at, now }) => (at ? html`<time datetime=${at} title=${`${moment(at, now)} (${at})`}>${from_now(at, now)}</time>` : '–');

/** A time of day, in full as a title. */
export const At = ({ at, now }) => (at ? html`<time datetime=${at} title=${at}>${moment(at, now)}</time>` : '–');

/** How long a task ran, or has been running by now. */
export const RunTime = ({ task, now }) => duration(task.state === 'running' && task.started_at ? Math.max(0, (now - Date.parse(task.started_at)) / 1000) : task.duration_s);

/** A link to a task, by its short id: the end of a UUID tells tasks apart. */
export const TaskLink = ({ id }) => html`<a class="task-link" href=${link(['tasks', id])} title=${id}>${short_id(id)}</a>`;
export const short_id = (id) => (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id) ? `…${id.slice(-8)}` : id);

export const ChannelLink = ({ name }) => html`<a href=${link(['tasks'], { channel: name })} title="Tasks of this channel">${name}</a>`;

/** What could not be loaded, with a way to try again. */
export const Failure = ({ error, again }) => html`<div class="banner failure" role="alert">
  <span>${error.message}</span>
  ${again && html`<button class="button" onClick=${again}>Try again</button>`}
</div>`;

/** A list with nothing in it: says what would be here, and what to do. */
export const Empty = ({ title, children }) => html`<div class="empty"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;

/** A place in which something will be, so that nothing jumps when it comes. */
export const Loading = ({ what }) => html`<div class="loading" role="status">Loading ${what} …</div>`;

/** The head of a page: its title, and what can be done. */
export const PageHead = ({ title, children, note }) => {
  // Together with the page itself: whoever sees the one sees the other.
  useLayoutEffect(() => { document.title = `${title} · TaskRunner`; }, [title]);
  return html`<header class="page-head"><h1>${title}</h1>${note}<div class="page-actions">${children}</div></header>`;
};

/** A box with a heading. */
export const Panel = ({ title, children, extra, kind = '' }) => {
  const id = useId();
  return html`<section class="panel ${kind}" aria-labelledby=${id}><header><h2 id=${id}>${title}</h2>${extra}</header>${children}</section>`;
};

/** A button with an icon and no word to see: `label` is its name. */
export const IconButton = ({ icon, label, onClick, disabled, pressed }) => html`<button class="button icon-only" title=${label} aria-label=${label}
  aria-pressed=${pressed} disabled=${disabled} onClick=${onClick}><${Icon} name=${icon} /></button>`;

/** A modal dialog. It is shown for as long as it is drawn; `close` is called by Escape and by the cross. */
export function Dialog({ title, close, children, wide }) {
  const dialog = useRef(null);
  const id = useId();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} class=${wide ? 'wide' : ''} aria-labelledby=${id} onClose=${close}>
    <header class="dialog-head"><h2 id=${id}>${title}</h2><button class="plain" aria-label="Close" onClick=${close}><${Icon} name="close" /></button></header>
    ${children}
  </dialog>`;
}

/**
 * A menu behind a button: [{label, run, danger, disabled}]. It is a popover, which no scrolling table clips; the browser
 * closes it by Escape and by a click elsewhere.
 */
export function Menu({ label, icon = 'more', items, words }) {
  const id = useId();
  const button = useRef(null);
  const menu = useRef(null);
  const place = (event) => {
    if (event.newState !== 'open')
      return;
    const box = button.current.getBoundingClientRect();
    const { style, offsetWidth, offsetHeight } = menu.current;
    const below = box.bottom + 4;
    style.left = `${Math.max(8, Math.min(box.right, innerWidth - 8) - offsetWidth)}px`;
    style.top = `${below + offsetHeight > innerHeight - 8 ? Math.max(8, box.top - 4 - offsetHeight) : below}px`;
    menu.current.querySelector('button:not(:disabled)')?.focus();
  };
  const on_key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step)
      return;
    event.preventDefault();
    const buttons = [...menu.current.querySelectorAll('button:not(:disabled)')];
    const at = buttons.indexOf(document.activeElement);
    buttons[(at + step + buttons.length) % buttons.length]?.focus();
  };
  return html`<button ref=${button} type="button" class="button ${words ? '' : 'icon-only'}" aria-label=${words ? undefined : label} title=${label} popovertarget=${id} aria-haspopup="true">
      ${words}<${Icon} name=${words ? 'down' : icon} /></button>
    <div ref=${menu} id=${id} popover class="menu-items" role="group" aria-label=${label} onToggle=${place} onKeyDown=${on_key}>
      ${items.map((item) => html`<button key=${item.label} type="button" class=${item.danger ? 'danger' : ''} disabled=${item.disabled}
        onClick=${() => { menu.current.hidePopover(); item.run(); }}>${item.label}</button>`)}
    </div>`;
}
