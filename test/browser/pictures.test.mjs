// Every page as it looks, for people: wide and narrow, light and dark, with a picture of each beside the build. None of them
// may hide anything from those who see little or use no mouse, or stand out of the window.
import { dashboard_tests, check_page, widths } from './support/dashboard.mjs';
import { save_picture } from './support/browser.mjs';
import { set_scene } from './support/scene.mjs';

const scenario = dashboard_tests({ set_scene });

const output_of = (page) => page.getByRole('region', { name: 'Output of the attempt' });

/** Views by their names, and what they show when they are complete. */
const views = [
  { name: 'overview', at: '', shows: (page) => page.getByRole('img', { name: /^Run time: / }) },
  { name: 'channels', at: 'channels', shows: (page) => page.getByRole('link', { name: 'backup', exact: true }) },
  { name: 'tasks', at: 'tasks', shows: (page) => page.getByText('transcode film 14') },
  { name: 'task', at: 'tasks/transcode-12', shows: (page) => output_of(page).getByText('audio drifts by 12 ms') },
  { name: 'dead-task', at: 'tasks/invoice-9', shows: (page) => output_of(page).getByText('no paper in tray 2') },
  { name: 'workers', at: 'workers', shows: (page) => page.getByRole('img', { name: /^video, last/ }) },
  { name: 'workers-table', at: 'workers?view=table', shows: (page) => page.getByRole('region', { name: 'Table of runs' }) },
  { name: 'dead-letters', at: 'dead-letters', shows: (page) => page.getByText('no paper in tray 2').first() },
  { name: 'actors', at: 'actors?actor=router', shows: (page) => page.getByRole('complementary', { name: 'Actor router' }) },
  { name: 'actors-table', at: 'actors?view=table', shows: (page) => page.getByRole('region', { name: 'Table of actors' }) },
];

for (const theme of ['light', 'dark'])
  for (const [width, size] of Object.entries(widths))
    scenario(`every page and dialog is sound, ${width} and ${theme}`, async ({ page, open }) => {
      const problems = [];
      for (const { name, at, shows } of views) {
        await open(at);
        try {
          await shows(page).waitFor();
          await check_page(page);
        } catch (problem) {
          problems.push(`${name}: ${problem.message}`);
        }
        await save_picture(page, `${name}-${width}-${theme}`);
      }
      for (const [key, title] of [['n', 'Push a task'], ['?', 'Keys']]) {
        await page.keyboard.press(key);
        await page.getByRole('dialog', { name: title }).waitFor();
        try {
          await check_page(page);
        } catch (problem) {
          problems.push(`the dialog ${title}: ${problem.message}`);
        }
        await save_picture(page, `${title.toLowerCase().replaceAll(' ', '-')}-${width}-${theme}`);
        await page.keyboard.press('Escape');
        await page.getByRole('dialog', { name: title }).waitFor({ state: 'detached' });
      }
      if (problems.length > 0)
        throw new Error(problems.join('\n\n'));
    }, { size, theme });
