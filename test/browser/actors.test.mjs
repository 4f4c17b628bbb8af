// The page of actors, used as a person would: a map of them, a panel with what one does, and the same as a table.
import assert from 'node:assert/strict';
import { dashboard_tests } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';

const scenario = dashboard_tests({ set_scene });

const map_of = (page) => page.getByRole('region', { name: 'Map of the actors' });

scenario('every actor stands on the map, and a press opens what is known of it', async ({ page, open, daemon }) => {
  await open('actors');
  const { items } = await daemon.api('GET', '/api/v1/actors?limit=1000');
  const nodes = map_of(page).getByRole('link');
  await nodes.first().waitFor();
  const names = await nodes.evaluateAll((all) => all.map((node) => node.dataset.actor));
  assert.deepEqual(items.map(({ name }) => name).filter((name) => !names.includes(name)), []);
  await map_of(page).getByRole('link', { name: /, router$/ }).click();
  const panel = page.getByRole('complementary', { name: 'Actor router' });
  await panel.getByRole('region', { name: 'Messages by kind' }).waitFor();
  await panel.getByRole('region', { name: 'What goes in and out' }).waitFor();
  assert.match(page.url(), /actor=router/);
  await page.reload();
  await panel.waitFor();
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
});

scenario('the map is walked by arrows', async ({ page, open }) => {
  await open('actors');
  const nodes = map_of(page).getByRole('link');
  await nodes.first().waitFor();
  await map_of(page).locator('[tabindex="0"][data-actor]').focus();
  const first = await page.evaluate(() => document.activeElement.dataset.actor);
  await page.keyboard.press('ArrowRight');
  const second = await page.evaluate(() => document.activeElement.dataset.actor);
  assert.ok(second);
  assert.notEqual(second, first);
  await page.keyboard.press('Enter');
  await page.getByRole('complementary', { name: `Actor ${second}` }).waitFor();
});

scenario('the table has the same figures, in an order of choice', async ({ page, open }) => {
  await open('actors');
  await page.getByRole('button', { name: 'Show as a table' }).click();
  const table = page.getByRole('region', { name: 'Table of actors' });
  await table.getByRole('link', { name: 'router', exact: true }).waitFor();
  await table.getByRole('button', { name: 'Handled' }).click();
  await table.getByRole('columnheader', { name: 'Handled' }).and(page.locator('[aria-sort=descending]')).waitFor();
  await page.getByLabel('Filter by channel').fill('video');
  await table.getByRole('link', { name: 'router', exact: true }).waitFor({ state: 'detached' });
  await table.getByRole('link', { name: /video/ }).first().waitFor();
  await page.getByLabel('Filter by channel').fill('none is called so');
  await page.getByText('No channel has such a name.').waitFor();
});
