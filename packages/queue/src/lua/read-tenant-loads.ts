import { RedisScript } from '@tiercel/runtime';

interface Load {
  readonly pending: number;
  readonly running: number;
  readonly plan: string | undefined;
}

/** How many jobs of some tenants wait and run, and what plan each tenant has; in the order of the tenants. */
export const readTenantLoadsScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix'],
  list: 'ids',
  parse: (reply): Load[] => {
    const values = reply as (number | string)[];
    return Array.from({ length: values.length / 3 }, (_, index) => {
      const [pending, running, plan] = values.slice(index * 3, index * 3 + 3);
      return {
        ...{ pending: Number(pending), running: Number(running) },
        plan: plan === '' ? undefined : String(plan),
      };
    });
  },
});
