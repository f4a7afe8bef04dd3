import { setTimeout as sleep } from 'node:timers/promises';
import { clientKeyOf } from '@tiercel/contracts';
import type { EventReplay, EventSubscriber, GapListener, JobEnd } from '@tiercel/events';
import type { Reader } from '@tiercel/queue';
import type { Logger } from '@tiercel/runtime';
import type { ClientGroup } from './client-group.ts';
import { readMissedEnd, readMissedState } from './missed-jobs.ts';
import type { SocketCounters } from './socket-counters.ts';

export interface GapRepairParts {
  readonly subscriber: EventSubscriber;
  readonly reader: Reader;
  readonly replay: EventReplay;
  /** The sockets of each client that is connected to this process, by clientKeyOf. */
  readonly groups: ReadonlyMap<string, { readonly group: ClientGroup }>;
  /** All sockets of each tenant that is connected, for jobs without a client. */
  readonly everyone: ReadonlyMap<string, { readonly group: ClientGroup }>;
  readonly counters: SocketCounters;
  readonly log: Logger;
  readonly maxEventBytes: number;
  /** The number of jobs in the queue may have changed during the gap. */
  readonly refreshStatus: () => Promise<void>;
}

const RETRY_MS = 250;
/** WebSocket close code "service restart": the client connects again. */
const SERVICE_RESTART = 1012;

/**
 * Brings sockets up to date after a gap of the subscription: ends of jobs, each once and in their order,
 * then where running ones are. While it is at it, live messages wait in the groups.
 *
 * Every end has a place in the list of all ends, and a live message of an end names it. So all ends
 * after the last one that was received are read, whatever the gap has hidden; nothing is compared with a
 * clock. A further gap while this reads begins it anew; what was sent already is known to the groups.
 */
export class GapRepair implements GapListener {
  readonly #parts: GapRepairParts;
  /** The last end that is known to have been received; undefined while nothing is missing. */
  #from: string | undefined;
  #since = 0;
  #isAtWork = false;

  constructor(parts: GapRepairParts) {
    this.#parts = parts;
  }

  onGap(): void {
    const { subscriber, counters, groups, everyone } = this.#parts;
    counters.gap();
    if (this.#from === undefined) {
      this.#from = subscriber.lastEndId;
      this.#since = Date.now();
    }
    for (const { group } of [...groups.values(), ...everyone.values()]) group.fallBehind();
  }

  onWhole(): void {
    if (!this.#isAtWork) void this.#repair();
  }

  async #repair(): Promise<void> {
    const { subscriber, log, refreshStatus } = this.#parts;
    this.#isAtWork = true;
    while (subscriber.isWhole && this.#from !== undefined) {
      try {
        const repaired = await this.#repairSince(this.#from, subscriber.gaps);
        if (repaired === undefined) continue;
        this.#from = undefined;
        const ms = Date.now() - this.#since;
        log.info({ ms, ...repaired }, 'the subscription had a gap; sockets are up to date again');
        await refreshStatus();
      } catch (error) {
        log.debug({ err: error }, 'the records cannot be read yet');
        await sleep(RETRY_MS);
      }
    }
    // Not whole: it begins anew when it is.
    this.#isAtWork = false;
  }

  /** @returns how much was sent; undefined when another gap came meanwhile */
  async #repairSince(
    from: string,
    gaps: number,
  ): Promise<{ ends: number; states: number } | undefined> {
    const { subscriber, reader, replay, groups, everyone, counters } = this.#parts;
    const isBroken = () => subscriber.gaps !== gaps;
    const all = () => [...everyone.values(), ...groups.values()].map(({ group }) => group);
    const repaired = { ends: 0, states: 0 };
    if (!(await replay.reachesBackTo(from))) {
      // More ends than are kept: the clients come back and get theirs from their own lists.
      for (const group of all()) group.closeBehind(SERVICE_RESTART, 'come back');
    }
    for await (const ends of replay.readEndsAfter(from)) {
      for (const end of ends) {
        const group = this.#groupOf(end);
        if (group === undefined) continue;
        const job = await readMissedEnd(
          end,
          group.lastIdOf(end.promptId),
          this.#recordsOf(end.tenant),
        );
        if (isBroken()) return undefined;
        if (!group.sendMissed(job)) continue;
        counters.repaired('end');
        repaired.ends += 1;
      }
    }
    for (const { id, tenant, clientId } of await reader.listAllRunning()) {
      const group = this.#groupOf({ tenant, clientId });
      if (group === undefined) continue;
      const job = await readMissedState(id, group.lastIdOf(id), this.#recordsOf(tenant));
      if (isBroken()) return undefined;
      if (!group.sendMissed(job)) continue;
      counters.repaired('state');
      repaired.states += 1;
    }
    if (isBroken()) return undefined;
    for (const group of all()) group.resume();
    return repaired;
  }

  #recordsOf(tenant: string) {
    const { reader, replay, maxEventBytes } = this.#parts;
    return { reader: reader.of(tenant), replay: replay.of(tenant), maxEventBytes };
  }

  #groupOf(job: Pick<JobEnd, 'tenant' | 'clientId'>): ClientGroup | undefined {
    const { tenant, clientId } = job;
    const { everyone, groups } = this.#parts;
    if (clientId === undefined) return everyone.get(tenant)?.group;
    return groups.get(clientKeyOf(tenant, clientId))?.group;
  }
}
