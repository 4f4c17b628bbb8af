// How things are and how they went: the figures of now, what needs somebody, plots, and the busiest channels.
import { request } from '../core/api.js';
import { is_paused, reload_channels, useChannels } from '../core/channels.js';
import { count, duration, rate, short_count } from '../core/format.js';
import { html, useMemo } from '../core/html.js';
import { find_problems } from '../core/problems.js';
import { useResource } from '../core/resource.js';
import { go, link } from '../core/router.js';
import { load_speeds, load_statistics, spans } from '../core/statistics.js';
import { ChannelState, Empty, Failure, Loading, PageHead, Panel } from '../components/basics.js';
import { Plot } from '../components/plot.js';
import { open_push } from '../components/push_dialog.js';
import { Sparkline } from '../components/sparkline.js';
import { switch_channel } from './channels.js';

const refresh_ms = 5_000;
const problems_max = 6;
const busiest_max = 8;

const percent = (share) => (share === null || share === undefined ? '–' : `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`);
const percent_of_axis = (share) => `${Math.round(share * 100)} %`;

function Problems({ daemon, channels, speeds }) {
  const problems = find_problems(daemon, channels, speeds);
  if (problems.length === 0)
    return null;
  const shown = problems.slice(0, problems_max);
  return html`<section class="banner problems" aria-label="What needs attention">
    <ul>${shown.map(({ kind, text, channel: name }) => {
      const channel = channels?.find((one) => one.name === name);
      return html`<li key=${`${kind} ${name ?? text}`}>${text}
        ${channel && is_paused(channel) && html` <button class="link-button" onClick=${() => switch_channel(channel)}>Resume ${name}</button>`}
        ${channel && !is_paused(channel) && html` <a href=${link(['tasks'], { channel: name, state: 'pending' })}>See what waits in ${name}</a>`}</li>`;
    })}</ul>
    ${problems.length > shown.length && html`<p class="soft">and ${count(problems.length - shown.length)} more</p>`}
  </section>`;
}

/** What a span of time is called of which there is an end so far: `words`, or since the start where that was later. */
const span_words = (daemon, span_s, words) => (daemon && daemon.uptime_s < span_s ? `since the start, ${duration(daemon.uptime_s)} ago` : words);
const hour_s = 3_600;
const recent_s = 300;

const Tile = ({ name, value, note, href, bad }) => html`<a class="tile ${bad ? 'bad' : ''}" href=${href}>
  <span class="tile-name">${name}</span><span class="tile-value">${value}</span><span class="tile-note">${note}</span></a>`;

function Tiles({ channels, statistics, speeds, daemon }) {
  const sum = (name) => channels.reduce((total, { counts }) => total + counts[name], 0);
  const slots = channels.reduce((total, { worker }) => total + worker, 0);
  const limit = daemon?.running_max ? Math.min(slots, daemon.running_max) : slots;
  const oldest_s = Math.max(0, ...[...(speeds?.values() ?? [])].map(({ oldest_wait_s }) => oldest_wait_s ?? 0));
  const hour = statistics?.totals.hour;
  const recent = statistics?.totals.recent;
  return html`<div class="tiles">
    <${Tile} name="Running" value=${count(sum('running'))} note=${`of ${count(limit)} workers`} href=${link(['tasks'], { state: 'running' })} />
    <${Tile} name="Pending" value=${short_count(sum('pending'))} note=${sum('delayed') ? `and ${short_count(sum('delayed'))} delayed` : 'none delayed'} href=${link(['tasks'], { state: 'pending' })} />
    <${Tile} name="Oldest wait" value=${oldest_s > 0 ? duration(oldest_s) : '–'} note="of what may run now" href=${link(['channels'], { sort: 'pending' })} />
    <${Tile} name="Throughput" value=${recent?.length_s ? rate(recent.finished / recent.length_s) : '–'} note=${`finished, ${span_words(daemon, recent_s, 'last 5 minutes')}`} href=${link(['tasks'], { state: 'finished' })} />
    <${Tile} name="Dead letters" value=${short_count(sum('dead_letters'))} note=${hour ? `${short_count(hour.dead)} ${span_words(daemon, hour_s, 'in the last hour')}, ${percent(hour.failure_share)} of what ended` : ''} bad=${sum('dead_letters') > 0} href=${link(['dead-letters'])} />
    <${Tile} name="Run time, median" value=${duration(hour?.run_p50_s)} note=${`p95 ${duration(hour?.run_p95_s)}, ${span_words(daemon, hour_s, 'last hour')}`} href=${link(['workers'])} />
  </div>`;
}

function Plots({ statistics }) {
  const { at_ms, wait_s, run_s } = statistics;
  const percentiles = ({ p50, p95, p99 }) => [
    { label: 'p50', colour: 'running', values: p50 },
    { label: 'p95', colour: 'pending', values: p95 },
    { label: 'p99', colour: 'dead', values: p99, dash: [4, 3] },
  ];
  const plots = useMemo(() => [
    { title: 'Pushed and finished', format: rate, series: [
      { label: 'pushed', colour: 'running', values: statistics.pushed_per_s },
      { label: 'finished', colour: 'finished', values: statistics.finished_per_s }] },
    { title: 'In line', format: short_count, counts: 'things', series: [{ label: 'pending', colour: 'pending', values: statistics.pending }] },
    { title: 'Running', format: short_count, counts: 'things', series: [
      { label: 'running', colour: 'running', values: statistics.running },
      { label: 'workers', colour: 'cancelled', values: statistics.workers, dash: [4, 3] }] },
    { title: 'Failures', format: percent_of_axis, series: [{ label: 'dead, share of what ended', colour: 'dead', values: statistics.failure_share }] },
    { title: 'Wait before the first start', format: duration, counts: 'seconds', series: percentiles(wait_s) },
    { title: 'Run time', format: duration, counts: 'seconds', series: percentiles(run_s) },
  ], [statistics]);
  return html`<div class="plots">${plots.map(({ title, format, series, counts }) => html`<${Panel} key=${title} title=${title}>
    <${Plot} title=${title} at_ms=${at_ms} span_s=${statistics.span_s} series=${series} format=${format} counts=${counts} /><//>`)}</div>`;
}

function Busiest({ channels, speeds }) {
  const busy = channels.filter(({ count: alive }) => alive > 0).sort((one, other) => other.count - one.count).slice(0, busiest_max);
  return html`<${Panel} title="Busiest channels" extra=${html`<a href=${link(['channels'])}>All ${count(channels.length)} channels</a>`}>
    ${busy.length === 0
      ? html`<${Empty} title="Nothing waits, nothing runs."><button class="button primary" onClick=${() => open_push()}>Push a task</button><//>`
      : html`<div class="table-scroll" tabindex="0" role="region" aria-label="Table of the busiest channels"><table>
        <thead><tr><th scope="col">Channel</th><th scope="col">State</th><th scope="col" class="number">Running</th><th scope="col" class="number">Pending</th><th scope="col" class="number">Oldest wait</th><th scope="col" class="number">ETA</th><th scope="col">Last hour</th></tr></thead>
        <tbody>${busy.map((channel) => { const speed = speeds?.get(channel.name); return html`<tr key=${channel.name}>
          <td><a href=${link(['tasks'], { channel: channel.name })}>${channel.name}</a></td><td><${ChannelState} channel=${channel} /></td>
          <td class="number">${count(channel.counts.running)} of ${count(channel.worker)}</td><td class="number">${short_count(channel.counts.pending)}</td>
          <td class="number">${channel.counts.pending > 0 ? duration(speed?.oldest_wait_s) : '–'}</td><td class="number">${channel.counts.pending > 0 ? duration(speed?.eta_s) : '–'}</td>
          <td><${Sparkline} values=${speed?.finished} label=${`Tasks finished in ${channel.name}, minute by minute over the last hour`} /></td></tr>`; })}</tbody>
      </table></div>`}
  <//>`;
}

function DaemonNote({ daemon }) {
  if (!daemon)
    return null;
  return html`<span class="soft">version ${daemon.version}, up ${duration(daemon.uptime_s)}, process ${daemon.pid}</span>`;
}

export function Overview({ query }) {
  const { channels, error } = useChannels();
  const span = spans.some(({ name }) => name === query.span) ? query.span : spans[0].name;
  const daemon = useResource((signal) => request('GET', 'api/v1/daemon', { signal }), [], { every_ms: refresh_ms });
  const statistics = useResource((signal) => load_statistics(span, signal), [span], { every_ms: refresh_ms });
  const speeds = useResource(load_speeds, [], { every_ms: refresh_ms });
  const failure = error ?? statistics.error ?? daemon.error ?? speeds.error;
  const again = () => {
    if (error)
      reload_channels();
    for (const part of [statistics, daemon, speeds])
      if (part.error)
        part.reload();
  };
  return html`<${PageHead} title="Overview" note=${html`<${DaemonNote} daemon=${daemon.data} />`}>
      <div class="segmented" role="group" aria-label="Time shown">${spans.map(({ name, label }) => html`<button key=${name} aria-pressed=${name === span}
        onClick=${() => go(link([], { ...query, span: name === spans[0].name ? '' : name }), { replace: true })}>${label}</button>`)}</div>
      <button class="button primary" onClick=${() => open_push()}>Push a task</button>
    <//>
    ${failure && html`<${Failure} error=${failure} again=${again} />`}
    <${Problems} daemon=${daemon.data} channels=${channels} speeds=${speeds.data} />
    ${channels ? html`<${Tiles} channels=${channels} statistics=${statistics.data} speeds=${speeds.data} daemon=${daemon.data} />` : !failure && html`<${Loading} what="the channels" />`}
    ${statistics.data ? html`<${Plots} statistics=${statistics.data} />` : !failure && html`<${Loading} what="the plots" />`}
    ${statistics.data && daemon.data?.uptime_s < statistics.data.span_s && html`<p class="soft plots-note">Plots begin at the daemon's start, ${duration(daemon.data.uptime_s)} ago.</p>`}
    ${channels && html`<${Busiest} channels=${channels} speeds=${speeds.data} />`}`;
}
