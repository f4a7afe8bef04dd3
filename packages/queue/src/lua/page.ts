import { RedisScript } from '@tiercel/runtime';

/** One page over several sorted sets as if they were one; its cost does not grow with what lies before it. */
export const pageScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['order', 'first', 'most'],
  list: 'sets',
  parse: (reply) => {
    const [total, ...members] = reply as [number, ...string[]];
    return { total, members };
  },
});
