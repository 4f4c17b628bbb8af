// The actors of the daemon as they work: a map of them with what flows between, or a table, and a panel with all that is
// known of one.
import { request } from '../core/api.js';
import { make_map } from '../core/actor_map.js';
import { look_of, rates_of, warning_of, with_look } from '../core/actor_rates.js';
import { count } from '../core/format.js';
import { html, useEffect, useMemo, useRef, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { useResource } from '../core/resource.js';
import { go, link } from '../core/router.js';
import { ActorMap } from '../components/actor_map.js';
import { ActorPanel } from '../components/actor_panel.js';
import { ActorTable } from '../components/actor_table.js';
import { Empty, Failure, Loading, PageHead } from '../components/basics.js';

const page_max = 1_000;
const beat_ms = 1_000;
/** With thousands of actors, the daemon is asked less often. */
const page_ms = 1_500;
/** Channels that are drawn at once; the filter finds the others. */
const channels_max = 40;
const map_min_px = 940;
/** Border and padding of the panel around the map. */
const around_px = 34;

async function load_all(signal) {
  const all = { items: [], edges: [], pages: 0 };
  let cursor = null;
  do {
    const page = await request('GET', 'api/v1/actors', { query: { limit: page_max, cursor }, signal });
    all.items.push(...page.items);
    all.edges.push(...page.edges);
    all.pages += 1;
    cursor = page.next;
  } while (cursor);
  return { ...all, at_ms: Date.now() };
}

/** All actors, the last answers' rates, and how to ask again. */
function useActors() {
  const [every_ms, set_every] = useState(beat_ms);
  const looks = useRef([]);
  const state = useResource(load_all, [], { every_ms });
  const { data } = state;
  const rates = useMemo(() => {
    if (!data)
      return rates_of([]);
    looks.current = with_look(looks.current, look_of(data, data.at_ms));
    return rates_of(looks.current);
  }, [data]);
  useEffect(() => {
    if (data)
      set_every(data.pages > 1 ? data.pages * page_ms : beat_ms);
  }, [data?.pages]);
  return { ...state, rates };
}

/** How wide the place of an element is, so that the map fills it. */
function useWidth(least_px) {
  const place = useRef(null);
  const [width_px, set_width] = useState(least_px);
  useEffect(() => {
    const resized = new ResizeObserver(([entry]) => set_width(Math.max(least_px, Math.floor(entry.contentRect.width) - around_px)));
    resized.observe(place.current);
    return () => resized.disconnect();
  }, []);
  return { place, width_px };
}

/** Edges that more than one page tells are there once. */
const once = (edges) => [...new Map(edges.map((edge) => [`${edge.from} ${edge.to}`, edge])).values()];

function Summary({ actors, rates, now_ms }) {
  const real = actors.filter(({ kind }) => kind !== 'service');
  const warned = real.filter((actor) => warning_of(actor, now_ms)).length;
  const per_s = [...rates.handled.values()].reduce((sum, one) => sum + one, 0);
  const waiting = real.reduce((sum, { mailbox }) => sum + (mailbox?.depth ?? 0), 0);
  return html`<span class="soft">${count(real.length)} actors, ${count(Math.round(per_s))} messages/s, ${count(waiting)} waiting${warned > 0 && html`, <span class="actor-warning">${count(warned)} with a warning</span>`}</span>`;
}

/** The channels with such a name, those that had the most to do first. */
function channels_of(actors, wanted) {
  const handled = new Map();
  for (const { channel, messages } of actors)
    if (channel?.toLowerCase().includes(wanted.toLowerCase()))
      handled.set(channel, (handled.get(channel) ?? 0) + (messages?.total ?? 0));
  return [...handled.keys()].sort((one, other) => handled.get(other) - handled.get(one) || one.localeCompare(other));
}

export function Actors({ query }) {
  const { data, error, reload, rates } = useActors();
  const { place, width_px } = useWidth(map_min_px);
  const wanted = query.channel ?? '';
  const chosen = query.actor || null;
  const as_table = query.view === 'table';
  const now_ms = data?.at_ms ?? 0;
  const set = (more) => go(link(['actors'], { ...query, ...more }), { replace: true });
  const address_of = (name) => link(['actors'], { ...query, actor: name });
  const edges = useMemo(() => once(data?.edges ?? []), [data]);
  const found = useMemo(() => channels_of(data?.items ?? [], wanted), [data, wanted]);
  const shown = useMemo(() => found.slice(0, channels_max).sort((one, other) => one.localeCompare(other)), [found]);
  const map = useMemo(() => make_map({ actors: data?.items ?? [], edges, channels: shown, width_px }), [data, wanted, width_px]);
  const close = () => {
    if (!chosen)
      return false;
    set({ actor: '' });
    document.querySelector(`[data-actor="${CSS.escape(chosen)}"]`)?.focus({ preventScroll: true });
    return true;
  };
  useKeys([
    { key: '/', does: 'filter the channels', run: () => document.getElementById('actor-channel')?.focus() },
    { key: 'v', does: 'show the actors as a table, or as a map', run: () => set({ view: as_table ? '' : 'table' }) },
  ]);
  const in_table = (data?.items ?? []).filter(({ channel }) => !wanted || (channel !== null && found.includes(channel)));
  return html`<${PageHead} title="Actors" note=${data && html`<${Summary} actors=${data.items} rates=${rates} now_ms=${now_ms} />`}>
      <input id="actor-channel" type="search" placeholder="Filter by channel" aria-label="Filter by channel" value=${wanted} onInput=${(event) => set({ channel: event.target.value })} />
      <button class="button" aria-pressed=${as_table} onClick=${() => set({ view: as_table ? '' : 'table' })}>Show as a table</button>
    <//>
    ${error && html`<${Failure} error=${error} again=${reload} />`}
    ${!data && !error && html`<${Loading} what="the actors" />`}
    <div ref=${place} class=${chosen ? 'actor-place beside-panel' : 'actor-place'}>${data && html`<section class="panel actors" aria-label="Actors">
      ${wanted && found.length === 0 ? html`<${Empty} title="No channel has such a name.">Clear the filter to see them all.<//>`
        : as_table ? html`<${ActorTable} actors=${in_table} rates=${rates} now_ms=${now_ms} sort=${query.sort} set_sort=${(name) => set({ sort: name === 'name' ? '' : name })} chosen=${chosen} address_of=${address_of} />`
          : html`<${ActorMap} map=${map} rates=${rates} now_ms=${now_ms} chosen=${chosen} address_of=${address_of} />
            ${found.length > shown.length && html`<p class="actor-note soft">${count(found.length - shown.length)} quieter channels; filter by name to see them.</p>`}`}
    </section>`}</div>
    ${chosen && data && html`<${ActorPanel} name=${chosen} actor=${data.items.find(({ name }) => name === chosen)} edges=${edges} rates=${rates} now=${now_ms} close=${close} address_of=${address_of} />`}`;
}
