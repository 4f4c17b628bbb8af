// A real Chromium, and pages of it that are watched: whatever a page complains of, whatever breaks its rules, and whatever
// it asks of anybody but the daemon makes the test fail.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

/** Where `run` has installed package.json; the tree has no node_modules. */
const tools = createRequire(path.join(process.env.TASK_RUNNER_BROWSER_TOOLS, 'package.json'));
const { chromium } = tools('playwright-core');
const axe_source = tools('axe-core').source;

/** How long something that a page is to show may take, milliseconds. */
export const page_ms_max = 20_000;

export const widths = { wide: { width: 1280, height: 800 }, narrow: { width: 390, height: 844 } };

export function open_browser() {
  // Chromium's sandbox needs a user who is not root.
  return chromium.launch({
    executablePath: execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
}

/** What a page did wrong. */
export class Watch {
  #found = [];
  #allowed = [];

  constructor(context, origin) {
    this.origin = origin;
    context.on('console', (message) => {
      if (['error', 'warning', 'assert'].includes(message.type()))
        this.add(`console: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (problem) => this.add(`exception: ${problem.error().stack ?? problem.error()}`));
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.origin !== this.origin && url.protocol !== 'data:' && url.protocol !== 'blob:')
        this.add(`request to another origin: ${request.method()} ${request.url()}`);
    });
    context.on('requestfailed', (request) => {
      // What a page no longer wants when it is left is no failure.
      if (request.failure()?.errorText !== 'net::ERR_ABORTED')
        this.add(`failed request: ${request.method()} ${request.url()}: ${request.failure()?.errorText}`);
    });
    context.on('response', (response) => {
      if (response.status() >= 400)
        this.add(`answered ${response.status()}: ${response.request().method()} ${response.url()}`);
    });
  }

  add(text) {
    this.#found.push(text);
  }

  /** From here on and before, what matches is meant to happen. */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  /** What nobody allowed. */
  get found() {
    return this.#found.filter((text) => !this.#allowed.some((pattern) => pattern.test(text)));
  }
}

/** A context of its own, whose pages are watched: {context, watch}. */
export async function open_context(browser, daemon, { size = widths.wide, theme = 'light' } = {}) {
  const context = await browser.newContext({
    viewport: size, colorScheme: theme, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC', baseURL: daemon.url,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(page_ms_max);
  const watch = new Watch(context, daemon.url);
  await context.exposeBinding('tell_test_of_violation', (_, text) => watch.add(text));
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => globalThis.tell_test_of_violation(
      `Content-Security-Policy: ${event.effectiveDirective} forbids ${event.blockedURI} (${event.sourceFile}:${event.lineNumber} ${event.sample})`));
  });
  return { context, watch };
}

/** The rules that pages are held to: what the law asks for, and what is simply good. */
const accessibility_rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds wrong with the page as it is, a text each. */
export async function accessibility_faults(page) {
  await page.evaluate(axe_source);
  const { violations } = await page.evaluate((rules) => globalThis.axe.run(document, {
    runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'],
  }), accessibility_rules);
  return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 200)} — ${node.any.concat(node.all, node.none).map(({ message }) => message).join('; ')}`));
}

/** Saves a picture of the page for people to look at. */
export async function save_picture(page, name) {
  const folder = process.env.TASK_RUNNER_BROWSER_PICTURES;
  fs.mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}
