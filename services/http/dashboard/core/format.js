// Numbers, times and outcomes as people read them. Times are shown in the browser's zone; titles hold them in full.

/** 1234567 -> "1,234,567". */
export const count = (number) => (number ?? 0).toLocaleString('en-US');

/** 1234567 -> "1.2 M": for figures that must stay narrow. */
export function short_count(number) {
  const units = [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']];
  for (const [size, name] of units)
    if (number >= size) {
      const value = name === 'k' ? number / 1e3 : number / size;
      return `${value >= 100 ? Math.round(value) : value.toFixed(1)} ${name}`;
    }
  return count(Math.round(number));
}

/** Seconds -> "9 ms", "3.0 s", "2 m 5 s", "4 h 10 m", "3 d 2 h"; null -> "–". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds))
    return '–';
  if (seconds < 0)
    seconds = 0;
  if (seconds < 1)
    return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10)
    return `${seconds.toFixed(1)} s`;
  if (seconds < 60)
    return `${Math.floor(seconds)} s`;
  const whole = Math.floor(seconds);
  if (whole < 3600)
    return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  if (whole < 86_400)
    return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} m`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor(whole / 3600) % 24} h`;
}

/** The seconds from an ISO time to `now_ms`; null for null. */
const seconds_since = (iso, now_ms) => (iso ? (now_ms - Date.parse(iso)) / 1000 : null);

/** "14:03:07" today, "Nov 23 14:03" before that and after. */
export function moment(iso, now_ms = Date.now()) {
  if (!iso)
    return '–';
  const when = new Date(iso);
  const now = new Date(now_ms);
  if (when.toDateString() === now.toDateString())
    return when.toLocaleTimeString('en-GB');
  const day = when.toLocaleDateString('en-US', { month: 'short', day: 'numeric' });
  const year = when.getFullYear() === now.getFullYear() ? '' : ` ${when.getFullYear()}`;
  return `${day}${year} ${when.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })}`;
}

/** "3 m ago", "in 5 s". */
export function from_now(iso, now_ms) {
  const seconds = seconds_since(iso, now_ms);
  if (seconds === null)
    return '–';
  if (Math.abs(seconds) < 1)
    return 'now';
  const length = coarse(Math.abs(seconds));
  return seconds > 0 ? `${length} ago` : `in ${length}`;
}

function coarse(seconds) {
  for (const [size, name] of [[86_400, 'd'], [3600, 'h'], [60, 'm']])
    if (seconds >= size)
      return `${Math.floor(seconds / size)} ${name}`;
  return `${Math.floor(seconds)} s`;
}

/** Bytes -> "5 B", "1.2 KiB". */
export function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = number ?? 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    ++unit;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const signal_names = { 1: 'HUP', 2: 'INT', 3: 'QUIT', 4: 'ILL', 6: 'ABRT', 7: 'BUS', 8: 'FPE', 9: 'KILL', 10: 'USR1',
  11: 'SEGV', 12: 'USR2', 13: 'PIPE', 14: 'ALRM', 15: 'TERM', 24: 'XCPU', 25: 'XFSZ' };

/** How an attempt ended, in a few words: "exit 3", "killed by TERM", "timed out". */
export function outcome(ended) {
  if (!ended)
    return '–';
  switch (ended.kind) {
    case 'exited': return `exit ${ended.code}`;
    case 'signalled': return `ended by ${signal_names[ended.signal] ?? `signal ${ended.signal}`}`;
    case 'timed_out': return 'timed out';
    case 'spawn_failed': return 'could not start';
    default: return ended.kind;
  }
}

/** A command as one line: words of an argv are joined, quoted where they need it. */
export function command(task) {
  const given = task.command;
  if (typeof given === 'string')
    return given;
  return [given.name, ...(given.args ?? [])].map(quote).join(' ');
}

/** A word as a POSIX shell reads it back. */
export const quote = (word) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${String(word).replaceAll("'", "'\\''")}'`);

/** A rate: "0.4/s", "12/s", "3.1 k/s"; under one per 10 s per minute. */
export function rate(per_second) {
  if (per_second === null || per_second === undefined)
    return '–';
  if (per_second === 0)
    return '0/s';
  if (per_second < 0.1)
    return `${(per_second * 60).toFixed(1)}/min`;
  return `${per_second < 10 ? per_second.toFixed(1) : short_count(per_second)}/s`;
}
