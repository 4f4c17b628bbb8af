// One loop for all that moves with the time: it draws as the screen does, and stands still where nobody looks or where
// somebody has asked for less motion.
import { useEffect, useRef } from './html.js';

/** With less motion what moves with the time takes a step this often, milliseconds. */
const still_step_ms = 5_000;

const drawers = new Set();
let frame = null;
let still_at_ms = -still_step_ms;
const less_motion = matchMedia('(prefers-reduced-motion: reduce)');

/** Drawing takes at most this part of the time: what is much to draw is drawn less often, and the page stays quick. */
const share_max = 0.25;
let rests_until_ms = 0;

function draw(at_ms) {
  frame = drawers.size > 0 ? requestAnimationFrame(draw) : null;
  if (at_ms < rests_until_ms || (less_motion.matches && at_ms - still_at_ms < still_step_ms))
    return;
  still_at_ms = at_ms;
  const begun_ms = performance.now();
  for (const drawer of drawers)
    drawer();
  const ended_ms = performance.now();
  rests_until_ms = ended_ms + (ended_ms - begun_ms) * (1 / share_max - 1);
}

/** Calls `drawer` for every picture of the screen, for as long as a component is shown. A hidden tab has none. */
export function useFrames(drawer) {
  const latest = useRef(drawer);
  latest.current = drawer;
  useEffect(() => {
    const own = () => latest.current();
    drawers.add(own);
    frame ??= requestAnimationFrame(draw);
    return () => drawers.delete(own);
  }, []);
}

// Another theme is shown at once, however little may move.
const at_once = () => { still_at_ms = -still_step_ms; };
addEventListener('themechange', at_once);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', at_once);
