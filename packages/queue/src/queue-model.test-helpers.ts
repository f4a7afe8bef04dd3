import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { jobIdOf, workerId, type Priority } from '@tiercel/contracts';
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
      /** Which workers can run it. */
      readonly workers: string;
      readonly client: string | undefined;
    }
  | { readonly kind: 'take'; readonly worker: number }
  | {
      readonly kind: 'finish';
      readonly pick: number;
      readonly runMs: number;
      readonly goesOn: boolean;
    }
  | { readonly kind: 'hand back' | 'die' | 'cancel' | 'decline'; readonly pick: number }
  | { readonly kind: 'judge'; readonly pick: number; readonly workers: string }
  | { readonly kind: 'limit'; readonly tenant: number; readonly limits: TenantLimits }
  | { readonly kind: 'wait' };

interface ModelJob {
  readonly id: string;
  readonly tenant: number;
  readonly number: number;
  readonly arrival: number;
  /** 0 high, 1 normal, 2 low. */
  readonly priority: number;
  readonly client: string | undefined;
  workers: string;
  state: 'pending' | 'running' | 'ended' | 'gone';
  taken: TakenJob | undefined;
  worker: number;
}

let models = 0;
const TENANTS = [0, 1, 2, 3];
const APIS = 3;
/** Of each worker. */
const PROFILES = ['aa', 'bb', 'aa', 'cc'];
const WORKERS = PROFILES.length;

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`there is no ${index} of ${list.length}`);
  return item;
}

/** How a worker ranks jobs for these workers; undefined when it is none of them. */
function rankFor(worker: number, workers: string): number | undefined {
  if (workers === '') return 0;
  const rank = new RegExp(`;${at(PROFILES, worker)}=(\\d+);`).exec(workers)?.[1];
  return rank === undefined ? undefined : Number(rank);
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
      case 'judge': {
        await this.#withPending(command.pick, async (job) => {
          await this.#api(0).kinds.write(
            [{ id: jobIdOf(`t${job.tenant}`, job.id), kind: command.workers }],
            '',
          );
          job.workers = command.workers;
        });
        return;
      }
      case 'decline': {
        await this.#withRunning(command.pick, async (job, taken) => {
          const profile = at(PROFILES, job.worker);
          const others = job.workers === '' ? ';aa=0;bb=0;cc=0;' : job.workers;
          const kind = others.replace(new RegExp(`${profile}=\\d+;`), '');
          await this.#worker(job.worker).consumer.decline(taken, profile, kind);
          Object.assign(job, { state: 'pending', taken: undefined, workers: kind });
        });
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

  /** Runs all that is left, with the limits as they are, on a worker that can run everything by now. */
  async drain(): Promise<void> {
    const pending = this.#jobs.filter(({ state }) => state === 'pending');
    await this.#api(0).kinds.write(
      pending.map(({ id, tenant }) => ({ id: jobIdOf(`t${tenant}`, id), kind: '' })),
      '',
    );
    for (const job of pending) job.workers = '';
    let idle = 0;
    while (this.#jobs.some(({ state }) => state === 'pending' || state === 'running')) {
      const stuck = this.#jobs.filter(({ state }) => state === 'pending');
      if (idle > 200) throw new Error(`nobody takes ${JSON.stringify(stuck)}`);
      const before = this.#count('running');
      await this.#take(0);
      idle += 1;
      if (this.#count('running') > before) idle = 0;
      else if (before > 0) await this.#finish({ pick: 0, runMs: 10, goesOn: true });
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
    const { tenant, api, front, priority, workers, client } = command;
    const id = `j${this.#jobs.length}`;
    const { producer } = this.#api(api);
    const job = newJob(id, {
      ...{ front, number: command.number, priority },
      tenant: { id: `t${tenant}`, limits: at(this.#limits, tenant) },
      clientId: client,
      verdict: { kind: workers, needs: '', fleet: '' },
    });
    const { number } = await producer.enqueue(job);
    await producer.release(job.id, job.tenant?.id);
    this.#jobs.push({
      ...{ id, tenant, number, arrival: this.#jobs.length, client, workers },
      priority: ['high', 'normal', 'low'].indexOf(priority),
      ...{ state: 'pending', taken: undefined, worker: 0 },
    });
  }

  async #take(worker: number): Promise<void> {
    const startableBefore = this.#listStartable(worker, await this.#readTime());
    const permit = `p${(this.#permits += 1)}`;
    const taken = await this.#worker(worker).consumer.take(
      ...[permit, workerId(`w${worker}`), createClaimId(), at(PROFILES, worker)],
    );
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
        goesOn
          ? {
              ...{ worker: workerId(`w${job.worker}`), claimId: createClaimId() },
              profile: at(PROFILES, job.worker),
            }
          : undefined,
      );
      expect(reply.ours).toBe(true);
      Object.assign(job, { state: 'ended', taken: undefined });
      if (reply.next !== undefined) this.#started(reply.next, job.worker);
    });
  }

  /**
   * A worker dies and BullMQ delivers its permit to another: the same job if that can run it, and the dead one can do
   * nothing more.
   */
  async #die(pick: number): Promise<void> {
    await this.#withRunning(pick, async (job, taken) => {
      const { worker: dead } = job;
      const heir = (dead + 1) % WORKERS;
      const again = await this.#worker(heir).consumer.take(
        ...[taken.permit, workerId(`w${heir}`), createClaimId(), at(PROFILES, heir)],
      );
      if (rankFor(heir, job.workers) === undefined) {
        Object.assign(job, { state: 'pending', taken: undefined });
        if (again !== undefined) this.#started(again, heir);
      } else {
        expect([again?.promptId, again?.attempt]).toEqual([job.id, taken.attempt + 1]);
        Object.assign(job, { taken: again, worker: heir });
      }
      const late = await this.#worker(dead).consumer.finish(
        ...[taken, result(job.id), Date.now(), undefined],
      );
      expect(late.ours).toBe(false);
    });
  }

  async #cancel(pick: number): Promise<void> {
    await this.#withPending(pick, async (job) => {
      const editor = this.#api(1).editor.of(`t${job.tenant}`);
      expect(await editor.deletePending([job.id])).toBe(1);
      job.state = 'gone';
    });
  }

  async #withPending(pick: number, act: (job: ModelJob) => Promise<void>): Promise<void> {
    const pending = this.#jobs.filter(({ state }) => state === 'pending');
    const job = pending[pick % Math.max(1, pending.length)];
    if (job !== undefined) await act(job);
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
    const nowMs = taken.takenAtMs;
    const rank = rankFor(worker, job.workers) ?? NaN;
    expect(this.#listAvailable(job.tenant, worker, rank)[0]?.id).toBe(job.id);
    // Whom the worker prefers had nothing that might be started.
    const preferred = [0, 1].filter((lower) => lower < rank);
    const others = (ranks: readonly number[]) =>
      TENANTS.filter((tenant) => ranks.some((r) => this.#isStartable(tenant, worker, r, nowMs)));
    expect(others(preferred)).toEqual([]);
    if (!this.#isWithinLimits(job.tenant, nowMs)) {
      // Over its limits: then they are soft, and nobody else could start.
      expect(this.#limits[job.tenant]?.soft).toBe(true);
      expect(others([0, 1])).toEqual([]);
    }
    Object.assign(job, { state: 'running', taken, worker });
    this.#lastStart[job.tenant] = taken.takenAtMs;
  }

  /** Jobs of a tenant that a worker can take and ranks so, in their order. */
  #listAvailable(tenant: number, worker: number, rank: number): ModelJob[] {
    const inOrder = this.#jobs
      .filter((job) => job.state === 'pending' && job.tenant === tenant)
      .sort((a, b) => a.priority - b.priority || a.number - b.number || a.arrival - b.arrival);
    return inOrder.filter((job) => {
      if (rankFor(worker, job.workers) !== rank) return false;
      if (job.client === undefined) return true;
      const isSame = (other: ModelJob) => other.tenant === tenant && other.client === job.client;
      if (this.#jobs.some((other) => other.state === 'running' && isSame(other))) return false;
      return job === inOrder.find((other) => isSame(other) && other.workers === job.workers);
    });
  }

  #isWithinLimits(tenant: number, nowMs: number): boolean {
    const { maxRunning = Infinity, intervalMs = 0 } = at(this.#limits, tenant);
    return (
      this.#count('running', tenant) < maxRunning &&
      at(this.#lastStart, tenant) + intervalMs <= nowMs
    );
  }

  /** Within its limits, and with something to do. */
  #isStartable(tenant: number, worker: number, rank: number, nowMs: number): boolean {
    return (
      this.#listAvailable(tenant, worker, rank).length > 0 && this.#isWithinLimits(tenant, nowMs)
    );
  }

  /** Tenants of which an idle hand must get a job. */
  #listStartable(worker: number, nowMs: number): number[] {
    const isSoft = (tenant: number) => this.#limits[tenant]?.soft === true;
    return TENANTS.filter((tenant) =>
      [0, 1].some(
        (rank) =>
          this.#isStartable(tenant, worker, rank, nowMs) ||
          (isSoft(tenant) && this.#listAvailable(tenant, worker, rank).length > 0),
      ),
    );
  }

  async #readTime(): Promise<number> {
    const [seconds, micros] = await this.#api(0).redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }
}
