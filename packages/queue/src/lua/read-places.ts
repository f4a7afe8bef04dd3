import { RedisScript } from '@tiercel/runtime';
import type { Place, Places } from '../forecast/load.ts';
import { numberOf, parseCost, rankOf, type Row } from '../forecast/rows.ts';

/** Where jobs of one tenant stand, and what bears on their turn and is the tenant's own. */
export const readPlacesScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'tenant'],
  list: 'ids',
  parse: (reply): Places => {
    const [facts, running, first, places] = reply as [Row, Row[], Row[], Row[]];
    const [now, set, tag, rank, weight, most, interval, soft, started] = facts;
    return {
      nowMs: Number(now),
      set: set as Places['set'], // as the script names them
      tag: numberOf(tag),
      turn: rankOf(rank),
      weight: Number(weight),
      maxRunning: numberOf(most) ?? Infinity,
      intervalMs: Number(interval),
      isSoft: soft === 1,
      lastStartMs: numberOf(started),
      running: running.map(([taken, known, estimate]) => ({
        ...{ takenAtMs: Number(taken), cost: parseCost(known, estimate) },
      })),
      first: first.map(([known, estimate]) => parseCost(known, estimate)),
      jobs: places.map(toPlace),
    };
  },
});

function toPlace(row: Row): Place | undefined {
  const [state, rank, ready, inGroup, ...more] = row;
  const [headTaken, headKnown, headEstimate, taken, known, estimate] = more;
  const cost = parseCost(known, estimate);
  if (state === 'running') return { state, takenAtMs: Number(taken), cost };
  const place = rankOf(rank);
  // It may have been given to a worker between two reads: then it is of the next.
  if (state !== 'pending' || place === undefined) return undefined;
  const head = numberOf(headTaken);
  return {
    ...{ state, rank: place, readyRank: rankOf(ready), groupRank: rankOf(inGroup), cost },
    groupHead:
      head === undefined
        ? undefined
        : { takenAtMs: head, cost: parseCost(headKnown, headEstimate) },
  };
}
