// Which run is under a point, and which one an arrow key leads to. Pure.

/** A bar is pointed at from this far beside it, as many are only a few dots wide. */
const reach_px = 4;

/** The run under x and y, or the one nearest beside them in the same lane; undefined where there is none. */
export function nearest_run(runs, x, y, box_of) {
  let best;
  let best_px = reach_px;
  for (const run of runs) {
    const box = box_of(run);
    if (y < box.y || y > box.y + box.height + 2)
      continue;
    const away_px = x < box.x ? box.x - x : x > box.x + box.width ? x - box.x - box.width : 0;
    // Of several that lie over each other the later one is on top.
    if (away_px <= best_px) {
      best = run;
      best_px = away_px;
    }
  }
  return best;
}

const middle_ms = ({ started_ms, ended_ms }) => (ended_ms === null ? started_ms : (started_ms + ended_ms) / 2);

function nearest_in_lane(runs, from, lane) {
  return runs.filter((run) => run.lane === lane).reduce((best, run) => (
    !best || Math.abs(middle_ms(run) - middle_ms(from)) < Math.abs(middle_ms(best) - middle_ms(from)) ? run : best), undefined);
}

function in_other_lane(runs, from, step) {
  const lanes = [...new Set(runs.map(({ lane }) => lane))].sort((one, other) => one - other);
  const lane = lanes[lanes.indexOf(from.lane) + step];
  return lane === undefined ? undefined : nearest_in_lane(runs, from, lane);
}

/**
 * Where a key leads from a run: left and right to the start before and after it, up and down to the lane above and below,
 * Home and End to the first and the last. undefined where it leads nowhere. `runs` are in the order of their starts.
 */
export function next_run(runs, from, key) {
  const index = runs.indexOf(from);
  switch (key) {
    case 'ArrowLeft': return runs[index - 1];
    case 'ArrowRight': return runs[index + 1];
    case 'ArrowUp': return in_other_lane(runs, from, -1);
    case 'ArrowDown': return in_other_lane(runs, from, 1);
    case 'Home': return runs[0];
    case 'End': return runs[runs.length - 1];
    default: return undefined;
  }
}
