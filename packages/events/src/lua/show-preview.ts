import { RedisScript } from '@tiercel/runtime';

/** Sends a preview of a running job to whoever listens, for as long as the claim is valid. */
export const showPreviewScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'id', 'claim', 'client', 'message', 'keep_s'],
  parse: (reply) => reply === 1,
});
