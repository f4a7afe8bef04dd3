import { RedisScript } from '@tiercel/runtime';

/** How long those tenants have waited for a start whose turn is next, in ms. */
export const readTurnAgeScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'most'],
  parse: Number,
});
