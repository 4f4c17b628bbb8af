// Tests of the marks of a time axis, and of what is under a point or behind an arrow key.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { marks, step_of } from '../../../services/http/dashboard/core/time_axis.js';
import { nearest_run, next_run } from '../../../services/http/dashboard/core/run_places.js';

const noon = Date.parse('2026-01-31T12:00:00Z');

test('marks stand at round moments with room between them', () => {
  assert.deepEqual(marks(noon - 60_000, noon, 400).map(({ label }) => label), ['11:59:00', '11:59:15', '11:59:30', '11:59:45', '12:00:00']);
  assert.deepEqual(marks(noon - 3_600_000, noon, 500).map(({ label }) => label), ['11:00', '11:15', '11:30', '11:45', '12:00']);
  assert.equal(marks(noon - 60_000, noon, 20).length, 2);
});

test('hours begin where the viewer\'s do', () => {
  const shifted = marks(noon - 7_200_000, noon, 300, { zone_ms: 19_800_000 });
  assert.deepEqual(shifted.map(({ label }) => label), ['16:00', '17:00']);
});

test('the widest step is the last resort', () => {
  assert.equal(step_of(1e12, 3), 21_600_000);
});

const box_of = ({ x, width, lane }) => ({ x, y: lane * 16, width, height: 14 });

test('the run under a point, or just beside it', () => {
  const runs = [{ x: 0, width: 50, lane: 0 }, { x: 60, width: 3, lane: 0 }, { x: 10, width: 50, lane: 1 }];
  assert.equal(nearest_run(runs, 20, 5, box_of), runs[0]);
  assert.equal(nearest_run(runs, 20, 20, box_of), runs[2]);
  assert.equal(nearest_run(runs, 58, 5, box_of), runs[1]);
  assert.equal(nearest_run(runs, 53, 5, box_of), runs[0]);
  assert.equal(nearest_run(runs, 200, 5, box_of), undefined);
  assert.equal(nearest_run(runs, 20, 60, box_of), undefined);
});

test('arrow keys go by start and by lane', () => {
  const run = (started_ms, ended_ms, lane) => ({ started_ms, ended_ms, lane });
  const runs = [run(0, 10, 0), run(5, 15, 2), run(20, 30, 0), run(25, null, 2)];
  assert.equal(next_run(runs, runs[1], 'ArrowLeft'), runs[0]);
  assert.equal(next_run(runs, runs[1], 'ArrowRight'), runs[2]);
  assert.equal(next_run(runs, runs[0], 'ArrowDown'), runs[1]);
  assert.equal(next_run(runs, runs[3], 'ArrowUp'), runs[2]);
  assert.equal(next_run(runs, runs[3], 'ArrowDown'), undefined);
  assert.equal(next_run(runs, runs[2], 'Home'), runs[0]);
  assert.equal(next_run(runs, runs[0], 'End'), runs[3]);
  assert.equal(next_run(runs, runs[0], 'x'), undefined);
});
