// The map of the actors as SVG: a node for each, which is a link that opens its panel, and a line for what goes between
// two, wider and faster where more does.
import { fill_of, line_width, next_node } from '../core/actor_map.js';
import { warning_of } from '../core/actor_rates.js';
import { count, rate } from '../core/format.js';
import { html, useEffect, useRef, useState } from '../core/html.js';
import { go } from '../core/router.js';

const text_px = 12;
const letters_max = 14;
/** With more lines than that their dashes stand still: moving them all takes more time than it is worth. */
const moving_max = 60;
const cut = (text) => (text.length > letters_max ? `${text.slice(0, letters_max - 1)}…` : text);

/** What a node is called: its channel where it has one, as its column says what it is. */
export const title_of = ({ name, channel }) => channel ?? name;

/** What a node shows beneath its name. */
function under_of(actor, per_s, warning) {
  if (warning)
    return warning;
  const depth = actor.mailbox?.depth ?? 0;
  return actor.mailbox ? `${rate(per_s)}${depth > 0 ? ` · ${count(depth)} wait` : ''}` : 'service';
}

/** The name of a node for screen readers: what can be seen of it, and then what its place says. */
const spoken = (actor, under) => `${cut(title_of(actor))} ${under}, ${actor.kind === 'service' ? 'no actor' : actor.name}`;

/** How fast the dashes of a line move: not at all, or at one of three paces. */
const pace_of = (per_s) => (per_s <= 0 ? '' : per_s < 2 ? 'slow' : per_s < 50 ? 'middling' : 'fast');

/** What a line carries: {there, back} per second. */
const carried = (edge, sent) => ({ there: sent.get(edge.key) ?? 0, back: sent.get(`${edge.to} ${edge.from}`) ?? 0 });

function Line({ edge, sent, is_near, is_far, look }) {
  const { there, back } = carried(edge, sent);
  return html`<g class="actor-line ${pace_of(there + back)} ${is_near ? 'near' : ''} ${is_far ? 'far' : ''}" aria-hidden="true" onMouseEnter=${() => look(edge.key)} onMouseLeave=${() => look(null)}>
    <path class="actor-reach" d=${edge.path} /><path class="actor-track" d=${edge.path} stroke-width=${line_width(there + back)} />
    ${there + back > 0 && html`<path class="actor-flow" d=${edge.path} stroke-width=${Math.max(1.6, line_width(there + back) - 1)} />`}
  </g>`;
}

/** The rates of a line, over all else. */
function Rate({ edge, sent }) {
  const { there, back } = carried(edge, sent);
  const both = [`→ ${rate(there)}`, back > 0 && `← ${rate(back)}`].filter(Boolean);
  const lines = edge.at.is_level ? [both.join('  ')] : both;
  const width = Math.max(...lines.map(({ length }) => length)) * 6.6 + 10;
  const height = lines.length * 14 + 5;
  return html`<g class="actor-rate" aria-hidden="true" transform=${`translate(${edge.at.x},${edge.at.y})`}>
    <rect x=${-width / 2} y=${-height / 2} width=${width} height=${height} rx="4" />
    ${lines.map((text, index) => html`<text key=${index} text-anchor="middle" y=${-height / 2 + 14 + index * 14}>${text}</text>`)}</g>`;
}

function Node({ node, per_s, warning, is_chosen, is_first, is_far, href, on_key, look }) {
  const { actor, width, height } = node;
  const under = under_of(actor, per_s, warning);
  return html`<a class="actor-node ${actor.kind} ${warning ? 'warns' : ''} ${is_far ? 'far' : ''}" href=${href} data-actor=${node.name} tabindex=${is_first ? 0 : -1} transform=${`translate(${node.x},${node.y})`}
    aria-label=${spoken(actor, under)} aria-current=${is_chosen ? 'true' : undefined} onKeyDown=${on_key}
    onFocus=${() => look(node.name)} onBlur=${() => look(null)} onMouseEnter=${() => look(node.name)} onMouseLeave=${() => look(null)}>
    <rect class="actor-box" width=${width} height=${height} rx="7" />
    <text class="actor-name" x="11" y="19" font-size=${text_px + 1}>${cut(title_of(actor))}</text>${' '}
    <text class="actor-under" x="11" y="34" font-size=${text_px - 0.5}>${under}</text>
    ${actor.mailbox && html`<rect class="actor-bar" x="11" y=${height - 6} width=${width - 22} height="2.5" rx="1.25" /><rect class="actor-fill" x="11" y=${height - 6} width=${(width - 22) * fill_of(actor.mailbox.depth)} height="2.5" rx="1.25" />`}
  </a>`;
}

/** `map` as core/actor_map.js makes it; `rates` as core/actor_rates.js; `address_of(name)` opens an actor's panel. */
export function ActorMap({ map, rates, now_ms, chosen, address_of }) {
  const svg = useRef(null);
  // Whose lines are brought out: what is pointed at or has the focus, else what is open.
  const [looked_at, look] = useState(null);
  const [reached, reach] = useState(null);
  useEffect(() => {
    if (chosen)
      svg.current.querySelector(`[data-actor="${CSS.escape(chosen)}"]`)?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [chosen]);
  const line = map.edges.find(({ key }) => key === looked_at);
  const moving = map.edges.filter((edge) => carried(edge, rates.sent).there + carried(edge, rates.sent).back > 0).length;
  const is_shown = (name) => map.nodes.some((node) => node.name === name);
  const centre = line ? null : looked_at ?? (is_shown(chosen) ? chosen : null);
  const touches = ({ from, to, key }) => (line ? key === line.key : from === centre || to === centre);
  const is_singled = Boolean(line || centre);
  const near = new Set(is_singled ? map.edges.filter(touches).flatMap(({ from, to }) => [from, to]) : []);
  const first = map.nodes.find(({ name }) => name === (reached ?? chosen))?.name ?? map.nodes[0]?.name;
  const on_key = (node) => (event) => {
    const to = next_node(map.nodes, node, event.key);
    if (event.key === 'Enter') {
      event.preventDefault();
      go(address_of(node.name));
      return;
    }
    if (!to)
      return;
    event.preventDefault();
    event.stopPropagation();
    reach(to.name);
    svg.current.querySelector(`[data-actor="${CSS.escape(to.name)}"]`).focus();
  };
  return html`<div class="actor-scroll table-scroll" tabindex="0" role="region" aria-label="Map of the actors">
    <svg class=${moving > moving_max ? 'actor-map calm' : 'actor-map'} ref=${svg} width=${map.width} height=${map.height} viewBox=${`0 0 ${map.width} ${map.height}`} role="group" aria-label="Actors and what goes between them">
      ${map.columns.map(({ title, x }) => html`<text key=${title} class="actor-column" x=${x} y="15" aria-hidden="true">${title}</text>`)}
      ${map.edges.map((edge) => html`<${Line} key=${edge.key} edge=${edge} sent=${rates.sent} is_near=${is_singled && touches(edge)} is_far=${is_singled && !touches(edge)} look=${look} />`)}
      ${map.nodes.map((node) => html`<${Node} key=${node.name} node=${node} per_s=${rates.handled.get(node.name)} warning=${warning_of(node.actor, now_ms)} is_chosen=${node.name === chosen} is_first=${node.name === first}
        is_far=${is_singled && node.name !== centre && !near.has(node.name)} href=${address_of(node.name)} on_key=${on_key(node)} look=${look} />`)}
      ${map.edges.filter((edge) => is_singled && touches(edge) && (line || carried(edge, rates.sent).there + carried(edge, rates.sent).back > 0)).map((edge) => html`<${Rate} key=${edge.key} edge=${edge} sent=${rates.sent} />`)}
    </svg></div>`;
}
