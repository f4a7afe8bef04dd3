import { RedisScript } from '@tiercel/runtime';
import { parseWake } from '../wake.ts';

/** Changes what a tenant may, for what waits already too. Replies who is to be woken. */
export const putLimitsScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'tenant', 'limits'],
  parse: (reply) => parseWake(reply as unknown[]),
});
