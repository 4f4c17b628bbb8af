// The list of tasks: filtered by the query bar, a page at a time, live while nobody reads, with actions on one or many.
import { useChannels } from '../core/channels.js';
import { count } from '../core/format.js';
import { html, useEffect, useRef, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { useNow } from '../core/resource.js';
import { go, link } from '../core/router.js';
import { between } from '../core/task_changes.js';
import { unseen_max, useTaskList } from '../core/task_list.js';
import { filters_of } from '../core/task_query.js';
import { BulkBar } from '../components/bulk_bar.js';
import { Empty, Failure, Loading, PageHead } from '../components/basics.js';
import { Icon } from '../components/icons.js';
import { open_push } from '../components/push_dialog.js';
import { QueryBar } from '../components/query_bar.js';
import { TaskTable } from '../components/task_table.js';

const limits = [50, 100, 200];
/** Who has scrolled further down than this reads. */
const top_px = 160;
/** A task's whole id, as the daemon makes them, and a piece of one. */
const whole_id = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const piece_of_id = /^…?([0-9a-f-]{6,36})$/;
/** Tasks that were in the list lately, by their ids: pieces of ids are looked for among them. */
const seen_max = 1_000;
const pieces_max = 5;
const seen = new Map();
const ended_states = ['finished', 'dead', 'cancelled'];

/** Where the pages that were gone on from begin, by the cursor of the page behind them: "Previous" goes back there. */
const previous_cursors = new Map();

/** The address of the list; members that are as they are anyway stay out. */
const address_of = ({ filters, sort, limit, cursor }) => link(['tasks'], { ...filters, sort, limit: limit === limits[0] ? '' : limit, cursor });

/** Whether rows may move: not under somebody's pointer or keys, nor where they are looked at further down. */
const nobody_reads = (table) => scrollY < top_px && !table.current?.querySelector('tbody')?.matches(':hover, :focus-within')
  && !document.querySelector('[popover]:popover-open, dialog[open]');

function useChosen(items) {
  const [chosen, set_chosen] = useState(() => new Map());
  const [all, choose_all] = useState(false);
  const last = useRef(null);
  const with_ids = (before, ids, yes) => {
    const next = new Map(before);
    for (const task of items)
      if (ids.includes(task.id))
        yes ? next.set(task.id, task) : next.delete(task.id);
    return next;
  };
  const choose = (id, as_range) => {
    const ids = as_range && last.current ? between(items.map((task) => task.id), last.current, id) : [id];
    set_chosen((before) => with_ids(before, ids, !before.has(id)));
    last.current = id;
  };
  return {
    chosen: new Map([...chosen].map(([id, task]) => [id, items.find((one) => one.id === id) ?? task])), all, choose, choose_all,
    choose_page: (yes) => set_chosen((before) => with_ids(before, items.map(({ id }) => id), yes)),
    clear: () => { set_chosen(new Map()); choose_all(false); },
  };
}

/** j, k, x, Enter and "." for the rows; returns the id of the current one. */
function useRowKeys({ items, chosen, all, choose, choose_page, open, clear, table }) {
  const has_chosen = all || chosen.size > 0;
  const [current, set_current] = useState(null);
  const row_of = (id) => table.current?.querySelector(`tr[data-task="${CSS.escape(id)}"]`);
  const last_at = useRef(0);
  const current_at = items.findIndex(({ id }) => id === current);
  const is_there = current_at >= 0;
  if (is_there)
    last_at.current = current_at;
  const move = (step) => {
    if (items.length === 0)
      return false;
    // A row that has left the page since gives its place to the one that stands there now.
    const at = is_there ? current_at + step : current === null ? (step > 0 ? 0 : items.length - 1) : last_at.current;
    const next = items[Math.min(items.length - 1, Math.max(0, at))];
    set_current(next.id);
    // The link of the row has the focus, so that Enter opens it and a screen reader says where one is.
    const place = row_of(next.id)?.querySelector('.task-link');
    place?.focus({ preventScroll: true });
    row_of(next.id)?.scrollIntoView({ block: 'nearest' });
    return true;
  };
  const with_current = (work) => () => (is_there ? work(current) : false);
  useKeys([
    { key: '/', does: 'go to the query bar', run: () => document.getElementById('task-query')?.focus() },
    { key: 'j', does: 'next row', run: () => move(1) },
    { key: 'k', does: 'row before', run: () => move(-1) },
    { key: 'x', does: 'choose the row', run: with_current((id) => choose(id, false)) },
    { key: 'X', does: 'choose from the last one up to the row', run: with_current((id) => choose(id, true)) },
    { key: '*', does: 'choose all rows of the page', run: () => choose_page(true) },
    { key: 'Enter', does: 'open the row', run: with_current((id) => (document.activeElement?.matches('a, button, summary, input') ? false : open(id))) },
    { key: '.', does: 'the actions of the row', run: with_current((id) => row_of(id)?.querySelector('.cell-actions button')?.click()) },
    { key: 'Escape', does: 'choose none', run: () => (has_chosen && !document.querySelector(':popover-open') ? clear() : false) },
  ]);
  return current;
}

function Pager({ view, next, shown }) {
  const before = previous_cursors.get(view.cursor);
  const turn = (cursor) => {
    go(address_of({ ...view, cursor }));
    scrollTo(0, 0);
  };
  const go_on = () => {
    previous_cursors.set(next, view.cursor ?? '');
    turn(next);
  };
  return html`<nav class="pager" aria-label="Pages of tasks">
    <span class="soft">${count(shown)} ${shown === 1 ? 'task' : 'tasks'} on this page</span>
    <label class="choice"><span>Rows</span><select aria-label="Rows of a page" value=${String(view.limit)} onChange=${(event) => go(address_of({ ...view, limit: Number(event.target.value), cursor: '' }))}>
      ${limits.map((limit) => html`<option key=${limit} value=${String(limit)} selected=${limit === view.limit}>${limit}</option>`)}</select></label>
    ${view.cursor && before === undefined && html`<button type="button" class="button" onClick=${() => turn('')}>First page</button>`}
    <button type="button" class="button" disabled=${before === undefined} onClick=${() => turn(before)}>Previous</button>
    <button type="button" class="button" disabled=${!next} onClick=${go_on}>Next</button>
  </nav>`;
}

function remember(items) {
  for (const { id, task_name } of items) {
    seen.delete(id);
    seen.set(id, task_name);
  }
  for (const id of seen.keys()) {
    if (seen.size <= seen_max)
      break;
    seen.delete(id);
  }
}

/** Those of the tasks seen lately whose id begins or ends with what was typed. */
function SeenTasks({ typed }) {
  const piece = piece_of_id.exec(typed?.trim().toLowerCase() ?? '')?.[1];
  const found = piece ? [...seen].filter(([id]) => id.startsWith(piece) || id.endsWith(piece)).slice(-pieces_max) : [];
  return found.length > 0 && html`<p>By its id: ${found.map(([id, name], index) => html`${index > 0 && ', '}<a key=${id} href=${link(['tasks', id])}>${name}</a>`)}</p>`;
}

function Nothing({ filters, clear }) {
  return Object.keys(filters).length > 0
    ? html`<${Empty} title="No task matches."><button type="button" class="link-button" onClick=${clear}>Clear the filters</button> to see them all.<${SeenTasks} typed=${filters.name} /><//>`
    : html`<${Empty} title="There is no task yet."><button type="button" class="link-button" onClick=${() => open_push({})}>Push the first one</button><//>`;
}

export function Tasks({ query }) {
  const { channels } = useChannels();
  const now = useNow();
  const table = useRef(null);
  const [is_live, set_live] = useState(true);
  const filters = filters_of(query);
  const limit = limits.includes(Number(query.limit)) ? Number(query.limit) : limits[0];
  const view = { filters, sort: query.sort ?? '', cursor: query.cursor, limit };
  const may_move = useRef(null);
  const list = useTaskList(view, () => may_move.current());
  useEffect(() => remember(list.items), [list.items]);
  const choice = useChosen(list.items);
  may_move.current = () => is_live && !view.cursor && choice.chosen.size === 0 && nobody_reads(table);

  const open = (id) => go(link(['tasks', id]));
  const apply = (next, options) => {
    const name = next.name?.trim().toLowerCase() ?? '';
    if (whole_id.test(name)) {
      open(name);
      return;
    }
    choice.clear();
    const has_ends = (next.state ?? '').split(',').filter(Boolean).every((state) => ended_states.includes(state));
    go(address_of({ ...view, filters: next, sort: has_ends ? view.sort : view.sort.replace(/-?ended/, ''), cursor: '' }), options);
  };
  const order_by = (sort) => {
    // By their end only tasks can be put in order that have ended.
    const states = (filters.state ?? '').split(',').filter((state) => !sort.endsWith('ended') || ended_states.includes(state)).join(',');
    go(address_of({ ...view, filters: { ...filters, state: states }, sort, cursor: '' }));
  };
  const current = useRowKeys({ items: list.items, ...choice, open, table });
  useEffect(() => choice.clear(), [JSON.stringify(filters)]);
  const show_new = () => { scrollTo(0, 0); list.reload(); };
  const many = `${count(list.unseen)}${list.unseen >= unseen_max ? ' or more' : ''}`;

  return html`<${PageHead} title="Tasks">
      <button type="button" class="button" aria-pressed=${String(is_live)} title="New tasks come in by themselves while nobody reads" onClick=${() => set_live(!is_live)}>Live</button>
      <button type="button" class="button primary" onClick=${() => open_push(filters.channel ? { channel: filters.channel } : {})}><${Icon} name="push" />Push a task</button>
    <//>
    <${QueryBar} filters=${filters} channels=${(channels ?? []).map(({ name }) => name)} apply=${apply} />
    ${list.error && html`<${Failure} error=${list.error} again=${list.reload} />`}
    ${(list.items.length > 0 || !list.error || view.cursor) && html`<section class="panel task-list ${list.loading && list.items.length > 0 ? 'stale' : ''}" aria-label="Tasks" ref=${table}>
      <div class="news" role="status">${list.unseen > 0 && html`<button type="button" class="button" onClick=${show_new}>
        ${filters.state ? `${many} more with such a state: show` : `${many} new ${list.unseen === 1 ? 'task' : 'tasks'}: show`}</button>`}</div>
      ${list.loading && list.items.length === 0 && html`<${Loading} what="the tasks" />`}
      ${!list.loading && !list.error && list.items.length === 0 && html`<${Nothing} filters=${filters} clear=${() => apply({})} />`}
      ${list.items.length > 0 && html`<${TaskTable} items=${list.items} now=${now} arrived=${list.arrived} current=${current} ...${choice}
        sort=${view.sort} order_by=${order_by} open=${open} after=${list.ask} busy=${list.loading} />`}
      ${(list.items.length > 0 || view.cursor) && html`<${Pager} view=${view} next=${list.next} shown=${list.items.length} />`}
    </section>`}
    ${(choice.chosen.size > 0 || choice.all) && html`<${BulkBar} ...${choice} filters=${filters} after=${list.reload}
      can_choose_all=${Boolean(list.next) || Boolean(view.cursor) || choice.all} />`}`;
}
