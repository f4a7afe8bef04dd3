import { RedisScript } from '@tiercel/runtime';

/** Takes a waiter out of lines, and wakes those behind it: a slot that was kept for it may be theirs. */
export const leaveLinesScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'lease', 'stays'],
  list: 'resources',
  parse: () => undefined,
});
