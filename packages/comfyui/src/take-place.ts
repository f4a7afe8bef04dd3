import type { GraphAnalysis } from '@tiercel/graph';
import { AttemptError, AttemptStopped } from '@tiercel/routing';
import type { Clock } from '@tiercel/runtime';
import { chooseServers, modelsKey } from './choose-server.ts';
import type { PoolServer } from './pool-server.ts';
import type { ServerSlots, Slot } from './slots.ts';

/** Places that other workers give back are noticed after so long. */
const SLOT_POLL_MS = 25;

export interface PlaceWish {
  readonly graph: GraphAnalysis;
  readonly signal: AbortSignal;
  /** Servers that this attempt has failed on, and how. */
  readonly tried: ReadonlyMap<string, AttemptError>;
  /** How long to wait for a server that can run it when none is up. */
  readonly unavailableMs: number;
  /** Of the tier, for messages. */
  readonly tier: string;
  readonly clock: Clock;
}

/** A server to run on, and the place that is held there. */
export interface Place {
  readonly server: PoolServer;
  readonly slot: Slot;
}

/**
 * Waits for a place on the best server that can run the graph now. The pool may change meanwhile. A server
 * that this or another attempt has failed on lately is taken only when no other is up, and never one without the
 * memory for it.
 * @throws AttemptError when no server that can run it has answered for `unavailableMs`, or the others are out
 *         of memory; AttemptStopped
 */
export async function takePlace(
  pool: readonly PoolServer[],
  slots: ServerSlots,
  lease: string,
  { graph, signal, tried, unavailableMs, tier, clock }: PlaceWish,
): Promise<Place> {
  const models = modelsKey(graph);
  let nobodySince: number | undefined;
  for (;;) {
    if (signal.aborted) throw new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
    const roomy = pool.filter(({ url }) => tried.get(url)?.class !== 'capacity');
    const { able, obstacles } = chooseServers(graph, models, roomy);
    const fresh = able.filter(({ url }) => !tried.has(url));
    const calm = fresh.filter(({ url }) => !pool.some((one) => one.url === url && one.isSuspect));
    const wishes = [calm, fresh, able].find(({ length }) => length > 0) ?? [];
    const taken = wishes.length === 0 ? undefined : await slots.acquire(wishes, lease, signal);
    const server = taken === undefined ? undefined : pool.find(({ url }) => url === taken.url);
    if (taken !== undefined && server !== undefined) {
      server.lastModels = models;
      return { server, slot: taken.slot };
    }
    // The server left the pool meanwhile: nobody else would give this place back.
    taken?.slot.release().catch(() => undefined);
    if (able.length === 0) {
      const full = [...tried.values()].find((error) => error.class === 'capacity');
      if (full !== undefined) throw full;
      nobodySince ??= clock.now();
      if (clock.now() - nobodySince > unavailableMs) {
        const why = obstacles[0] ?? 'no server answers';
        throw new AttemptError('network', `no server of ${tier} can run it: ${why}`);
      }
    } else {
      nobodySince = undefined;
    }
    await slots.freed(SLOT_POLL_MS);
  }
}
