import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { workerId, type Priority } from '@tiercel/contracts';
import { createClaimId } from './consumer.ts';
import type { TakenJob } from './taken-job.ts';
import { newJob, openQueueParts, result, type QueueParts } from './queue.test-helpers.ts';
import type { TenantLimits } from './tenant-limits.ts';

export type Command =
  | {
      readonly kind: 'add';
      readonly tenant: number;
      readonly api: number;
      readonly number: number | undefined;
      readonly front: boolean;
      readonly priority: Priority;
    }
  | { readonly kind: 'take'; readonly worker: number }
  | {
      readonly kind: 'finish';
      readonly pick: number;
      readonly runMs: number;
      readonly goesOn: boolean;
    }
  | { readonly kind: 'hand back' | 'die' | 'cancel'; readonly pick: number }
  | { readonly kind: 'limit'; readonly tenant: number; readonly limits: TenantLimits }
  | { readonly kind: 'wait' };

interface ModelJob {
  readonly id: string;
  readonly tenant: number;
  readonly number: number;
  readonly arrival: number;
  /** 0 high, 1 normal, 2 low. */
  readonly priority: number;
  state: 'pending' | 'running' | 'ended' | 'gone';
  taken: TakenJob | undefined;
  worker: number;
}

let models = 0;
const APIS = 3;
const WORKERS = 4;

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`there is no ${index} of ${list.length}`);
  return item;
}

/** What the queue is to hold after each command, and what it may answer. */
export class QueueModel {
  readonly #clients: readonly QueueParts[];
  readonly #limits: TenantLimits[];
  readonly #jobs: ModelJob[] = [];
  /** Of each tenant, by Redis' clock. */
  readonly #lastStart: number[] = [0, 0, 0, 0];
  #permits = 0;

  constructor(redisUrl: string, limits: readonly TenantLimits[]) {
    const prefix = `model${(models += 1)}`;
    this.#clients = Array.from({ length: APIS + WORKERS }, () => openQueueParts(redisUrl, prefix));
    this.#limits = [...limits];
  }

  async apply(command: Command): Promise<void> {
    switch (command.kind) {
      case 'add': {
        await this.#add(command);
        return;
      }
      case 'take': {
        await this.#take(command.worker);
        return;
      }
      case 'finish': {
        await this.#finish(command);
        return;
      }
      case 'hand back': {
        await this.#withRunning(command.pick, async (job, taken) => {
          await this.#worker(job.worker).consumer.handBack(taken);
          Object.assign(job, { state: 'pending', taken: undefined });
        });
        return;
      }
      case 'die': {
        await this.#die(command.pick);
        return;
      }
      case 'cancel': {
        await this.#cancel(command.pick);
        return;
      }
      case 'limit': {
        const { tenant, limits } = command;
        this.#limits[tenant] = limits;
        await this.#api(0).producer.putLimits(`t${tenant}`, limits);
        return;
      }
      case 'wait':
        await sleep(15);
    }
  }

  /** Runs all that is left, with the limits as they are. */
  async drain(): Promise<void> {
    while (this.#jobs.some(({ state }) => state === 'pending' || state === 'running')) {
      const before = this.#count('running');
      await this.#take(0);
      if (this.#count('running') > before) continue;
      if (before > 0) await this.#finish({ pick: 0, runMs: 10, goesOn: true });
      else await sleep(5);
    }
  }

  expectedEnded(): string[] {
    return this.#jobs.flatMap(({ id, state }) => (state === 'ended' ? [id] : [])).sort();
  }

  async readEnded(): Promise<string[]> {
    const { reader } = this.#api(0);
    expect(await reader.countWholeQueue()).toEqual({ pending: 0, running: 0 });
    const ended = [0, 1, 2, 3].map((tenant) => reader.of(`t${tenant}`).listHistoryIds({}));
    return (await Promise.all(ended)).flat().sort();
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
  }

  #api(index: number): QueueParts {
    return at(this.#clients, index);
  }

  #worker(index: number): QueueParts {
    return at(this.#clients, APIS + index);
  }

  #count(state: ModelJob['state'], tenant?: number): number {
    return this.#jobs.filter(
      (job) => job.state === state && (tenant === undefined || job.tenant === tenant),
    ).length;
  }

  async #add(command: Command & { kind: 'add' }): Promise<void> {
    const { tenant, api, front, priority } = command;
    const id = `j${this.#jobs.length}`;
    const { producer } = this.#api(api);
    const job = newJob(id, {
      ...{ front, number: command.number, priority },
      tenant: { id: `t${tenant}`, limits: at(this.#limits, tenant) },
    });
    const { number } = await producer.enqueue(job);
    await producer.release(job.id, job.tenant?.id);
    this.#jobs.push({
      ...{ id, tenant, number, arrival: this.#jobs.length },
      priority: ['high', 'normal', 'low'].indexOf(priority),
      ...{ state: 'pending', taken: undefined, worker: 0 },
    });
  }

  async #take(worker: number): Promise<void> {
    const startableBefore = this.#listStartable(await this.#readTime());
    const permit = `p${(this.#permits += 1)}`;
    const taken = await this.#worker(worker).consumer.take(permit, workerId(`w${worker}`));
    if (taken === undefined) expect(startableBefore).toEqual([]);
    else this.#started(taken, worker);
  }

  async #finish({
    pick,
    runMs,
    goesOn,
  }: Omit<Command & { kind: 'finish' }, 'kind'>): Promise<void> {
    await this.#withRunning(pick, async (job, taken) => {
      const worker = this.#worker(job.worker);
      const reply = await worker.consumer.finish(
        taken,
        result(job.id, 'success', taken.takenAtMs + runMs),
        taken.takenAtMs,
        goesOn ? { worker: workerId(`w${job.worker}`), claimId: createClaimId() } : undefined,
      );
      expect(reply.ours).toBe(true);
      Object.assign(job, { state: 'ended', taken: undefined });
      if (reply.next !== undefined) this.#started(reply.next, job.worker);
    });
  }

  /** A worker dies and BullMQ delivers its permit to another: the same job, and the dead one can do nothing more. */
  async #die(pick: number): Promise<void> {
    await this.#withRunning(pick, async (job, taken) => {
      const heir = (job.worker + 1) % WORKERS;
      const again = await this.#worker(heir).consumer.take(taken.permit, workerId(`w${heir}`));
      expect([again?.promptId, again?.attempt]).toEqual([job.id, taken.attempt + 1]);
      const late = await this.#worker(job.worker).consumer.finish(
        ...[taken, result(job.id), Date.now(), undefined],
      );
      expect(late.ours).toBe(false);
      Object.assign(job, { taken: again, worker: heir });
    });
  }

  async #cancel(pick: number): Promise<void> {
    const pending = this.#jobs.filter(({ state }) => state === 'pending');
    const job = pending[pick % Math.max(1, pending.length)];
    if (job === undefined) return;
    const editor = this.#api(1).editor.of(`t${job.tenant}`);
    expect(await editor.deletePending([job.id])).toBe(1);
    job.state = 'gone';
  }

  async #withRunning(
    pick: number,
    act: (job: ModelJob, taken: TakenJob) => Promise<void>,
  ): Promise<void> {
    const running = this.#jobs.filter(({ state }) => state === 'running');
    const job = running[pick % Math.max(1, running.length)];
    if (job?.taken !== undefined) await act(job, job.taken);
  }

  /** Checks that this job might be started now. */
  #started(taken: TakenJob, worker: number): void {
    const job = this.#jobs.find(({ id }) => id === taken.promptId);
    if (job === undefined) throw new Error(`${taken.promptId} was never added`);
    expect(job.state).toBe('pending');
    const waiting = this.#jobs
      .filter(({ state, tenant }) => state === 'pending' && tenant === job.tenant)
      .sort((a, b) => a.priority - b.priority || a.number - b.number || a.arrival - b.arrival);
    expect(job.id).toBe(waiting[0]?.id);
    if (!this.#isStartable(job.tenant, taken.takenAtMs)) {
      // Over its limits: then they are soft, and nobody else could start.
      expect(this.#limits[job.tenant]?.soft).toBe(true);
      const others = [0, 1, 2, 3].filter((tenant) => this.#isStartable(tenant, taken.takenAtMs));
      expect(others).toEqual([]);
    }
    Object.assign(job, { state: 'running', taken, worker });
    this.#lastStart[job.tenant] = taken.takenAtMs;
  }

  /** Within its limits, and with something to do. */
  #isStartable(tenant: number, nowMs: number): boolean {
    const { maxRunning = Infinity, intervalMs = 0 } = at(this.#limits, tenant);
    return (
      this.#count('pending', tenant) > 0 &&
      this.#count('running', tenant) < maxRunning &&
      at(this.#lastStart, tenant) + intervalMs <= nowMs
    );
  }

  /** Tenants of which an idle hand must get a job. */
  #listStartable(nowMs: number): number[] {
    return [0, 1, 2, 3].filter(
      (tenant) =>
        this.#isStartable(tenant, nowMs) ||
        (this.#limits[tenant]?.soft === true && this.#count('pending', tenant) > 0),
    );
  }

  async #readTime(): Promise<number> {
    const [seconds, micros] = await this.#api(0).redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }
}
