// The page of channels, used as a person would: found by what stands on it.
import assert from 'node:assert/strict';
import { check_page, dashboard_tests, focused, widths } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';
import { until } from './support/wait.mjs';

const scenario = dashboard_tests({ set_scene });

const row_of = (page, name) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
const channel = (daemon, name) => daemon.api('GET', `/api/v1/channels/${name}`);
const notice = (page, text) => page.getByRole('status').filter({ hasText: text });

async function choose(page, name, item) {
  await page.getByRole('button', { name: `More for ${name}` }).click();
  await page.getByRole('group', { name: `More for ${name}` }).getByRole('button', { name: item }).click();
}

scenario('every channel has a row, whose numbers follow what happens', async ({ page, open, daemon }) => {
  await open('channels');
  const row = row_of(page, 'video');
  await row.getByRole('img', { name: '2 running, 2 pending, 0 delayed' }).waitFor();
  await row_of(page, 'backup').getByText('paused').waitFor();
  await row_of(page, 'mail').getByRole('img', { name: '0 running, 0 pending, 2 delayed' }).waitFor();
  // Nobody reloads anything.
  await daemon.push({ id: 'transcode-16', channel: 'video', task: 'sleep 3600' });
  await row.getByRole('img', { name: '2 running, 3 pending, 0 delayed' }).waitFor();
  await daemon.api('POST', '/api/v1/tasks/transcode-16/cancel');
  await row.getByRole('img', { name: '2 running, 2 pending, 0 delayed' }).waitFor();
});

scenario('the filter narrows the table, and stays in the address', async ({ page, open }) => {
  await open('channels');
  await row_of(page, 'mail').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('rep');
  await row_of(page, 'mail').waitFor({ state: 'detached' });
  await row_of(page, 'reports').waitFor();
  assert.match(page.url(), /#\/channels\?filter=rep$/);
  await page.reload();
  await row_of(page, 'reports').waitFor();
  assert.equal(await row_of(page, 'mail').count(), 0);
  await page.getByLabel('Filter by name').fill('none is called so');
  await page.getByText('No channel has such a name.').waitFor();
});

scenario('a press on a head puts the table in order', async ({ page, open }) => {
  await open('channels');
  await row_of(page, 'mail').waitFor();
  await page.getByRole('button', { name: 'Dead', exact: true }).click();
  await page.getByRole('columnheader', { name: 'Dead' }).and(page.locator('[aria-sort=descending]')).waitFor();
  const first = page.getByRole('table').getByRole('row').nth(1);
  await first.getByRole('link', { name: 'reports', exact: true }).waitFor();
});

scenario('workers are set one by one', async ({ page, open, daemon }) => {
  await open('channels');
  const stepper = page.getByRole('group', { name: 'Workers of mail' });
  await stepper.getByRole('button', { name: 'One more' }).click();
  await stepper.getByRole('button', { name: 'One more' }).click();
  await notice(page, 'mail has 6 workers now.').waitFor();
  assert.equal((await channel(daemon, 'mail')).worker, 6);
  await stepper.getByRole('button', { name: 'One fewer' }).click();
  await notice(page, 'mail has 5 workers now.').waitFor();
  assert.equal((await channel(daemon, 'mail')).worker, 5);
});

scenario('a step of the workers is not lost, nor overtaken, when it is followed by another or by leaving', async ({ page, open, daemon }) => {
  await daemon.api('POST', '/api/v1/channels', { name: 'steps', worker: 4 });
  await open('channels');
  const stepper = page.getByRole('group', { name: 'Workers of steps' });
  const held = [];
  const asked = [];
  await page.route('**/api/v1/channels/steps', async (route) => {
    asked.push(route.request().postDataJSON().worker);
    await new Promise((resolve) => { held.push(resolve); });
    await route.continue();
  });
  await stepper.getByRole('button', { name: 'One more' }).click();
  await until('the first change is on its way', () => asked.length === 1);
  await stepper.getByRole('button', { name: 'One more' }).click();
  await stepper.getByText('6', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  assert.deepEqual(asked, [5]);
  held[0]();
  await until('the second change follows the first', () => asked.length === 2);
  held[1]();
  await notice(page, 'steps has 6 workers now.').waitFor();
  assert.deepEqual(asked, [5, 6]);
  assert.equal((await channel(daemon, 'steps')).worker, 6);
});

scenario('a channel that was empty is not removed with what has come since', async ({ page, open, daemon, watch }) => {
  await daemon.api('POST', '/api/v1/channels', { name: 'empty', worker: 1 });
  await open('channels');
  await row_of(page, 'empty').waitFor();
  await choose(page, 'empty', 'Remove …');
  const question = page.getByRole('dialog', { name: 'Remove empty?' });
  await question.waitFor();
  await daemon.push({ id: 'came-late', channel: 'empty', task: 'came late', delay: 3600 });
  watch.allow(/answered 409|status of 409/);
  await question.getByRole('button', { name: 'Remove the channel' }).click();
  await page.locator('.notice.failure').waitFor();
  assert.equal((await daemon.task('came-late')).state, 'delayed');

  // Asked again, it says what will become of that.
  await row_of(page, 'empty').getByRole('img', { name: '0 running, 0 pending, 1 delayed' }).waitFor();
  await choose(page, 'empty', 'Remove …');
  await question.getByText('1 of its tasks have not ended; they are cancelled.').waitFor();
  await question.getByRole('button', { name: 'Remove the channel' }).click();
  await row_of(page, 'empty').waitFor({ state: 'detached' });
});

scenario('on a narrow screen all of a channel is seen and reached without going sideways', async ({ page, open, daemon }) => {
  await daemon.api('POST', '/api/v1/channels', { name: 'a-channel-with-quite-a-long-name-that-somebody-chose', worker: 3 });
  await open('channels');
  const region = page.getByRole('region', { name: 'Table of channels' });
  for (const name of ['video', 'a-channel-with-quite-a-long-name-that-somebody-chose']) {
    const row = row_of(page, name);
    await row.waitFor();
    for (const part of [row.getByRole('link', { name, exact: true }), row.getByRole('group', { name: `Workers of ${name}` }),
      row.getByRole('button', { name: `Pause ${name}` }), row.getByRole('button', { name: `More for ${name}` })]) {
      const { x, width } = await part.boundingBox();
      assert.ok(x >= 0 && x + width <= widths.narrow.width, `${name}: from ${x} to ${x + width}`);
    }
  }
  const [content, shown] = await region.evaluate((element) => [element.scrollWidth, element.clientWidth]);
  assert.ok(content <= shown, `the table is ${content} pixels wide in ${shown}`);
  await check_page(page);
  await page.getByRole('button', { name: 'Dead', exact: true }).click();
  await page.getByRole('columnheader', { name: 'Dead' }).and(page.locator('[aria-sort=descending]')).waitFor();

  // What is told about a press covers no end of an output, and goes when Escape is pressed.
  await page.getByRole('button', { name: 'Pause video' }).click();
  const told = page.locator('.notice').filter({ hasText: 'video is paused' });
  await told.waitFor();
  const { y, height } = await told.boundingBox();
  assert.ok(y + height < widths.narrow.height / 4, `it ends at ${y + height}`);
  await page.keyboard.press('Escape');
  await told.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Resume video' }).click();
  await row_of(page, 'video').getByText('open').waitFor();
  await daemon.api('DELETE', '/api/v1/channels/a-channel-with-quite-a-long-name-that-somebody-chose');
}, { size: widths.narrow });

scenario('a paused channel can be drained: what runs is waited for', async ({ page, open, daemon }) => {
  await daemon.api('POST', '/api/v1/channels', { name: 'ebbs', worker: 1 });
  await daemon.api('POST', '/api/v1/channels/ebbs/pause');
  await open('channels');
  await choose(page, 'ebbs', 'Drain');
  await notice(page, 'ebbs is drained.').waitFor();
});

scenario('a channel is paused, goes on, and is drained', async ({ page, open, daemon }) => {
  await open('channels');
  const row = row_of(page, 'reports');
  await page.getByRole('button', { name: 'Pause reports' }).click();
  await notice(page, 'reports is paused').waitFor();
  // One still runs; the channel is paused for good when it has ended.
  await row.getByText('paused, 1 still runs').waitFor();
  await daemon.push({ id: 'waits-for-resume', channel: 'reports', task: 'true' });
  assert.equal((await daemon.task('waits-for-resume')).state, 'pending');
  await page.getByRole('button', { name: 'Resume reports' }).click();
  await notice(page, 'reports goes on.').waitFor();
  await row.getByText('open').waitFor();
  await daemon.wait_state('waits-for-resume', 'finished');

  await choose(page, 'reports', 'Drain');
  await notice(page, /reports drains: nothing more is started, 1 still run/).waitFor();
  await row.getByText('paused, 1 still runs').waitFor();
  await page.getByRole('button', { name: 'Resume reports' }).click();
  await row.getByText('open').waitFor();
});

scenario('a channel is made, changed and removed', async ({ page, open, daemon, watch }) => {
  await open('channels');
  await row_of(page, 'mail').waitFor();
  await page.keyboard.press('m');
  const making = page.getByRole('dialog', { name: 'Make a channel' });
  await making.getByLabel('Name').fill('orders');
  await making.getByLabel('Workers').fill('7');
  await making.getByLabel('Distinct').selectOption('until-finished');
  await making.getByRole('button', { name: 'Make the channel' }).click();
  await notice(page, 'orders is there.').waitFor();
  await row_of(page, 'orders').waitFor();
  const made = await channel(daemon, 'orders');
  assert.equal(made.worker, 7);
  assert.equal(made.settings.distinct, 'until-finished');

  await choose(page, 'orders', 'Settings …');
  const settings = page.getByRole('dialog', { name: 'Settings of orders' });
  assert.equal(await settings.getByLabel('Workers').inputValue(), '7');
  await settings.getByLabel('Attempts').fill('4');
  await settings.getByLabel('Timeout, seconds').fill('2.5');
  await settings.getByRole('button', { name: 'Save the settings' }).click();
  await settings.waitFor({ state: 'detached' });
  const changed = (await channel(daemon, 'orders')).settings;
  assert.equal(changed.max_attempts, 4);
  assert.equal(changed.timeout_s, 2.5);
  assert.equal(changed.distinct, 'until-finished');

  // What it cannot be is said in the daemon's words, and what was typed stays.
  watch.allow(/answered 4\d\d|status of 4\d\d/);
  await page.getByRole('button', { name: 'Make a channel' }).click();
  await making.getByLabel('Name').fill('not a name');
  await making.getByRole('button', { name: 'Make the channel' }).click();
  await making.getByRole('alert').getByText(/name/).waitFor();
  assert.equal(await making.getByLabel('Name').inputValue(), 'not a name');
  await page.keyboard.press('Escape');
  await making.waitFor({ state: 'detached' });

  await choose(page, 'orders', 'Remove …');
  await page.getByRole('dialog', { name: 'Remove orders?' }).getByRole('button', { name: 'Keep it as it is' }).click();
  assert.equal((await channel(daemon, 'orders')).name, 'orders');
  await choose(page, 'orders', 'Remove …');
  await page.getByRole('dialog', { name: 'Remove orders?' }).getByRole('button', { name: 'Remove the channel' }).click();
  await row_of(page, 'orders').waitFor({ state: 'detached' });
  await until('the channel is gone', async () => (await fetch(`${daemon.url}/api/v1/channels/orders`)).status === 404);
});

scenario('a channel without workers says so', async ({ page, open, daemon }) => {
  await daemon.api('POST', '/api/v1/channels', { name: 'idle-hands', worker: 0 });
  await daemon.push({ id: 'waits-for-hands', channel: 'idle-hands', task: 'true' });
  await open('channels');
  await row_of(page, 'idle-hands').getByText('no workers').waitFor();
  await open('workers?channel=idle-hands');
  await page.getByText('0 running, 0 workers').waitFor();
  await daemon.api('DELETE', '/api/v1/channels/idle-hands?force=true');
});

scenario('dead letters are those of now', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'dies-here', channel: 'biz', task: 'false' });
  await daemon.wait_state('dies-here', 'dead');
  await open('channels');
  const dead = row_of(page, 'biz').getByRole('cell').nth(6);
  await dead.getByText('1', { exact: true }).waitFor();
  await daemon.api('DELETE', '/api/v1/tasks/dies-here');
  await dead.getByText('0', { exact: true }).waitFor();
});

scenario('the menu of a channel is used by keys alone', async ({ page, open, daemon }) => {
  await open('channels');
  await page.getByRole('button', { name: 'More for backup' }).focus();
  await page.keyboard.press('Enter');
  const menu = page.getByRole('group', { name: 'More for backup' });
  await focused(page, menu.getByRole('button', { name: 'Push a task here …' }));
  await page.keyboard.press('ArrowDown');
  await focused(page, menu.getByRole('button', { name: 'Drain' }));
  await page.keyboard.press('ArrowDown');
  await focused(page, menu.getByRole('button', { name: 'Settings …' }));
  await page.keyboard.press('Escape');
  await menu.waitFor({ state: 'hidden' });
  assert.equal((await channel(daemon, 'backup')).state, 'paused');
});
