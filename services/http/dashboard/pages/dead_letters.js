// Dead letters by what they died of: one group per way of ending and error, so that what has one cause is retried or
// deleted at once.
import { request, tasks as api } from '../core/api.js';
import { act_if_sure } from '../core/actions.js';
import { useChannels } from '../core/channels.js';
import { ids_of_groups, in_known_order, key_of_group, period_of, periods, question_about, result_of } from '../core/dead_groups.js';
import { count } from '../core/format.js';
import { html, useEffect, useMemo, useRef, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { useEvents } from '../core/live.js';
import { usePaced } from '../core/pace.js';
import { useNow, useResource } from '../core/resource.js';
import { go, link } from '../core/router.js';
import { useRows } from '../core/rows.js';
import { DeadGroup } from '../components/dead_group.js';
import { Empty, Failure, Loading, PageHead } from '../components/basics.js';

/** The daemon reads thousands of outputs for an answer: it is asked at most this often, and takes up to 20 s. */
const rest_ms = 4_000;
const answer_ms = 30_000;
/** What retention deletes comes without an event. */
const refresh_ms = 30_000;
const groups_max = 100;
/** Names that the field of channels offers; others can be typed. */
const offers_max = 200;

/** Whether an event may have changed the groups: a task that died, one that waits again after it had, or one that is gone. */
const concerns = (channel) => ({ kind, data }) => kind === 'reset' || (kind === 'task' && (!channel || data.channel === channel)
  && (data.deleted || data.state === 'dead' || (data.state === 'pending' && data.attempt > 0)));

async function load(channel, period, signal) {
  const ended_from = period.length_ms === null ? null : new Date(Date.now() - period.length_ms).toISOString();
  return request('GET', 'api/v1/tasks:groups', { query: { channel, ended_from, limit: groups_max }, signal, timeout_ms: answer_ms });
}

function Filters({ query, set, period }) {
  const { channels } = useChannels();
  // What is typed stands until it is applied, however often the page is drawn meanwhile.
  const [typed, set_typed] = useState(query.channel ?? '');
  useEffect(() => set_typed(query.channel ?? ''), [query.channel]);
  const type = (event) => {
    set_typed(event.target.value);
    if (event.target.value === '')
      set({ channel: '' });
  };
  return html`<input id="dead-channel" type="search" list="dead-channels" placeholder="All channels" aria-label="Channel" value=${typed}
      onChange=${(event) => set({ channel: event.target.value.trim() })} onInput=${type} />
    <datalist id="dead-channels">${(channels ?? []).slice(0, offers_max).map(({ name }) => html`<option key=${name} value=${name}></option>`)}</datalist>
    <div class="segmented" role="group" aria-label="Died within">${periods.map(({ name, label }) => html`<button key=${name} aria-pressed=${name === period.name} onClick=${() => set({ since: name })}>${label}</button>`)}</div>`;
}

function Summary({ data }) {
  if (!data || data.items.length === 0)
    return null;
  const letters = data.items.reduce((sum, group) => sum + group.count, 0);
  return html`<span class="soft">${count(letters)} ${letters === 1 ? 'task' : 'tasks'} in ${count(data.groups)} ${data.groups === 1 ? 'group' : 'groups'}</span>`;
}

function Notes({ data }) {
  const notes = [
    data.truncated && `Only the newest ${count(data.looked_at)} dead letters were looked at; there are more.`,
    data.groups > data.items.length && `The ${count(data.items.length)} largest of ${count(data.groups)} groups are shown; a channel or a shorter time shows others.`,
    data.unread > 0 && `The output of ${count(data.unread)} could not be read; they stand among those that wrote nothing.`,
  ].filter(Boolean);
  return notes.length > 0 && html`<p class="dead-note soft" role="note">${notes.join(' ')}</p>`;
}

function ChosenBar({ chosen, act_on, clear }) {
  const { all } = ids_of_groups(chosen);
  return html`<div class="dead-chosen" role="region" aria-label="Chosen groups"><strong>${count(chosen.length)} ${chosen.length === 1 ? 'group' : 'groups'}, ${count(all)} ${all === 1 ? 'task' : 'tasks'}</strong>
    <button class="button" onClick=${() => act_on('retry', chosen)}>Retry the chosen</button>
    <button class="button danger" onClick=${() => act_on('delete', chosen)}>Delete the chosen</button>
    <button class="button" onClick=${clear}>Choose none</button></div>`;
}

function Nothing({ is_filtered, clear }) {
  return html`<section class="panel" aria-label="Dead letters">${is_filtered
    ? html`<${Empty} title="No dead letters here."><button class="link-button" onClick=${clear}>Look at all channels and times</button><//>`
    : html`<${Empty} title="No dead letters. All is well.">A task that fails and has no attempt left is kept here, until somebody retries or deletes it.<//>`}</section>`;
}

const toggled = (set, key) => {
  const next = new Set(set);
  if (!next.delete(key))
    next.add(key);
  return next;
};

/** j, k, x, "." and Enter for the groups; returns the key of the current one and the ref of their list. */
function useGroupKeys(groups, { choose, toggle }) {
  const { current, table } = useRows(groups, key_of_group);
  const with_current = (work) => () => (current ? work(current) : false);
  useKeys([
    { key: '/', does: 'go to the channel', run: () => document.getElementById('dead-channel')?.focus() },
    { key: 'x', does: 'choose the group', run: with_current(choose) },
    { key: 'Enter', does: 'open or close the group', run: with_current((key) => (document.activeElement?.matches('a, button, input') ? false : toggle(key))) },
    { key: '.', does: 'go to the actions of the group', run: with_current(() => table.current?.querySelector('.current .dead-actions button')?.focus()) },
  ]);
  return { current, table };
}

/** The groups as they came, in the order they are shown in already while the same is looked at. */
function useKnownOrder(items, view) {
  const shown = useRef({ view: null, keys: [] });
  return useMemo(() => {
    const groups = in_known_order(items ?? [], shown.current.view === view ? shown.current.keys : []);
    shown.current = { view, keys: groups.map(key_of_group) };
    return groups;
  }, [items]);
}

export function DeadLetters({ query }) {
  const now = useNow(1_000);
  const channel = query.channel || undefined;
  const period = period_of(query.since);
  const { data, error, reload } = useResource((signal) => load(channel, period, signal), [channel, period.name], { every_ms: refresh_ms });
  const refresh = usePaced(reload, rest_ms);
  useEvents((batch) => { if (!document.hidden && batch.some(concerns(channel))) refresh(); });
  const [chosen_keys, set_chosen] = useState(new Set());
  const [open_keys, set_open] = useState(new Set());
  const head = useRef(null);
  const groups = useKnownOrder(data?.items, `${channel} ${period.name}`);
  const letters = useMemo(() => groups.reduce((sum, group) => sum + group.count, 0), [data]);
  const chosen = groups.filter((group) => chosen_keys.has(key_of_group(group)));
  const choose = (key) => set_chosen((keys) => toggled(keys, key));
  const toggle = (key) => set_open((keys) => toggled(keys, key));
  const { current, table } = useGroupKeys(groups, { choose, toggle });
  const set = (more) => go(link(['dead-letters'], { ...query, ...more }), { replace: true });
  const act_on = async (verb, meant) => {
    if (!await act_if_sure(question_about(verb, meant), () => api.bulk(verb, { ids: ids_of_groups(meant).ids }), (result) => result_of(verb, result)))
      return;
    set_chosen(new Set());
    await reload();
    // The button that was pressed may be gone with its group.
    if (document.activeElement === document.body)
      head.current?.focus();
  };
  return html`<${PageHead} title="Dead letters" note=${html`<${Summary} data=${data} />`}><${Filters} query=${query} set=${set} period=${period} /><//>
    ${error && html`<${Failure} error=${error} again=${reload} />`}
    ${!data && !error && html`<${Loading} what="the dead letters" />`}
    ${data && groups.length === 0 && !error && html`<${Nothing} is_filtered=${Boolean(channel || period.name)} clear=${() => set({ channel: '', since: '' })} />`}
    ${groups.length > 0 && html`<section class="panel dead-letters" aria-label="Groups of dead letters" tabindex="-1" ref=${head}>
      ${chosen.length > 0 && html`<${ChosenBar} chosen=${chosen} act_on=${act_on} clear=${() => set_chosen(new Set())} />`}
      <${Notes} data=${data} />
      <ul ref=${table}>${groups.map((group) => { const key = key_of_group(group); return html`<${DeadGroup} key=${key} group=${group} share=${group.count / letters} now=${now}
        is_open=${open_keys.has(key)} is_current=${key === current} is_chosen=${chosen_keys.has(key)} toggle=${() => toggle(key)} choose=${() => choose(key)} act_on=${(verb) => act_on(verb, [group])} />`; })}</ul>
    </section>`}`;
}
