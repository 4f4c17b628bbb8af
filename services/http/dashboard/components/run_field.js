// The field of one channel's runs: a canvas that moves with now, and over it two links: one under the pointer, one that
// the arrow keys move from run to run. Both open the task.
import { duration, outcome } from '../core/format.js';
import { useFrames } from '../core/frames.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../core/html.js';
import { nearest_run, next_run } from '../core/run_places.js';
import { link } from '../core/router.js';
import { box_of, paint_runs, window_of } from './run_canvas.js';
import { short_id } from './basics.js';

/** What became of a run, in words. */
export const run_end = (run) => (run.kind === 'running' ? 'running' : run.kind === 'finished' || !run.outcome ? run.kind : `${run.kind}: ${outcome(run.outcome)}`);
export const run_length_s = (run, now_ms) => Math.max(0, ((run.ended_ms ?? now_ms) - run.started_ms) / 1_000);
export const run_name = (run) => run.name ?? short_id(run.id);
const clock = (at_ms) => new Date(at_ms).toLocaleTimeString('en-GB');

const spoken = (run, now_ms) => `${run_name(run)}, ${run_end(run)}, ${duration(run_length_s(run, now_ms))}, started ${clock(run.started_ms)}${run.attempt > 1 ? `, attempt ${run.attempt}` : ''}`;

const Tip = ({ run, now_ms, place }) => html`<div class="run-tip" ref=${place} aria-hidden="true">
  <strong>${run_name(run)}</strong>
  <span><i class="run-swatch ${run.kind}"></i>${run_end(run)} · ${duration(run_length_s(run, now_ms))}</span>
  <span class="soft">started ${clock(run.started_ms)}${run.attempt > 1 ? ` · attempt ${run.attempt}` : ''} · ${short_id(run.id)}</span>
</div>`;

/** Puts an element over a run. */
function put_over(element, run, view, lane_px) {
  if (!element || !run)
    return;
  const { x, y, width, height } = box_of(run, view, lane_px);
  Object.assign(element.style, { transform: `translate(${x}px, ${y}px)`, width: `${width}px`, height: `${height}px` });
}

function put_tip(element, run, view, lane_px, width_px) {
  if (!element || !run)
    return;
  const { x, y, width, height } = box_of(run, view, lane_px);
  const left = Math.max(0, Math.min(x + width / 2 - element.offsetWidth / 2, width_px - element.offsetWidth));
  element.style.transform = `translate(${left}px, ${y + height + 6}px)`;
}

/** `runs` have their lanes; `lanes` of `lane_px` are drawn; now_ms() is the time of the right edge; before `cut_ms` runs are missing. */
export function RunField({ runs, lanes, lane_px, span_ms, now_ms, cut_ms, summary }) {
  const field = useRef(null);
  const canvas = useRef(null);
  const pointed_link = useRef(null);
  const chosen_link = useRef(null);
  const tip = useRef(null);
  const width = useRef(0);
  const drawn_until = useRef(null);
  const is_visible = useRef(true);
  const [pointed_key, point] = useState(null);
  const [chosen_key, choose] = useState(null);
  const [is_focused, set_focused] = useState(false);
  const height_px = Math.max(lane_px, lanes * lane_px);
  const reachable = runs.filter(({ lane, ended_ms }) => lane < lanes && (ended_ms === null || ended_ms > now_ms() - span_ms));
  const pointed = reachable.find(({ key }) => key === pointed_key);
  // A run that leaves the field on the left while it has the focus hands it to the one after it.
  const chosen = reachable.find(({ key }) => key === chosen_key) ?? reachable[is_focused && chosen_key ? 0 : reachable.length - 1];
  const tipped = pointed ?? (is_focused ? chosen : null);

  const draw = () => {
    if (!canvas.current || !is_visible.current || width.current === 0)
      return;
    const view = window_of(now_ms(), span_ms, width.current);
    const drawn = `${view.until_ms} ${width.current} ${devicePixelRatio}`;
    if (drawn_until.current === drawn)
      return;
    drawn_until.current = drawn;
    paint_runs(canvas.current, runs, lanes, view, { width_px: width.current, height_px, lane_px }, cut_ms);
    put_over(pointed_link.current, pointed, view, lane_px);
    put_over(chosen_link.current, chosen, view, lane_px);
    put_tip(tip.current, tipped, view, lane_px, width.current);
  };
  useFrames(draw);
  useLayoutEffect(() => {
    drawn_until.current = null;
    draw();
  });
  useEffect(() => {
    const resized = new ResizeObserver(([entry]) => {
      width.current = entry.contentRect.width;
      drawn_until.current = null;
      draw();
    });
    resized.observe(field.current);
    const seen = new IntersectionObserver(([entry]) => { is_visible.current = entry.isIntersecting; }, { rootMargin: '100px' });
    seen.observe(field.current);
    const repaint = () => { drawn_until.current = null; };
    addEventListener('themechange', repaint);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', repaint);
    return () => {
      resized.disconnect();
      seen.disconnect();
      removeEventListener('themechange', repaint);
      scheme.removeEventListener('change', repaint);
    };
  }, []);
  // The link is another element for another run; the focus goes with it.
  useLayoutEffect(() => {
    if (is_focused && chosen_link.current && document.activeElement !== chosen_link.current)
      chosen_link.current.focus({ preventScroll: true });
  }, [chosen?.key]);

  const follow_pointer = (event) => {
    const place = field.current.getBoundingClientRect();
    const view = window_of(now_ms(), span_ms, place.width);
    const under = nearest_run(reachable, event.clientX - place.left, event.clientY - place.top, (run) => box_of(run, view, lane_px));
    point(under?.key ?? null);
  };
  const on_key = (event) => {
    const to = next_run(reachable, chosen, event.key);
    if (!to)
      return;
    event.preventDefault();
    event.stopPropagation();
    point(null);
    choose(to.key);
  };
  return html`<div class="run-field" ref=${field} style=${{ height: `${height_px}px` }} onPointerMove=${follow_pointer} onPointerLeave=${() => point(null)}>
    <canvas ref=${canvas} role="img" aria-label=${summary} style=${{ height: `${height_px}px` }}></canvas>
    ${chosen && html`<a class="run-chosen" key=${`c ${chosen.key}`} ref=${chosen_link} href=${link(['tasks', chosen.id])} aria-label=${spoken(chosen, now_ms())}
      aria-describedby="run-keys" onKeyDown=${on_key} onFocus=${() => { set_focused(true); choose(chosen.key); }}
      onBlur=${(event) => { if (event.target.isConnected) { set_focused(false); choose(null); } }}></a>`}
    ${pointed && html`<a class="run-pointed" ref=${pointed_link} href=${link(['tasks', pointed.id])} tabindex="-1" aria-hidden="true"></a>`}
    ${tipped && html`<${Tip} run=${tipped} now_ms=${now_ms()} place=${tip} />`}
  </div>`;
}
