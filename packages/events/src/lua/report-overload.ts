import { RedisScript } from '@tiercel/runtime';

/** A process says how overloaded it is, to administrators and to workers. */
export const reportOverloadScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'process', 'text', 'order', 'kept_ms'],
  parse: () => undefined,
});
