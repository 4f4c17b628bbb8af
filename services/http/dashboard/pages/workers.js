// Workers by time: what every worker of every channel ran over the last minutes, as bars that move with now, or as a
// table of the same runs.
import { useChannels, reload_channels } from '../core/channels.js';
import { count, duration } from '../core/format.js';
import { useFrames } from '../core/frames.js';
import { html, useMemo, useRef, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { assign_lanes, lane_height } from '../core/lanes.js';
import { go, link } from '../core/router.js';
import { useRuns } from '../core/run_feed.js';
import { busy_share, kinds, parse_span, runs_max, spans } from '../core/runs.js';
import { Empty, Failure, Loading, PageHead, workers_of } from '../components/basics.js';
import { open_push } from '../components/push_dialog.js';
import { paint_axis, window_of } from '../components/run_canvas.js';
import { RunField } from '../components/run_field.js';
import { RunTable } from '../components/run_table.js';

const span_default = '5m';
/** Channels that are drawn at once; the filter finds the others. */
const channels_max = 40;
/** With more channels than that, those in which nothing ran are shown as a line each. */
const roomy_channels = 8;
const axis_px = 24;
/** Lanes in which nothing ran are lower. */
const idle_field = { field_px: 48, lane_max_px: 10 };

/** Channels that somebody has closed or opened; kept while the page is left for a task. */
const folded = new Map();

function Axis({ span_ms, now_ms }) {
  const canvas = useRef(null);
  useFrames(() => {
    const width_px = canvas.current?.parentElement.clientWidth ?? 0;
    if (width_px > 0)
      paint_axis(canvas.current, window_of(now_ms(), span_ms, width_px), width_px, axis_px);
  });
  return html`<div class="run-axis" aria-hidden="true"><span></span><div><canvas ref=${canvas} style=${{ height: `${axis_px}px` }}></canvas></div></div>`;
}

const Legend = () => html`<ul class="run-legend" aria-label="What the bars mean">${kinds.map((kind) => html`<li key=${kind}>
  <i class="run-swatch ${kind}" aria-hidden="true"></i>${kind === 'retried' ? 'failed, tried again' : kind}</li>`)}</ul>`;

/** "2 running, 30 finished, 1 dead" */
function tally(runs) {
  const parts = kinds.map((kind) => [kind, runs.filter((run) => run.kind === kind).length]).filter(([, number]) => number > 0);
  return parts.map(([kind, number]) => `${count(number)} ${kind}`).join(', ') || 'no runs';
}

function Share({ share }) {
  if (share === null)
    return null;
  return html`<span title="How much of the time its workers had something to run">${share > 0 && share < 0.01 ? '< 1' : Math.round(share * 100)} % busy</span>`;
}

/** One channel's name, figures and field. */
function Lanes({ channel, runs, span_ms, span_label, now_ms, cut_ms, is_folded, fold }) {
  const lanes = assign_lanes(runs, channel.worker);
  const { height_px: lane_px, drawn } = lane_height(lanes, runs.length === 0 ? idle_field : {});
  const until_ms = now_ms();
  const share = cut_ms === null ? busy_share(runs, channel.worker, until_ms - span_ms, until_ms) : null;
  return html`<section class="run-channel" aria-label=${`Channel ${channel.name}`}>
    <header>
      <button class="plain run-fold" aria-expanded=${!is_folded} aria-label=${`Lanes of ${channel.name}`} onClick=${fold}><span aria-hidden="true">${is_folded ? '▸' : '▾'}</span></button>
      <div>
        <a class="channel-name" href=${link(['tasks'], { channel: channel.name })}>${channel.name}</a>
        <p class="soft">${workers_of(channel)}</p>
        ${!is_folded && html`<p class="soft run-figures"><${Share} share=${share} />${channel.counts.pending > 0 && html`<span class="run-waits">${count(channel.counts.pending)} waiting</span>`}</p>`}
      </div>
    </header>
    ${is_folded ? html`<p class="soft run-folded">${tally(runs)}</p>`
      : lanes === 0 ? html`<p class="soft run-folded">It has no workers.</p>`
        : html`<div class="run-lanes"><${RunField} runs=${runs} lanes=${drawn} lane_px=${lane_px} span_ms=${span_ms} now_ms=${now_ms} cut_ms=${cut_ms} summary=${`${channel.name}, last ${span_label}: ${tally(runs)}`} />
          ${lanes > drawn && html`<p class="soft">and ${count(lanes - drawn)} more workers</p>`}</div>`}
  </section>`;
}

/** Shares of time are reckoned anew this often where nothing happens, milliseconds. */
const share_ms = 5_000;
const no_runs = [];

function ChannelRow({ channel, runs = no_runs, span_ms, span_label, now_ms, cut_ms, folds_idle }) {
  const [folded_now, set_folded] = useState(folded.get(channel.name));
  const is_folded = folded_now ?? (folds_idle && runs.length === 0);
  const fold = () => {
    folded.set(channel.name, !is_folded);
    set_folded(!is_folded);
  };
  // Where nothing of it has changed, a row is not drawn anew: most events concern a few channels.
  return useMemo(() => html`<${Lanes} channel=${channel} runs=${runs} span_ms=${span_ms} span_label=${span_label} now_ms=${now_ms} cut_ms=${cut_ms} is_folded=${is_folded} fold=${fold} />`,
    [channel, runs, span_ms, now_ms, cut_ms, is_folded, Math.floor(now_ms() / share_ms)]);
}

/** Channels with runs first, each part by name. */
function in_order(channels, runs, wanted) {
  const found = channels.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
  return found.sort((one, other) => runs.has(other.name) - runs.has(one.name) || one.name.localeCompare(other.name));
}

const clock = (at_ms) => new Date(at_ms).toLocaleTimeString('en-GB');

function Cut({ book }) {
  if (book?.cut_ms === null || book?.cut_ms === undefined)
    return null;
  return html`<p class="run-note" role="note">More ran than is drawn: the newest ${count(runs_max)} runs at most, complete since ${clock(book.cut_ms)}. Look at a shorter time or one channel to see more.</p>`;
}

const Spans = ({ span, query }) => html`<div class="segmented" role="group" aria-label="Time shown">${spans.map(({ name, label }) => html`<button key=${name}
  aria-pressed=${name === span} onClick=${() => go(link(['workers'], { ...query, span: name === span_default ? '' : name }), { replace: true })}>${label}</button>`)}</div>`;

export function Workers({ query }) {
  const { channels, error: channels_error } = useChannels();
  const span = parse_span(query.span) ? query.span : span_default;
  const span_ms = parse_span(span);
  const wanted = query.channel ?? '';
  const as_table = query.view === 'table';
  const is_exact = channels?.some(({ name }) => name === wanted);
  const { book, now_ms, loaded, error, reload } = useRuns(span_ms, is_exact ? wanted : undefined);
  book?.prune(now_ms() - span_ms);
  const version = book?.version ?? -1;
  const runs = useMemo(() => book?.by_channel() ?? new Map(), [book, version]);
  const found = useMemo(() => in_order(channels ?? [], runs, wanted), [channels, runs, wanted]);
  const set = (more) => go(link(['workers'], { ...query, ...more }), { replace: true });
  useKeys([
    { key: '/', does: 'filter the channels', run: () => document.getElementById('worker-channel')?.focus() },
    { key: 'v', does: 'show the runs as a table, or as bars', run: () => set({ view: as_table ? '' : 'table' }) },
    ...spans.map(({ name, label }, index) => ({ key: String(index + 1), does: `show the last ${label}`, run: () => set({ span: name === span_default ? '' : name }) })),
  ]);
  const shown = found.slice(0, channels_max);
  const failure = channels_error ?? error;
  const again = () => { reload_channels(); reload(); };
  return html`<${PageHead} title="Workers">
      <input id="worker-channel" type="search" placeholder="Filter by channel" aria-label="Filter by channel" value=${wanted} onInput=${(event) => set({ channel: event.target.value })} />
      <${Spans} span=${span} query=${query} />
      <button class="button" aria-pressed=${as_table} onClick=${() => set({ view: as_table ? '' : 'table' })}>Show as a table</button>
    <//>
    ${failure && html`<${Failure} error=${failure} again=${again} />`}
    ${!(channels && loaded) && !failure && html`<${Loading} what="what ran" />`}
    ${channels && loaded && html`<section class="panel runs" aria-label="Runs">
      <div class="run-head"><${Legend} /><${Cut} book=${book} /></div>
      ${found.length === 0 ? html`<${Empty} title=${wanted ? 'No channel has such a name.' : 'There is no channel yet.'}>${wanted ? 'Clear the filter to see them all.' : 'Make one, then push a task to it.'}<//>`
        : as_table ? html`<${RunTable} runs=${found.flatMap(({ name }) => runs.get(name) ?? [])} now_ms=${now_ms} />`
          : html`<${Axis} span_ms=${span_ms} now_ms=${now_ms} />
            ${shown.map((channel) => html`<${ChannelRow} key=${channel.name} channel=${channel} runs=${runs.get(channel.name)} span_ms=${span_ms} span_label=${duration(span_ms / 1000)}
              now_ms=${now_ms} cut_ms=${book.cut_ms} folds_idle=${found.length > roomy_channels} />`)}
            ${found.length > shown.length && html`<p class="run-note soft">${count(found.length - shown.length)} more channels; filter by name to see them.</p>`}
            <p class="for-screen-readers" id="run-keys">Arrow keys move from run to run, Enter opens the task.</p>`}
    </section>
    ${found.length > 0 && runs.size === 0 && html`<p class="soft run-hint">Nothing ran in this time. <button class="link-button" onClick=${() => open_push()}>Push a task</button> and watch it here.</p>`}`}`;
}
