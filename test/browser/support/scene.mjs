// A small company's afternoon: tasks of every state in several channels, the same each time.
// The tests look for what is named here, and the pictures show it.
import fs from 'node:fs';
import path from 'node:path';

/** A shell's command as the API takes it. */
const shell = (text) => ({ name: 'sh', args: ['-c', text] });

const channels = [
  { name: 'mail', worker: 4, distinct: true },
  { name: 'video', worker: 2 },
  { name: 'reports', worker: 3 },
  { name: 'backup', worker: 1 },
];

/** A program that says what programs of its kind say, and goes on until somebody ends it. */
const transcode = String.raw`#!/bin/sh
printf '\033[1m%s\033[0m: 2400 frames, 48 kHz, 2 audio streams\n' "$1"
for frame in 120 240 360 480 600 720 840 960; do
  printf '\033[32mframe %4d\033[0m of 2400  \033[2m|\033[0m  \033[1m48 fps\033[0m  \033[2m|\033[0m  %d s of picture\n' $frame $((frame / 24))
  [ $frame != 360 ] || printf '\033[33mwarning:\033[0m audio drifts by 12 ms, corrected\n'
  [ $frame != 720 ] || echo 'stream 2: subtitles are missing' >&2
done
exec sleep 3600
`;

/** Ended, whatever else happens. */
const finished = [
  { id: 'newsletter-41', channel: 'mail', task: 'send newsletter 41', command: shell('echo 1204 recipients; echo sent') },
  { id: 'welcome-ada', channel: 'mail', task: 'welcome ada@example.org', command: shell('echo delivered to ada') },
  { id: 'welcome-grace', channel: 'mail', task: 'welcome grace@example.org', command: shell('echo delivered to grace') },
  { id: 'report-monday', channel: 'reports', task: 'sales report, Monday', command: shell('seq -f "row %g" 1 500') },
  { id: 'thumbnails-7', channel: 'video', task: 'thumbnails of film 7', command: shell('echo 24 pictures') },
];
const dead = [
  { id: 'invoice-9', channel: 'reports', task: 'print invoice 9', command: shell('echo printing; echo "no paper in tray 2" >&2; exit 3') },
  { id: 'invoice-10', channel: 'reports', task: 'print invoice 10', command: shell('echo printing; echo "no paper in tray 2" >&2; exit 3') },
  { id: 'invoice-11', channel: 'reports', task: 'print invoice 11', command: shell('echo printing; echo "no paper in tray 2" >&2; exit 3') },
  { id: 'crash-video', channel: 'video', task: 'transcode film 3', command: shell('echo "decoder fault at 00:12:07" >&2; kill -SEGV $$') },
  { id: 'no-program', channel: 'mail', task: 'sign with gpg-agent-9', command: { name: '/opt/none/gpg-agent-9', args: [] } },
];
/** They run until somebody ends them. */
const running = [
  { id: 'transcode-12', channel: 'video', task: 'transcode film 12', command: { name: './transcode', args: ['film-12.mov', '--preset', 'slow'] } },
  { id: 'transcode-13', channel: 'video', task: 'transcode film 13', command: { name: './transcode', args: ['film-13.mov', '--preset', 'fast'] } },
  { id: 'nightly-dump', channel: 'reports', task: 'dump of the shop', command: shell('echo dumping; exec sleep 3600') },
];
/** Behind those that run, in a paused channel, and later. */
const waiting = [
  { id: 'transcode-14', channel: 'video', task: 'transcode film 14', command: { name: './transcode', args: ['film-14.mov'] } },
  { id: 'transcode-15', channel: 'video', task: 'transcode film 15', command: { name: './transcode', args: ['film-15.mov'] } },
  { id: 'backup-home', channel: 'backup', task: 'backup of /home', command: shell('echo saved') },
  { id: 'backup-etc', channel: 'backup', task: 'backup of /etc', command: shell('echo saved') },
  { id: 'reminder-5', channel: 'mail', task: 'remind of invoice 5', command: shell('echo reminder-5 is sent'), delay: 7200 },
  { id: 'newsletter-42', channel: 'mail', task: 'send newsletter 42', command: shell('echo newsletter-42 is sent'), delay: 86400 },
];
const cancelled = { id: 'old-campaign', channel: 'mail', task: 'summer campaign', command: shell('echo old-campaign is sent'), delay: 3600 };

/** Sets it. When it is over every task is in the state that it will keep. */
export async function set_scene(daemon) {
  fs.writeFileSync(path.join(daemon.home, 'transcode'), transcode, { mode: 0o755 });
  const push = (task) => daemon.push({ ...task, cwd: daemon.home });
  for (const channel of channels)
    await daemon.api('POST', '/api/v1/channels', channel);
  await daemon.api('POST', '/api/v1/channels/backup/pause');
  for (const task of [...finished, ...dead, ...running])
    await push(task);
  for (const { id } of finished)
    await daemon.wait_state(id, 'finished');
  for (const { id } of dead)
    await daemon.wait_state(id, 'dead');
  for (const { id } of running)
    await daemon.wait_state(id, 'running');
  for (const task of [...waiting, cancelled])
    await push(task);
  await daemon.api('POST', `/api/v1/tasks/${cancelled.id}/cancel`);
}
