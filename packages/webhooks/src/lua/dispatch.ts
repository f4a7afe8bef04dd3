import { RedisScript } from '@tiercel/runtime';

/** Makes the deliveries of one entry of the outbox, and takes the entry away. */
export const dispatchScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'lease', 'lease_ms', 'entry', 'tenant', 'job', 'event', 'body', 'limits_json'],
  list: 'receivers',
  parse: (reply) => (reply === null ? undefined : (reply as [number, number, number])),
});
