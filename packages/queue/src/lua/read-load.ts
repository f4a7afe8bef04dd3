import { RedisScript } from '@tiercel/runtime';
import type { Load, WaitingTenant } from '../forecast/load.ts';
import { numberOf, parseCost, type Row } from '../forecast/rows.ts';

/** What bears on when waiting jobs will start, of all tenants. */
export const readLoadScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix'],
  parse: (reply): Load => {
    const [now, virtualTime, runs, running, counts, sampled] = reply as [
      ...[now: string, virtualTime: string],
      ...[runs: Row[], running: Row[], counts: [number, number, number], sampled: Row[]],
    ];
    const [tenants, comers, held] = counts;
    return {
      nowMs: Number(now),
      virtualTime: Number(virtualTime),
      runs: runs.map(([tenant, started, ended, estimate]) => ({
        tenant: String(tenant),
        ms: Number(ended) - Number(started),
        estimateMs: numberOf(estimate),
      })),
      running: running.map(([taken, known, estimate, followers]) => ({
        ...{ takenAtMs: Number(taken), cost: parseCost(known, estimate) },
        followers: Number(followers),
      })),
      counts: { tenants, comers, held },
      tenants: sampled.map(toTenant),
    };
  },
});

function toTenant(row: Row): WaitingTenant {
  const [set, tenant, tag, weight, most, interval, pending, running, known, estimate] = row;
  return {
    set: set as WaitingTenant['set'], // as the script names them
    id: String(tenant),
    tag: numberOf(tag),
    weight: Number(weight),
    maxRunning: numberOf(most) ?? Infinity,
    intervalMs: Number(interval),
    pending: Number(pending),
    running: Number(running),
    cost: parseCost(known, estimate),
  };
}
