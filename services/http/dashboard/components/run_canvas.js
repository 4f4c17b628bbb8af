// Draws runs as bars on a canvas, in the colours of tokens.css and as fine as the screen is. Every kind has a form of its
// own besides its colour: dead is hatched, cancelled hollow, retried half as high, running open to now.
import { marks } from '../core/time_axis.js';
import { colour } from '../core/theme.js';

/** A bar is never narrower, so that short runs can be seen and pointed at. */
const bar_min_px = 3;
const label_min_px = 44;
const gap_px = 2;

let palette = new Map();
function paint_of(name) {
  if (!palette.has(name))
    palette.set(name, colour(name));
  return palette.get(name);
}
const forget = () => { palette = new Map(); };
addEventListener('themechange', forget);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', forget);

/**
 * The window that is drawn, moved in steps of one dot of the screen, so that nothing shimmers:
 * {from_ms, until_ms, x_of(ms): a place within width_px}.
 */
export function window_of(now_ms, span_ms, width_px) {
  const dot_ms = span_ms / Math.max(1, width_px * devicePixelRatio);
  const until_ms = Math.ceil(now_ms / dot_ms) * dot_ms;
  const from_ms = until_ms - span_ms;
  return { from_ms, until_ms, x_of: (at_ms) => ((at_ms - from_ms) / span_ms) * width_px };
}

/** Where a run is drawn: {x, y, width, height} in CSS pixels. */
export function box_of(run, view, lane_px) {
  const left = Math.max(0, view.x_of(run.started_ms));
  const right = view.x_of(run.ended_ms ?? view.until_ms);
  return { x: left, y: run.lane * lane_px, width: Math.max(bar_min_px, right - left), height: lane_px >= 8 ? lane_px - gap_px : lane_px - 0.5 };
}

/** Makes a canvas as large as its place; returns what to draw with, in CSS pixels. */
function prepare(canvas, width_px, height_px) {
  const ratio = devicePixelRatio;
  const [wide, high] = [Math.round(width_px * ratio), Math.round(height_px * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width_px, height_px);
  return context;
}

const zone_ms = () => -new Date().getTimezoneOffset() * 60_000;

function hatch(context, { x, y, width, height }) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = paint_of('surface');
  context.globalAlpha = 0.45;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let at = x - height; at < x + width; at += 6) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

function outline(context, { x, y, width, height }, name) {
  context.strokeStyle = paint_of(name);
  context.lineWidth = 1.2;
  context.strokeRect(x + 0.6, y + 0.6, Math.max(0.5, width - 1.2), Math.max(0.5, height - 1.2));
}

const forms = {
  finished: (context, box) => fill(context, box, 'finished'),
  dead: (context, box) => {
    fill(context, box, 'dead');
    if (box.width > 5)
      hatch(context, box);
  },
  cancelled: (context, box) => {
    fill(context, box, 'cancelled-soft');
    outline(context, box, 'cancelled');
  },
  retried: (context, box) => fill(context, { ...box, y: box.y + box.height / 2, height: box.height / 2 }, 'pending'),
  running: (context, box) => {
    fill(context, box, 'running-soft');
    outline(context, box, 'running');
  },
};

/** Narrow bars have no round corners: nobody sees them, and they take time where there are many. */
const round_min_px = 6;

function fill(context, { x, y, width, height }, name) {
  context.fillStyle = paint_of(name);
  if (width < round_min_px) {
    context.fillRect(x, y, width, height);
    return;
  }
  context.beginPath();
  context.roundRect(x, y, width, height, 2.5);
  context.fill();
}

function write_name(context, box, run) {
  if (!run.name || box.width < label_min_px || box.height < 11 || run.kind === 'dead' || run.kind === 'retried')
    return;
  context.save();
  context.beginPath();
  context.rect(box.x, box.y, box.width - 4, box.height);
  context.clip();
  context.fillStyle = paint_of(run.kind === 'finished' ? 'on-accent' : 'text');
  context.fillText(run.name, box.x + 5, box.y + box.height / 2 + 0.5);
  context.restore();
}

/** Failures are drawn last, so that they are seen where bars are narrower than dots. */
const drawing_order = ['finished', 'cancelled', 'retried', 'running', 'dead'];

/** Empty lanes; they are pale where runs are missing, as nobody can say there that nothing ran. */
function paint_lanes(context, lanes, { width_px, lane_px }, known_x) {
  context.fillStyle = paint_of('sunken');
  const high_px = lane_px >= 8 ? lane_px - gap_px : lane_px - 0.5;
  for (let lane = 0; lane < lanes; ++lane) {
    context.globalAlpha = 0.4;
    context.fillRect(0, lane * lane_px, known_x, high_px);
    context.globalAlpha = 1;
    context.fillRect(known_x, lane * lane_px, width_px - known_x, high_px);
  }
}

/** Draws the field of one channel. `place`: {width_px, height_px, lane_px}; before `cut_ms` runs are missing, or null. */
export function paint_runs(canvas, runs, lanes, view, place, cut_ms) {
  const context = prepare(canvas, place.width_px, place.height_px);
  paint_lanes(context, lanes, place, cut_ms === null ? 0 : Math.max(0, Math.min(place.width_px, view.x_of(cut_ms))));
  context.fillStyle = paint_of('line');
  for (const { at_ms } of marks(view.from_ms, view.until_ms, place.width_px, { zone_ms: zone_ms() }))
    context.fillRect(Math.round(view.x_of(at_ms)), 0, 1, place.height_px);
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'middle';
  for (const kind of drawing_order)
    for (const run of runs) {
      if (run.kind !== kind || run.lane >= lanes || (run.ended_ms !== null && run.ended_ms < view.from_ms))
        continue;
      const box = box_of(run, view, place.lane_px);
      forms[kind](context, box);
      write_name(context, box, run);
    }
}

/** Draws the axis of time over the fields. */
export function paint_axis(canvas, view, width_px, height_px) {
  const context = prepare(canvas, width_px, height_px);
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'middle';
  const now_room_px = 34;
  for (const { at_ms, label } of marks(view.from_ms, view.until_ms, width_px, { zone_ms: zone_ms() })) {
    const x = Math.round(view.x_of(at_ms));
    context.fillStyle = paint_of('line-strong');
    context.fillRect(x, height_px - 5, 1, 5);
    const half_px = context.measureText(label).width / 2;
    if (x - half_px < 0 || x + half_px > width_px - now_room_px)
      continue;
    context.fillStyle = paint_of('text-soft');
    context.fillText(label, x - half_px, height_px / 2 - 2);
  }
  context.fillStyle = paint_of('accent');
  context.fillText('now', width_px - context.measureText('now').width - 2, height_px / 2 - 2);
}
