// The page of workers, used as a person would: what ran and runs beside each other, as bars and as a table.
import assert from 'node:assert/strict';
import { dashboard_tests } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';

const scenario = dashboard_tests({ set_scene });

const channel_of = (page, name) => page.getByRole('region', { name: `Channel ${name}` });

scenario('each channel has its lanes, with what ran in them', async ({ page, open, daemon }) => {
  await open('workers');
  const video = channel_of(page, 'video');
  await video.getByText('2 of 2 workers').waitFor();
  await video.getByText('2 waiting').waitFor();
  await video.getByRole('img', { name: /^video, last/ }).waitFor();
  await daemon.push({ id: 'passes-by', channel: 'default', task: 'true' });
  await channel_of(page, 'default').getByRole('img', { name: /1 finished/ }).waitFor();
});

scenario('it goes by the daemon\'s clock, also when that was set since its start', async ({ page, open, daemon }) => {
  // As it is after the clock was set by an hour, or after an hour of sleep: its uptime is by another clock.
  await page.route('**/api/v1/daemon', async (route) => {
    const response = await route.fetch();
    const answer = await response.json();
    answer.data.started_at = new Date(Date.parse(answer.data.started_at) - 3_600_000).toISOString();
    await route.fulfill({ response, json: answer });
  });
  const ran_s = (Date.now() - Date.parse((await daemon.task('transcode-12')).started_at)) / 1_000;
  await open('workers?view=table&channel=video');
  const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'transcode film 12', exact: true }) });
  const told = await row.getByRole('cell').last().textContent();
  const [, minutes = '0', seconds] = /^(?:(\d+) m )?(\d+(?:\.\d)?) s$/.exec(told) ?? assert.fail(`it has run for ${told}`);
  assert.ok(Number(minutes) * 60 + Number(seconds) > ran_s - 2, `it has run for ${told}, and not for ${ran_s} s`);
});

scenario('a run is found by the keys alone, and opened', async ({ page, open }) => {
  await open('workers?channel=video');
  await channel_of(page, 'video').getByRole('img', { name: /^video, last/ }).waitFor();
  // Past the head of the channel, to the one run of its field that can be reached.
  await channel_of(page, 'video').getByRole('link', { name: 'video', exact: true }).focus();
  await page.keyboard.press('Tab');
  const reached = await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? '');
  assert.match(reached, /transcode film|thumbnails/);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: /transcode film|thumbnails/ }).waitFor();
});

scenario('the same stands in a table, which is filtered and kept in the address', async ({ page, open }) => {
  await open('workers');
  await channel_of(page, 'reports').waitFor();
  await page.getByRole('button', { name: 'Show as a table' }).click();
  const table = page.getByRole('region', { name: 'Table of runs' });
  await table.getByRole('link', { name: 'print invoice 9', exact: true }).waitFor();
  await page.getByLabel('Filter by channel').fill('video');
  await table.getByRole('link', { name: 'print invoice 9', exact: true }).waitFor({ state: 'detached' });
  await table.getByRole('link', { name: 'transcode film 12', exact: true }).waitFor();
  assert.match(page.url(), /view=table/);
  await page.reload();
  await table.getByRole('link', { name: 'transcode film 12', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'transcode film 12' }).waitFor();
});

scenario('channels are folded, and another time is shown', async ({ page, open }) => {
  await open('workers');
  const video = channel_of(page, 'video');
  const lanes = video.getByRole('button', { name: 'Lanes of video' });
  await lanes.click();
  assert.equal(await lanes.getAttribute('aria-expanded'), 'false');
  await video.getByRole('img').waitFor({ state: 'detached' });
  await lanes.click();
  await video.getByRole('img', { name: /^video, last/ }).waitFor();
  const spans = page.getByRole('group', { name: 'Time shown' });
  const before = await spans.locator('[aria-pressed=true]').textContent();
  await spans.locator('[aria-pressed=false]').last().click();
  assert.notEqual(await spans.locator('[aria-pressed=true]').textContent(), before);
  assert.match(page.url(), /span=/);
});
