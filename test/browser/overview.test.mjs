// The overview, used as a person would: figures that follow what happens, what needs somebody, and plots.
import assert from 'node:assert/strict';
import { dashboard_tests } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';

const scenario = dashboard_tests({ set_scene });

const tile = (page, name) => page.getByRole('main').getByRole('link', { name: new RegExp(`^${name}`) });

scenario('the figures are those of the daemon, and lead to what they count', async ({ page, open, daemon }) => {
  await open();
  await tile(page, 'Running').getByText('3', { exact: true }).waitFor();
  await tile(page, 'Pending').getByText('4', { exact: true }).waitFor();
  await daemon.push({ id: 'one-more', channel: 'backup', task: 'one more' });
  await tile(page, 'Pending').getByText('5', { exact: true }).waitFor();
  await daemon.api('POST', '/api/v1/tasks/one-more/cancel', {});
  await tile(page, 'Pending').getByText('4', { exact: true }).waitFor();
  await tile(page, 'Running').click();
  await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
  await page.getByRole('link', { name: 'transcode film 12', exact: true }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'transcode film 14', exact: true }).count(), 0);
});

scenario('it says what needs somebody, and what is to be done', async ({ page, open, daemon }) => {
  await open();
  const problems = page.getByRole('region', { name: 'What needs attention' });
  await problems.getByText('Channel backup is paused, and 2 tasks wait.').waitFor();
  await problems.getByRole('button', { name: 'Resume backup' }).click();
  await daemon.wait_state('backup-home', 'finished');
  await daemon.wait_state('backup-etc', 'finished');
  await problems.getByText(/backup is paused/).waitFor({ state: 'detached' });
});

scenario('plots show what was, and another time is shown', async ({ page, open }) => {
  await open();
  const names = ['Pushed and finished', 'In line', 'Running', 'Failures', 'Wait before the first start', 'Run time'];
  for (const name of names)
    await page.getByRole('img', { name: new RegExp(`^${name}: `) }).waitFor();
  await page.getByRole('group', { name: 'Time shown' }).getByRole('button', { name: '1 hour' }).click();
  assert.match(page.url(), /span=/);
  await page.getByRole('img', { name: /^Running: running 3/ }).waitFor();
  await page.reload();
  await page.getByRole('group', { name: 'Time shown' }).locator('[aria-pressed=true]').filter({ hasText: '1 hour' }).waitFor();
});

scenario('what could not be loaded is tried again', async ({ page, open, watch }) => {
  watch.allow(/answered 503|status of 503/);
  await page.route('**/api/v1/channels', (route) => route.fulfill({ status: 503, json: { error: { code: 'unavailable', detail: 'the store is busy' } } }), { times: 1 });
  await open();
  await page.getByRole('alert').getByText('the store is busy').waitFor();
  const asking = page.waitForRequest('**/api/v1/channels', { timeout: 5_000 });
  await page.getByRole('button', { name: 'Try again' }).click();
  await asking;
  await tile(page, 'Running').waitFor();
  await page.getByRole('button', { name: 'Try again' }).waitFor({ state: 'detached' });
});

scenario('the busiest channels stand below, and lead on', async ({ page, open }) => {
  await open();
  const table = page.getByRole('region', { name: 'Table of the busiest channels' });
  await table.getByText('2 of 2').waitFor();
  await table.getByRole('link', { name: 'video', exact: true }).click();
  await page.getByRole('link', { name: 'transcode film 14', exact: true }).waitFor();
});
