import { RedisScript } from '@tiercel/runtime';

/** Fields of records, of as many as fit: a listing may hold thousands, or a few of 100 MB each. */
export const recordsScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'max_bytes', 'fields_count'],
  list: 'names',
  parse: (reply) => {
    const [count, ...values] = reply as [number, ...(string | null)[]];
    return { count, values };
  },
});
