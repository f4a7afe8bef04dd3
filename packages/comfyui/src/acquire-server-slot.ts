import type { GraphAnalysis } from '@tiercel/graph';
import { AttemptError, AttemptStopped } from '@tiercel/routing';
import type { Clock } from '@tiercel/runtime';
import type { Slot } from '@tiercel/slots';
import { chooseServers, modelsKey } from './choose-server.ts';
import type { PoolServer } from './pool-server.ts';
import type { ServerCandidate, ServerSlots } from './slots.ts';

export interface SlotRequest {
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

/** A server to run on, and the slot that is held there. */
export interface ServerSlot {
  readonly server: PoolServer;
  readonly slot: Slot;
}

/**
 * Waits for a slot on the best server that can run the graph now. The pool may change meanwhile. A server
 * that this or another attempt has failed on lately is taken only when no other is up, and never one without the
 * memory for it.
 * @throws AttemptError when no server that can run it has answered for `unavailableMs`, or the others are out
 *         of memory; AttemptStopped
 */
export async function acquireServerSlot(
  pool: readonly PoolServer[],
  slots: ServerSlots,
  { graph, signal, tried, unavailableMs, tier, clock }: SlotRequest,
): Promise<ServerSlot> {
  const models = modelsKey(graph);
  let nobodySince: number | undefined;
  const choose = (): { candidates: readonly ServerCandidate[]; againInMs?: number } => {
    const roomy = pool.filter(({ url }) => tried.get(url)?.class !== 'capacity');
    const { able, obstacles } = chooseServers(graph, models, roomy);
    const fresh = able.filter(({ url }) => !tried.has(url));
    const calm = fresh.filter(({ url }) => !pool.some((one) => one.url === url && one.isSuspect));
    const candidates = [calm, fresh, able].find(({ length }) => length > 0);
    if (candidates !== undefined) {
      nobodySince = undefined;
      return { candidates };
    }
    const full = [...tried.values()].find((error) => error.class === 'capacity');
    if (full !== undefined) throw full;
    nobodySince ??= clock.now();
    const waitedMs = clock.now() - nobodySince;
    if (waitedMs <= unavailableMs) {
      return { candidates: [], againInMs: unavailableMs - waitedMs + 1 };
    }
    const why = obstacles[0] ?? 'no server answers';
    throw new AttemptError('network', `no server of ${tier} can run it: ${why}`);
  };
  while (!signal.aborted) {
    const taken = await slots.acquireSlot(choose, signal);
    if (taken === undefined) break;
    const server = pool.find(({ url }) => url === taken.url);
    if (server !== undefined) {
      server.lastModels = models;
      return { server, slot: taken.slot };
    }
    // The server left the pool meanwhile: nobody else would give this slot back.
    taken.slot.release().catch(() => undefined);
  }
  throw new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
}
