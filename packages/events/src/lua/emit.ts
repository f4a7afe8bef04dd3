import { RedisScript } from '@tiercel/runtime';

/** Publishes a batch of events of a running job, once, for as long as the claim is valid. */
export const emitScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...(['prefix', 'id', 'claim', 'batch', 'waits', 'client'] as const),
    ...(['max_batches', 'max_bytes', 'ttl_s'] as const),
  ],
  list: 'frames',
  parse: (reply) => reply as 'done' | 'void' | 'early',
});
