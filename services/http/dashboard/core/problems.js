// What deserves somebody's attention now, in sentences: the overview's banner. Pure: from what the daemon tells.

/** A task that waits so long while its channel runs nothing is called stalled. Seconds. */
const stalled_after_s = 60;

const waiting = (number) => (number === 1 ? '1 task waits' : `${number.toLocaleString('en-US')} tasks wait`);

function problem_of_channel(channel, oldest_wait_s) {
  const { name, state, worker, counts } = channel;
  if (state === 'failed')
    return { channel: name, kind: 'failed', text: `Channel ${name} has failed: ${channel.error ?? 'its actors do not answer'}.` };
  if (counts.pending === 0)
    return null;
  if (state !== 'open')
    return { channel: name, kind: 'paused', text: `Channel ${name} is paused, and ${waiting(counts.pending)}.` };
  if (worker === 0)
    return { channel: name, kind: 'no_workers', text: `Channel ${name} has no workers, and ${waiting(counts.pending)}.` };
  if (counts.running === 0 && oldest_wait_s > stalled_after_s)
    return { channel: name, kind: 'stalled', text: `Channel ${name} runs nothing, and ${waiting(counts.pending)}.` };
  return null;
}

/**
 * All problems, the worst first: [{kind, text, channel?}]. `daemon` as GET /api/v1/daemon has it, `channels` as the list
 * of channels, `speeds` a map from a channel's name to its statistics; each may be null before it came.
 */
export function find_problems(daemon, channels, speeds) {
  const found = [];
  for (const reason of daemon?.not_ready ?? [])
    found.push({ kind: 'not_ready', text: `The daemon is not ready: ${reason}.` });
  if (daemon?.state === 'draining')
    found.push({ kind: 'draining', text: 'The daemon drains: what runs may end, nothing more is started.' });
  if (daemon && !daemon.task_mode)
    found.push({ kind: 'task_mode_off', text: 'Tasks are accepted and none is run: the daemon was started with task-mode off.' });
  for (const source of daemon?.sources ?? [])
    if (!source.healthy)
      found.push({ kind: 'source', text: `Nothing comes in through ${source.name}: ${source.last_error}.${source.name === 'redis' ? ' Where none is wanted, start the daemon with -redis-intake off.' : ''}` });
  for (const channel of channels ?? []) {
    const problem = problem_of_channel(channel, speeds?.get(channel.name)?.oldest_wait_s ?? 0);
    if (problem)
      found.push(problem);
  }
  return found;
}
