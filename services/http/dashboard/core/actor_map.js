// Where the actors stand on their map, and how the lines between them run: columns from where tasks come in to where they
// end, and a row for each channel. Pure.

const node_size = { width: 118, height: 46 };
const head_px = 30;
const row_px = 60;
const side_px = 2;
/** With many channels what belongs to all of them stands near the top, where the reader begins. */
const centre_max_px = 250;

const columns = ['Sources', 'Entry', 'Router', 'Queues', 'Executors', 'Services'];
const column_of_kind = { gateway: 1, intake: 1, batch: 1, historian: 1, supervisor: 1, router: 2, queue: 3, executor: 4 };
const last_services = ['store', 'launcher'];
/** From top to bottom within a column. */
const order = ['http', 'redis', 'clock', 'daemon', 'gateway', 'intake', 'batch', 'historian', 'supervisor', 'router', 'store', 'launcher'];
const place_in_order = (name) => { const at = order.indexOf(name); return at < 0 ? order.length : at; };

const column_of = ({ kind, name }) => column_of_kind[kind] ?? (last_services.includes(name) ? 5 : 0);

function place_nodes(actors, channels, pitch_px) {
  const rows = new Map(channels.map((name, index) => [name, index]));
  const centre_px = Math.min(centre_max_px, (Math.max(1, channels.length) * row_px) / 2);
  const shared = columns.map(() => []);
  const nodes = [];
  const put = (actor, column, top_px) => nodes.push({ actor, name: actor.name, column, x: side_px + column * pitch_px, y: head_px + top_px, ...node_size });
  for (const actor of actors) {
    const column = column_of(actor);
    if (actor.channel === null)
      shared[column].push(actor);
    else if (rows.has(actor.channel))
      put(actor, column, rows.get(actor.channel) * row_px);
  }
  shared.forEach((some, column) => {
    some.sort((one, other) => place_in_order(one.name) - place_in_order(other.name) || one.name.localeCompare(other.name));
    const top_px = Math.max(0, centre_px - (some.length * row_px) / 2);
    some.forEach((actor, index) => put(actor, column, top_px + index * row_px));
  });
  return nodes.sort((one, other) => one.column - other.column || one.y - other.y);
}

const middle = ({ y, height }) => y + height / 2;

/** The gap between two rows that is nearest to a height, so that lines pass by the nodes rather than behind them. */
const gap_near = (y) => head_px + Math.max(1, Math.round((y - head_px + (row_px - node_size.height) / 2) / row_px)) * row_px - (row_px - node_size.height) / 2;

const bend = ([from_x, from_y], [to_x, to_y]) => {
  const half = (to_x - from_x) / 2;
  return `C${from_x + half},${from_y} ${to_x - half},${to_y} ${to_x},${to_y}`;
};

/** Through these points, level in each: {path, at: the middle}; there a line of more than two points is level. */
function through(points) {
  const [first, second] = points.length > 2 ? points.slice(1) : points;
  const path = points.slice(1).reduce((text, point, index) => `${text} ${bend(points[index], point)}`, `M${points[0].join(',')}`);
  return { path, at: { x: (first[0] + second[0]) / 2, y: (first[1] + second[1]) / 2, is_level: points.length > 2 } };
}

/** A line from one node to one in the same or a later column. */
function line_between(from, to) {
  const [from_y, to_y] = [middle(from), middle(to)];
  if (from.column === to.column) {
    const out = from.x - 14 - Math.min(14, Math.abs(to_y - from_y) / 16);
    return { path: `M${from.x},${from_y} C${out},${from_y} ${out},${to_y} ${to.x},${to_y}`, at: { x: out, y: (from_y + to_y) / 2 } };
  }
  const start = [from.x + from.width, from_y];
  const end = [to.x, to_y];
  if (to.column === from.column + 1)
    return through([start, end]);
  const gap_y = gap_near(from_y + 1);
  const pitch_px = (to.x - from.x) / (to.column - from.column);
  return through([start, [from.x + pitch_px - 6, gap_y], [to.x - pitch_px + to.width + 6, gap_y], end]);
}

/** Both directions between two nodes are one line: {key, from, to, messages, back}, from the earlier column on. */
export function pair_edges(edges, rank) {
  const pairs = new Map();
  for (const { from, to, messages } of edges) {
    if (!rank.has(from) || !rank.has(to) || from === to)
      continue;
    const forth = rank.get(from) < rank.get(to);
    const key = forth ? `${from} ${to}` : `${to} ${from}`;
    const pair = pairs.get(key) ?? { key, from: forth ? from : to, to: forth ? to : from, messages: 0, back: 0 };
    pair[forth ? 'messages' : 'back'] += messages;
    pairs.set(key, pair);
  }
  return [...pairs.values()];
}

/**
 * The map of `actors` and `edges`, with the rows of `channels` (names): {width, height, columns: [{title, x}], nodes:
 * [{name, actor, column, x, y, width, height}], edges: [{key, from, to, messages, back, path, at: where its rates stand}]}.
 */
export function make_map({ actors, edges, channels, width_px }) {
  const pitch_px = (width_px - 2 * side_px - node_size.width) / (columns.length - 1);
  const nodes = place_nodes(actors, channels, pitch_px);
  const by_name = new Map(nodes.map((node) => [node.name, node]));
  const rank = new Map(nodes.map(({ name }, index) => [name, index]));
  const lines = pair_edges(edges, rank).map((pair) => ({ ...pair, ...line_between(by_name.get(pair.from), by_name.get(pair.to)) }));
  const height = Math.max(head_px, ...nodes.map(({ y, height: high }) => y + high)) + row_px - node_size.height;
  return { width: width_px, height, nodes, edges: lines, columns: columns.map((title, column) => ({ title, x: side_px + column * pitch_px })) };
}

/** The nearest node in the direction of an arrow key; undefined where there is none. */
export function next_node(nodes, from, key) {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!steps[key])
    return key === 'Home' ? nodes[0] : key === 'End' ? nodes[nodes.length - 1] : undefined;
  const [step_x, step_y] = steps[key];
  if (step_x !== 0) {
    const ahead = nodes.filter(({ column }) => (column - from.column) * step_x > 0);
    const column = ahead.reduce((nearest, one) => (nearest === null || Math.abs(one.column - from.column) < Math.abs(nearest - from.column) ? one.column : nearest), null);
    return ahead.filter((one) => one.column === column).reduce((best, one) => (!best || Math.abs(one.y - from.y) < Math.abs(best.y - from.y) ? one : best), undefined);
  }
  const beside = nodes.filter(({ column, y }) => column === from.column && (y - from.y) * step_y > 0);
  return beside.reduce((best, one) => (!best || Math.abs(one.y - from.y) < Math.abs(best.y - from.y) ? one : best), undefined);
}

/** The width of a line that carries so many messages per second, pixels. */
export const line_width = (per_s) => (per_s > 0 ? Math.min(7, 1.6 + Math.log10(1 + per_s) * 1.6) : 1);

/** The part of a bar that so many waiting messages fill, 0 to 1: a thousand are all of it. */
export const fill_of = (depth) => Math.min(1, Math.log10(1 + depth) / 3);
