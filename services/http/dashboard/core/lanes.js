// Packs runs into lanes, as workers do it: each into the first lane that is free at its start. A run that has a lane
// keeps it, so that nothing jumps while others come and go. Pure.

/** Runs may overlap by this much and share a lane, as the end of one and the start of the next are noted apart. */
const slack_ms = 6;

const end_of = ({ ended_ms }) => ended_ms ?? Infinity;

function overlap(one, other) {
  const slack = Math.min(slack_ms, (end_of(one) - one.started_ms) / 2, (end_of(other) - other.started_ms) / 2);
  return one.started_ms < end_of(other) - slack && other.started_ms < end_of(one) - slack;
}

/** A lane: its runs, and the one of them that ends last. */
const make_lane = () => ({ runs: [], last: null });

function put(lane, run) {
  lane.runs.push(run);
  if (lane.last === null || end_of(run) >= end_of(lane.last))
    lane.last = run;
}

/** Whether a lane has room. Nearly always a run comes after all others; only for a late one they are looked through. */
function is_free(lane, run) {
  if (lane.last === null || (run.started_ms >= lane.last.started_ms && !overlap(lane.last, run) && run.started_ms + slack_ms >= end_of(lane.last)))
    return true;
  return !overlap(lane.last, run) && lane.runs.every((other) => !overlap(other, run));
}

function pack(runs, lanes_max) {
  const lanes = [];
  const lane_at = (index) => {
    while (lanes.length <= index)
      lanes.push(make_lane());
    return lanes[index];
  };
  for (const run of runs)
    if (run.lane !== null)
      put(lane_at(run.lane), run);
  for (const run of runs) {
    if (run.lane !== null)
      continue;
    let index = 0;
    while (index < lanes_max - 1 && !is_free(lane_at(index), run))
      ++index;
    run.lane = index;
    put(lane_at(index), run);
  }
  return lanes.length;
}

/**
 * Gives every run of a channel that has no lane one, and returns how many lanes there are: as many as the channel has
 * workers, more only where more ran at once (it had more workers then). `runs` are in the order of their starts. Where
 * somebody came late and found no room all are packed anew, which needs as few lanes as can be.
 */
export function assign_lanes(runs, worker, lanes_max = 1_024) {
  const has_new = runs.some(({ lane }) => lane === null);
  let lanes = has_new ? pack(runs, lanes_max) : runs.reduce((most, { lane }) => Math.max(most, lane + 1), 0);
  if (has_new && lanes > worker) {
    for (const run of runs)
      run.lane = null;
    lanes = pack(runs, lanes_max);
  }
  return Math.max(worker, lanes);
}

/** How high a lane is drawn so that a channel's field stays within `field_px`, and how many of them are drawn. */
export function lane_height(lanes, { field_px = 220, lane_max_px = 16, lane_min_px = 3 } = {}) {
  const height_px = Math.max(lane_min_px, Math.min(lane_max_px, Math.floor(field_px / Math.max(1, lanes))));
  return { height_px, drawn: Math.min(lanes, Math.floor(field_px / height_px)) };
}
