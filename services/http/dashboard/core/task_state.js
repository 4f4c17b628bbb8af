// One task, kept current: loaded again when the stream tells of it, and now and then, as nobody tells of what retention deletes.
import { tasks as api } from './api.js';
import { useState } from './html.js';
import { useEvents } from './live.js';
import { usePaced } from './pace.js';
import { useResource } from './resource.js';
import { changed_by } from './task_changes.js';

const refresh_ms = 700;
const check_ms = 15_000;

/**
 * {task, error, is_gone, reload}: `task` is null before it came; `is_gone`: there is no such task (any more).
 */
export function useTask(id) {
  const [event, set_event] = useState(null);
  const { data, error, reload } = useResource(async (signal) => {
    const task = await api.get(id, signal);
    set_event(null);
    return task;
  }, [id], { every_ms: check_ms });
  const ask = usePaced(reload, refresh_ms);
  useEvents((batch) => {
    const told = batch.findLast(({ kind, data: about }) => kind === 'task' && about.id === id);
    if (told)
      set_event(told.data);
    if ((told && !told.data.deleted) || batch.some(({ kind }) => kind === 'reset'))
      ask();
  });
  const is_gone = error?.status === 404 || Boolean(event?.deleted);
  return { task: data && event ? changed_by(data, event) : data, error: is_gone ? null : error, is_gone, reload };
}
