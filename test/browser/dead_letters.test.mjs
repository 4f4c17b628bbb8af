// The page of dead letters, used as a person would: what has one cause stands together, and is retried or deleted at once.
import assert from 'node:assert/strict';
import { dashboard_tests } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';
import { until } from './support/wait.mjs';

const scenario = dashboard_tests({ set_scene });

const notice = (page, text) => page.getByRole('status').filter({ hasText: text });
const group_of = (page, text) => page.getByRole('listitem').filter({ has: page.getByRole('heading', { level: 2, name: text }) });

scenario('what died of the same stands in one group, with its tasks', async ({ page, open }) => {
  await open('dead-letters');
  const group = group_of(page, /exit 3.*no paper in tray 2/);
  await group.getByText('3', { exact: true }).waitFor();
  await group_of(page, /SEGV/).waitFor();
  await group_of(page, /could not start/).waitFor();
  await group.getByRole('button', { name: /^. exit 3|exit 3.*no paper/ }).first().click();
  const tasks = group.getByRole('region', { name: /^Newest tasks of exit 3/ });
  for (const number of [9, 10, 11])
    await tasks.getByRole('link', { name: `print invoice ${number}`, exact: true }).waitFor();
  await tasks.getByRole('link', { name: 'print invoice 10', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'print invoice 10' }).waitFor();
});

scenario('one channel and a time are looked at, and stand in the address', async ({ page, open }) => {
  await open('dead-letters');
  await group_of(page, /no paper in tray 2/).waitFor();
  await page.getByLabel('Channel', { exact: true }).fill('video');
  await page.keyboard.press('Enter');
  await group_of(page, /no paper in tray 2/).waitFor({ state: 'detached' });
  await group_of(page, /SEGV/).waitFor();
  await page.getByRole('group', { name: 'Died within' }).getByRole('button', { name: '1 h' }).click();
  assert.match(page.url(), /channel=video/);
  assert.match(page.url(), /since=1h/);
  await page.reload();
  await group_of(page, /SEGV/).waitFor();
  assert.equal(await group_of(page, /no paper/).count(), 0);
});

scenario('a channel may be typed slowly', async ({ page, open }) => {
  await open('dead-letters');
  await group_of(page, /no paper in tray 2/).waitFor();
  const field = page.getByLabel('Channel', { exact: true });
  // The ages of the page are drawn anew every second.
  await field.pressSequentially('video', { delay: 500 });
  assert.equal(await field.inputValue(), 'video');
  await page.keyboard.press('Enter');
  await group_of(page, /no paper in tray 2/).waitFor({ state: 'detached' });
  await group_of(page, /SEGV/).waitFor();
  await field.fill('');
  await group_of(page, /no paper in tray 2/).waitFor();
});

scenario('a new one comes by itself', async ({ page, open, daemon }) => {
  await open('dead-letters');
  await group_of(page, /no paper in tray 2/).waitFor();
  await daemon.push({ id: 'dies-now', task: 'dies now', command: { name: 'sh', args: ['-c', 'echo "out of ink" >&2; exit 4'] } });
  await group_of(page, /exit 4.*out of ink/).waitFor();
});

scenario('a group is tried again, another deleted, after a question', async ({ page, open, daemon }) => {
  const died_at = (await daemon.task('invoice-9')).ended_at;
  await open('dead-letters');
  await page.getByRole('button', { name: /^Retry all 3: exit 3/ }).click();
  await page.getByRole('dialog', { name: 'Retry 3 tasks?' }).getByRole('button', { name: 'Retry 3 tasks' }).click();
  await notice(page, '3 tasks are in line again.').waitFor();
  // They fail again, and are back.
  for (const id of ['invoice-9', 'invoice-10', 'invoice-11'])
    await until(`${id} has died again`, async () => {
      const { state, ended_at } = await daemon.task(id);
      return state === 'dead' && ended_at > died_at;
    });
  await group_of(page, /no paper in tray 2/).getByText('3', { exact: true }).waitFor();

  await page.getByRole('button', { name: /^Delete it: ended by SEGV/ }).click();
  const question = page.getByRole('dialog', { name: 'Delete 1 task?' });
  await question.getByRole('button', { name: 'Keep it as it is' }).click();
  assert.equal((await daemon.task('crash-video')).state, 'dead');
  await page.getByRole('button', { name: /^Delete it: ended by SEGV/ }).click();
  await question.getByRole('button', { name: 'Delete 1 task' }).click();
  await group_of(page, /SEGV/).waitFor({ state: 'detached' });
  assert.equal((await fetch(`${daemon.own_url}/api/v1/tasks/crash-video`)).status, 404);
});

scenario('groups are chosen by keys, and done with together', async ({ page, open, daemon }) => {
  for (const id of ['first', 'second'])
    await daemon.push({ id: `all-${id}`, channel: 'cron', task: `dies ${id}`, command: { name: 'sh', args: ['-c', `echo "cause ${id}" >&2; exit 9`] } });
  await daemon.wait_state('all-first', 'dead');
  await daemon.wait_state('all-second', 'dead');
  await open('dead-letters?channel=cron');
  await group_of(page, /cause first/).waitFor();
  await group_of(page, /cause second/).waitFor();
  for (const key of ['j', 'x', 'j', 'x'])
    await page.keyboard.press(key);
  const bar = page.getByRole('region', { name: 'Chosen groups' });
  await bar.getByText('2 groups, 2 tasks').waitFor();
  await bar.getByRole('button', { name: 'Delete the chosen' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete 2 tasks' }).click();
  await page.getByText('No dead letters here.').waitFor();
});
