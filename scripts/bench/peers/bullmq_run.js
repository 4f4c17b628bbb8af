// The same work through BullMQ: /bin/true once per job, its output read, from a queue in Redis.
// usage: node bullmq_run.js REDIS_PORT JOBS WORKERS     prints the seconds from first push to last end
//        node bullmq_run.js --version                   prints which BullMQ that would be
'use strict';
const { spawn } = require('child_process');
const { readFileSync } = require('fs');
const { dirname, join } = require('path');
const { Queue, Worker } = require('bullmq');

const [port, jobs, workers] = process.argv.slice(2).map(Number);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };

function runCommand() {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/true', [], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.resume();
    child.stderr.resume();
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`exit code ${code}`))));
  });
}

// A package need not let its package.json be required, so it is looked for above the file that is.
function readVersion() {
  let directory = dirname(require.resolve('bullmq'));
  for (;;) {
    try {
      const found = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
      if (found.name === 'bullmq') return found.version;
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
    if (dirname(directory) === directory) throw new Error('BullMQ has no package.json');
    directory = dirname(directory);
  }
}

async function main() {
  const queue = new Queue('bench', { connection });
  const worker = new Worker('bench', runCommand, { connection, concurrency: workers });
  await queue.waitUntilReady();
  await worker.waitUntilReady();
  let ended = 0;
  const allEnded = new Promise((resolve, reject) => {
    worker.on('completed', () => (++ended === jobs ? resolve() : undefined));
    worker.on('failed', (_job, error) => reject(error));
    worker.on('error', reject);
  });
  const began = process.hrtime.bigint();
  for (let first = 0; first < jobs; first += 1000) {
    const length = Math.min(1000, jobs - first);
    await queue.addBulk(Array.from({ length }, (_, i) => ({ name: 'true', data: first + i })));
  }
  await allEnded;
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
}

if (process.argv[2] === '--version') {
  console.log(readVersion());
} else {
  main().catch((error) => {
    console.error(String(error));
    process.exit(1);
  });
}
