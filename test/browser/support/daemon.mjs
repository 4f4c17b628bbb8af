// The real binary in a directory and on a port of its own, for the tests of one file.
// It ends with them, also when they are killed: the kernel sends it a signal then.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './wait.mjs';

const binary = process.env.TASK_RUNNER_BROWSER_BINARY;
/** How long a daemon may take to start, and to end, milliseconds. */
const start_ms_max = 30_000;
const end_ms_max = 30_000;
/** What a request of a test's own may take, milliseconds. */
const request_ms_max = 20_000;

/** Ends the daemon when this process ends, however it does. */
const leash = spawnSync('setpriv', ['--pdeathsig', 'TERM', 'true']).status === 0 ? ['setpriv', '--pdeathsig', 'TERM'] : [];

function is_alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export class Daemon {
  #home = fs.mkdtempSync(path.join(os.tmpdir(), 'tr-browser-'));
  #flags;
  #child = null;
  #log = '';
  #port = 0;
  /** With `run --tree`: what serves the page's files from the tree, in front of the daemon. */
  #front = null;
  #front_url = '';

  /** `flags` go to the daemon beside those that give it a place of its own. */
  constructor({ flags = [] } = {}) {
    this.#flags = flags;
  }

  /** Where a browser finds it. */
  get url() {
    return this.#front_url || this.own_url;
  }

  /** Where the daemon itself listens. */
  get own_url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get log() {
    return this.#log;
  }

  /** A directory for what tasks need, until the daemon is removed. */
  get home() {
    return this.#home;
  }

  /** Starts it and waits until it serves; after stop(), on the same port. */
  async start() {
    const words = [...leash, binary, '-state-dir', path.join(this.#home, 'state'), '-pidfile', path.join(this.#home, 'pid'),
      '-http-addr', `127.0.0.1:${this.#port}`, '-redis-intake', 'off', ...this.#flags];
    // What a daemon of the caller's is told is not for this one.
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TASK_RUNNER_')));
    this.#log = '';
    this.#child = spawn(words[0], words.slice(1), { cwd: this.#home, env: { ...environment, TZ: 'UTC' }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text) => { this.#log += text; });
    await until('the daemon listens', () => {
      if (this.#child.exitCode !== null)
        throw new Error(`the daemon has ended with ${this.#child.exitCode}:\n${this.#log}`);
      return /listening address=127\.0\.0\.1:(\d+)/.exec(this.#log);
    }, { ms_max: start_ms_max }).then((found) => { this.#port = Number(found[1]); });
    if (process.env.TASK_RUNNER_BROWSER_TREE && !this.#front)
      await this.#start_front();
    await until('the daemon is ready', async () => (await fetch(`${this.own_url}/readyz`)).ok, { ms_max: start_ms_max });
  }

  async #start_front() {
    const script = fileURLToPath(new URL('../dev_server.mjs', import.meta.url));
    const words = [...leash, process.execPath, script, '--daemon', this.own_url, '--port', '0',
      '--vendor', path.join(path.dirname(binary), 'web_packages/vendor')];
    this.#front = spawn(words[0], words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    this.#front.stdout.setEncoding('utf8').on('data', (text) => { said += text; });
    this.#front_url = (await until('the dev server listens', () => /^(http:\S+)\/ /.exec(said), { ms_max: start_ms_max }))[1];
  }

  /** One request of the API; gives `data`, and throws with the daemon's words where it is refused. */
  async api(method, target, body) {
    const response = await fetch(this.own_url + target, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(request_ms_max),
    });
    const envelope = await response.json();
    if (!response.ok)
      throw new Error(`${method} ${target} is answered ${response.status}: ${envelope.message}`);
    return envelope.data;
  }

  /** Pushes a task that is none which is there already. */
  async push(task) {
    const pushed = await this.api('POST', '/api/v1/tasks', task);
    if (!pushed.result)
      throw new Error(`${JSON.stringify(task)} is the same as ${pushed.task_id}`);
    return pushed.task_id;
  }

  task(id) {
    return this.api('GET', `/api/v1/tasks/${id}`);
  }

  /** Waits until the task is in the state, and gives it. */
  wait_state(id, state) {
    return until(`${id} is ${state}`, async () => {
      const task = await this.task(id);
      return task.state === state && task;
    });
  }

  /** Ends it with all that runs; it may be started again. */
  async stop() {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null)
      return;
    const ended = new Promise((resolve) => { this.#child.once('exit', resolve); });
    await this.api('POST', '/api/v1/stop', { now: true });
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), end_ms_max);
    const code = await ended;
    clearTimeout(timer);
    if (code !== 0)
      throw new Error(`the daemon has ended with ${code}:\n${this.#log}`);
  }

  /** Ends it for good: its launcher, too, and its directory. */
  async remove() {
    this.#front?.kill();
    try {
      await this.stop();
    } finally {
      const file = path.join(this.#home, 'state/launcher.pid');
      const launcher = fs.existsSync(file) ? Number.parseInt(fs.readFileSync(file, 'utf8'), 10) : 0;
      if (launcher > 0 && is_alive(launcher)) {
        process.kill(launcher, 'SIGTERM');
        await until('the launcher has left', () => !is_alive(launcher), { ms_max: end_ms_max });
      }
      fs.rmSync(this.#home, { recursive: true, force: true });
    }
  }
}
