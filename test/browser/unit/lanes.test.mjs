// Tests of how runs are packed into lanes: as workers do it, without jumps, in as few lanes as can be.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assign_lanes, lane_height } from '../../../services/http/dashboard/core/lanes.js';

const run = (started_ms, ended_ms, lane = null) => ({ started_ms, ended_ms, lane });
const lanes_of = (runs) => runs.map(({ lane }) => lane);

test('runs one after the other share a lane, those at once do not', () => {
  const runs = [run(0, 100), run(50, 150), run(100, 200), run(160, 300)];
  assert.equal(assign_lanes(runs, 4), 4);
  assert.deepEqual(lanes_of(runs), [0, 1, 0, 1]);
});

test('a run that goes on keeps its lane to itself', () => {
  const runs = [run(0, null), run(10_000, 10_100), run(90_000, null)];
  assert.equal(assign_lanes(runs, 1), 2);
  assert.deepEqual(lanes_of(runs), [0, 1, 1]);
});

test('an end and a start a few milliseconds apart are no overlap, but short runs at once are', () => {
  const close = [run(0, 103), run(100, 200)];
  assign_lanes(close, 1);
  assert.deepEqual(lanes_of(close), [0, 0]);
  const short = [run(0, 4), run(0, 4)];
  assign_lanes(short, 1);
  assert.deepEqual(lanes_of(short), [0, 1]);
});

test('runs keep their lanes when others come and go', () => {
  const kept = run(50, 150, 1);
  const runs = [kept, run(160, 300)];
  assign_lanes(runs, 2);
  assert.equal(kept.lane, 1);
  assert.equal(runs[1].lane, 0);
});

test('what comes late and finds no room has all packed anew', () => {
  const runs = [run(0, 100, 0), run(50, 90, null), run(100, 300, 1)];
  // Lane 1 is taken until 300 by a run that would fit in lane 0.
  runs[2].started_ms = 80;
  assert.equal(assign_lanes(runs, 3), 3);
  assert.equal(new Set(lanes_of(runs)).size, 3);
  const loose = [run(0, 100, 0), run(10, 200, null), run(100, 300, 1)];
  assert.equal(assign_lanes(loose, 2), 2);
  assert.deepEqual(lanes_of(loose), [0, 1, 0]);
});

test('there are as many lanes as workers, and more only where more ran at once', () => {
  assert.equal(assign_lanes([], 5), 5);
  assert.equal(assign_lanes([run(0, 10), run(0, 10), run(0, 10)], 2), 3);
});

test('no more lanes than the limit', () => {
  assert.equal(assign_lanes(Array.from({ length: 50 }, () => run(0, null)), 1, 8), 8);
});

test('two thousand runs are packed quickly and never over each other', () => {
  const runs = Array.from({ length: 2_000 }, (_, index) => run(index * 10, index * 10 + 500));
  const begun = performance.now();
  assert.equal(assign_lanes(runs, 8), 50);
  assert.ok(performance.now() - begun < 500);
  const ends = new Map();
  for (const { started_ms, ended_ms, lane } of runs) {
    assert.ok((ends.get(lane) ?? 0) <= started_ms + 6);
    ends.set(lane, ended_ms);
  }
});

test('lanes are lower where there are many, and those without room are left out', () => {
  assert.deepEqual(lane_height(4), { height_px: 16, drawn: 4 });
  assert.deepEqual(lane_height(44), { height_px: 5, drawn: 44 });
  assert.deepEqual(lane_height(1_024), { height_px: 3, drawn: 73 });
});
