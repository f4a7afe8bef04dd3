import { RedisScript } from '@tiercel/runtime';

/** The leader has ended; a lease that is another's by now stays. */
export const releaseFlightScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['flight'],
  args: ['token'],
  parse: () => undefined,
});
