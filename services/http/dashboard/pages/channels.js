// All channels in one table: what waits and runs in each, how fast it goes, and its switches.
import { channels as api } from '../core/api.js';
import { act, act_if_sure } from '../core/actions.js';
import { is_paused, reload_channels, useChannels } from '../core/channels.js';
import { count, duration, rate, short_count } from '../core/format.js';
import { html, useMemo, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { useResource } from '../core/resource.js';
import { go, link } from '../core/router.js';
import { load_speeds } from '../core/statistics.js';
import { ChannelDialog } from '../components/channel_dialog.js';
import { ChannelState, Empty, Failure, IconButton, Loading, Menu, PageHead } from '../components/basics.js';
import { open_push } from '../components/push_dialog.js';
import { Sparkline } from '../components/sparkline.js';
import { Stepper } from '../components/stepper.js';

/** Rates and waits are asked for every so often; counts come with the stream of events. Milliseconds. */
const rates_ms = 5_000;
/** Rows that are drawn at once; the filter finds the others. */
const rows_max = 300;

/** Ways to put the table in order: what a column's head does. */
const orders = {
  name: (one, other) => one.name.localeCompare(other.name),
  running: (one, other) => other.counts.running - one.counts.running,
  pending: (one, other) => other.counts.pending - one.counts.pending,
  delayed: (one, other) => other.counts.delayed - one.counts.delayed,
  dead: (one, other) => other.counts.dead_letters - one.counts.dead_letters,
};

/** Pauses or resumes a channel. */
export const switch_channel = (channel) => (is_paused(channel)
  ? act(() => api.resume(channel.name), `${channel.name} goes on.`)
  : act(() => api.pause(channel.name), `${channel.name} is paused: what runs goes on, nothing more is started.`)).then(reload_channels);

const drain_channel = (channel) => act(() => api.drain(channel.name), ({ counts }) => (counts.running > 0
  ? `${channel.name} drains: nothing more is started, ${counts.running} still run.`
  : `${channel.name} is drained.`)).then(reload_channels);

const set_workers = (channel, worker) => act(() => api.change(channel.name, { worker }), `${channel.name} has ${worker} workers now.`).then(reload_channels);

/** Where nothing was in it when it was asked, nothing is cancelled: the daemon refuses when something has come since. */
const remove_channel = (channel) => act_if_sure({
  title: `Remove ${channel.name}?`,
  text: channel.count > 0
    ? `${count(channel.count)} of its tasks have not ended; they are cancelled. The channel and its settings are gone for good.`
    : 'The channel and its settings are gone for good.',
  verb: 'Remove the channel',
}, () => api.remove(channel.name, channel.count > 0), `${channel.name} is removed.`).then(reload_channels);

function Filled({ channel }) {
  const { running, pending, delayed } = channel.counts;
  const all = running + pending + delayed;
  const part = (number) => ({ width: all ? `${(number / all) * 100}%` : '0' });
  return html`<div class="bar" role="img" aria-label=${`${running} running, ${pending} pending, ${delayed} delayed`}>
    <span class="fill-running" style=${part(running)}></span><span class="fill-pending" style=${part(pending)}></span><span class="fill-delayed" style=${part(delayed)}></span>
  </div>`;
}

function Row({ channel, speed, edit }) {
  const { counts } = channel;
  const tasks_in = (state) => link(['tasks'], { channel: channel.name, state });
  const paused = is_paused(channel);
  // Roles, as on narrow screens the rows are no rows of a table for CSS.
  return html`<tr role="row">
    <td role="cell" class="column-name"><a class="channel-name" href=${link(['tasks'], { channel: channel.name })}>${channel.name}</a></td>
    <td role="cell" class="column-state"><${ChannelState} channel=${channel} />${channel.error && html` <span class="soft">${channel.error}</span>`}</td>
    <td role="cell" class="column-workers"><${Stepper} value=${channel.worker} label=${`Workers of ${channel.name}`} change=${(worker) => set_workers(channel, worker)} /></td>
    <td role="cell" class="number" data-label="running"><a href=${tasks_in('running')}>${count(counts.running)}</a></td>
    <td role="cell" class="number" data-label="pending"><a href=${tasks_in('pending')} title=${count(counts.pending)}>${short_count(counts.pending)}</a></td>
    <td role="cell" class="number" data-label="delayed"><a href=${tasks_in('delayed')}>${short_count(counts.delayed)}</a></td>
    <td role="cell" class="number" data-label="dead"><a href=${link(['dead-letters'], { channel: channel.name })}>${short_count(counts.dead_letters)}</a></td>
    <td role="cell" class="column-share"><${Filled} channel=${channel} /></td>
    <td role="cell" class="number" data-label="oldest wait">${counts.pending > 0 ? duration(speed?.oldest_wait_s) : '–'}</td>
    <td role="cell" class="number" data-label="ETA" title="When what waits will have been started, at the pace of the last minutes">${counts.pending > 0 ? duration(speed?.eta_s) : '–'}</td>
    <td role="cell" class="column-speed" data-label="ended"><div class="speed"><span class="number">${rate(speed?.ended_per_s)}</span>
      <${Sparkline} values=${speed?.finished} label=${`Tasks finished in ${channel.name}, minute by minute over the last hour`} /></div></td>
    <td role="cell" class="column-actions"><div class="cell-actions">
      <${IconButton} icon=${paused ? 'resume' : 'pause'} label=${paused ? `Resume ${channel.name}` : `Pause ${channel.name}`} onClick=${() => switch_channel(channel)} />
      <${Menu} label=${`More for ${channel.name}`} items=${[
        { label: 'Push a task here …', run: () => open_push({ channel: channel.name }) },
        { label: 'Drain', run: () => drain_channel(channel) },
        { label: 'Settings …', run: () => edit(channel) },
        { label: 'Remove …', danger: true, run: () => remove_channel(channel) },
      ]} />
    </div></td>
  </tr>`;
}

function Sorter({ name, order, children }) {
  return html`<button class="sorter" onClick=${() => go(link(['channels'], { ...order.query, sort: name === 'name' ? '' : name }), { replace: true })}>${children}${order.name === name ? ' ↓' : ''}</button>`;
}

export function Channels({ query }) {
  const { channels, error } = useChannels();
  const speeds = useResource(load_speeds, [], { every_ms: rates_ms });
  // The channel whose settings are open; {} makes a new one.
  const [edited, edit] = useState(null);
  const wanted = query.filter ?? '';
  const order_name = Object.hasOwn(orders, query.sort ?? '') ? query.sort : 'name';
  const order = { name: order_name, query };
  const found = useMemo(() => (channels ?? []).filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase())).sort(orders[order_name]),
    [channels, wanted, order_name]);
  useKeys([
    { key: '/', does: 'filter the channels', run: () => document.getElementById('channel-filter')?.focus() },
    { key: 'm', does: 'make a channel', run: () => edit({}) },
  ]);
  const head = (name, text) => html`<th scope="col" role="columnheader" class=${name === 'name' ? '' : 'number'} aria-sort=${order_name === name ? (name === 'name' ? 'ascending' : 'descending') : undefined}>
    <${Sorter} name=${name} order=${order}>${text}<//></th>`;
  return html`<${PageHead} title="Channels">
      <input id="channel-filter" type="search" placeholder="Filter by name" aria-label="Filter by name" value=${wanted}
        onInput=${(event) => go(link(['channels'], { ...query, filter: event.target.value }), { replace: true })} />
      <button class="button" onClick=${() => edit({})}>Make a channel</button>
    <//>
    ${error && html`<${Failure} error=${error} again=${reload_channels} />`}
    ${!channels && !error && html`<${Loading} what="the channels" />`}
    ${channels && html`<section class="panel" aria-label="Channels">
      ${found.length === 0
        ? html`<${Empty} title=${wanted ? 'No channel has such a name.' : 'There is no channel yet.'}>${wanted ? 'Clear the filter to see them all.' : 'Make one, then push a task to it.'}<//>`
        : html`<div class="table-scroll" tabindex="0" role="region" aria-label="Table of channels"><table class="channel-table" role="table">
          <thead role="rowgroup"><tr role="row">${head('name', 'Channel')}<th scope="col" role="columnheader">State</th><th scope="col" role="columnheader">Workers</th>${head('running', 'Running')}${head('pending', 'Pending')}${head('delayed', 'Delayed')}${head('dead', 'Dead')}
            <th scope="col" role="columnheader">Share</th><th scope="col" role="columnheader" class="number">Oldest wait</th><th scope="col" role="columnheader" class="number">ETA</th><th scope="col" role="columnheader" class="number" title="Tasks that ended, finished or dead: now, and over the last hour">Ended</th><th scope="col" role="columnheader"><span class="for-screen-readers">Actions</span></th></tr></thead>
          <tbody role="rowgroup">${found.slice(0, rows_max).map((channel) => html`<${Row} key=${channel.name} channel=${channel} speed=${speeds.data?.get(channel.name)} edit=${edit} />`)}</tbody>
        </table></div>`}
      ${found.length > rows_max && html`<p class="panel-body soft">${count(found.length - rows_max)} more; filter by name to see them.</p>`}
    </section>`}
    ${edited && html`<${ChannelDialog} channel=${edited.name ? edited : null} close=${() => edit(null)} />`}`;
}
