import { startBehind } from './hands.ts';
import type { Cost, Load, Place, Places, RunUnderWay, WaitingTenant } from './load.ts';

/** When a job is expected to start and to end, in ms by Redis' clock; what nothing is known of is undefined. */
export interface Estimate {
  /** Among the waiting jobs of its tenant, from 1; undefined for one that runs. */
  readonly position: number | undefined;
  /** Jobs of all tenants that are expected to start before it. */
  readonly ahead: number | undefined;
  readonly startMs: number | undefined;
  readonly endMs: number | undefined;
}

/** A run that takes longer than expected is thought to need another part of the time that it has had. */
const OVERTIME = 0.1;
/** Runs of a tenant's own that say more than those of everybody. */
const ENOUGH_RUNS = 3;
/** Of tenants that are limited as many jobs go ahead as they may start until then, which is not known before. */
const ROUNDS = 4;

type Waiting = Extract<Place, { readonly state: 'pending' }>;

/** Answers when jobs of one tenant will start, from what was read at one moment (docs/adr/0027). */
export class Forecast {
  readonly #load: Load;
  readonly #own: Places;
  readonly #tenant: string;
  readonly #ownMeanMs: number | undefined;
  readonly #meanMs: number | undefined;
  /** What a run takes for each millisecond that its graph was estimated to take. */
  readonly #scale: number | undefined;
  /** When each hand gets free, in ms from now. */
  readonly #freeMs: readonly number[];
  /** The same, of hands that no job of a group is waiting for. */
  readonly #openMs: readonly number[];
  /** Running jobs that are more than there are hands: of workers that died. */
  readonly #surplus: number;

  /** @param hands jobs that all live workers together run at once */
  constructor(tenant: string, hands: number, load: Load, own: Places) {
    this.#tenant = tenant;
    this.#load = load;
    this.#own = own;
    const ofTenant = load.runs.filter((run) => run.tenant === tenant);
    this.#meanMs = meanOf(load.runs.map(({ ms }) => ms));
    this.#ownMeanMs =
      ofTenant.length < ENOUGH_RUNS ? this.#meanMs : meanOf(ofTenant.map(({ ms }) => ms));
    this.#scale = scaleOf(load.runs);
    // What all tenants do was read before its own: its jobs that have left the queue since then run.
    const since = own.running.filter(({ takenAtMs }) => takenAtMs > load.nowMs);
    const busy = [...load.running, ...since.map((run) => ({ ...run, followers: 0 }))]
      .map((run) => ({ leftMs: this.#leftOf(run), followers: run.followers }))
      .sort((a, b) => a.leftMs - b.leftMs);
    const idle = Array.from({ length: Math.max(0, hands - busy.length) }, () => 0);
    const held = busy.slice(0, hands);
    this.#freeMs = [...idle, ...held.map(({ leftMs }) => leftMs)];
    this.#openMs = [
      ...idle,
      ...held.flatMap(({ leftMs, followers }) => (followers === 0 ? [leftMs] : [])),
    ];
    this.#surplus = busy.length - held.length;
  }

  estimate(place: Place): Estimate {
    const costMs = this.#costOf(place.cost) ?? this.#ownMeanMs;
    if (place.state === 'running') {
      const endMs = costMs === undefined ? undefined : place.takenAtMs + costMs;
      const isOver = endMs !== undefined && endMs <= this.#own.nowMs;
      const nothing = { position: undefined, ahead: undefined, startMs: undefined };
      return { ...nothing, endMs: isOver ? undefined : endMs };
    }
    const position = place.rank + 1;
    const wait = this.#waitOf(place);
    if (wait === undefined) {
      return { position, ahead: undefined, startMs: undefined, endMs: undefined };
    }
    const startMs = Math.round(this.#own.nowMs + wait.ms);
    const endMs = costMs === undefined ? undefined : Math.round(startMs + costMs);
    return { position, ahead: Math.round(wait.ahead), startMs, endMs };
  }

  #costOf({ knownMs, estimateMs }: Cost): number | undefined {
    if (knownMs !== undefined) return knownMs;
    if (estimateMs === undefined || this.#scale === undefined) return this.#meanMs;
    return estimateMs * this.#scale;
  }

  /** How long a running job will go on for, from now. */
  #leftOf({ takenAtMs, cost }: RunUnderWay): number {
    const elapsedMs = Math.max(0, this.#own.nowMs - takenAtMs);
    const costMs = this.#costOf(cost) ?? elapsedMs;
    return Math.max(costMs - elapsedMs, elapsedMs * OVERTIME);
  }

  /** What the tenant's jobs before the one of this rank cost together. */
  #workBefore(rank: number): number | undefined {
    const first = this.#own.first.slice(0, rank).map((cost) => this.#costOf(cost));
    const known = first.filter((ms) => ms !== undefined);
    if (rank === 0) return 0;
    const mean = meanOf(known) ?? this.#ownMeanMs;
    return mean === undefined ? undefined : known.length === rank ? sum(known) : mean * rank;
  }

  #waitOf(place: Waiting): { readonly ms: number; readonly ahead: number } | undefined {
    const workMs = this.#workBefore(place.rank);
    if (this.#freeMs.length === 0 || this.#meanMs === undefined || workMs === undefined) {
      return undefined;
    }
    const shared = this.#waitForHands(place, workMs);
    const ms = Math.max(
      shared.ms,
      this.#waitForLimits(place.rank, workMs),
      this.#waitForGroup(place),
    );
    return { ms, ahead: shared.ahead };
  }

  /** Until a hand has no job to take that goes before this one. */
  #waitForHands(place: Waiting, workMs: number): { readonly ms: number; readonly ahead: number } {
    const { rank, readyRank } = place;
    let ms = Infinity;
    let ahead = rank;
    for (let round = 0; round < ROUNDS; round += 1) {
      const others = this.#othersBefore(rank, workMs, ms);
      ahead = rank + others.jobs;
      const eachMs = ahead === 0 ? 0 : (workMs + others.workMs) / ahead;
      let found = startBehind(this.#freeMs, Math.round(ahead) + this.#surplus, eachMs);
      if (readyRank !== undefined && readyRank < rank && this.#openMs.length > 0) {
        // Jobs of groups that run go on where they are: the other hands are free for those that are ready.
        const jobs = Math.round(readyRank + others.jobs) + this.#surplus;
        found = Math.min(found, startBehind(this.#openMs, jobs, eachMs));
      }
      if (found >= ms) break;
      ms = found;
    }
    return { ms, ahead };
  }

  /** Jobs of other tenants that go before the one of this rank, if it starts in so many ms. */
  #othersBefore(
    rank: number,
    workMs: number,
    untilMs: number,
  ): { readonly jobs: number; readonly workMs: number } {
    const { counts, virtualTime, tenants } = this.#load;
    const { set, turn = 0, weight } = this.#own;
    const least = virtualTime;
    const own = set === 'comers' ? least : (this.#own.tag ?? least);
    const tag = own + workMs / weight;
    const isFirstOfComer = set === 'comers' && rank === 0;
    const sampled = { tenants: 0, comers: 0, held: 0 };
    for (const { set: theirs } of tenants) sampled[theirs] += 1;
    let jobs = 0;
    let work = 0;
    for (const other of tenants) {
      if (other.id === this.#tenant) continue;
      if (isFirstOfComer && other.set !== 'comers') continue;
      const costMs = this.#costOf(other.cost) ?? this.#meanMs ?? 0;
      let before = jobsBefore(other, { tag, least, costMs, untilMs });
      // Those that came before it have one turn each.
      if (isFirstOfComer) before = Math.min(1, turn / Math.max(1, counts.comers - 1));
      const times = counts[other.set] / sampled[other.set];
      jobs += before * times;
      work += before * times * costMs;
    }
    return { jobs, workMs: work };
  }

  /** Until the limits of its tenant let it start, after those before it. */
  #waitForLimits(rank: number, workMs: number): number {
    const { maxRunning, intervalMs, lastStartMs, running, isSoft, nowMs } = this.#own;
    if (isSoft && this.#load.tenants.every(({ id }) => id === this.#tenant)) return 0;
    const sinceMs = lastStartMs === undefined ? intervalMs : Math.max(0, nowMs - lastStartMs);
    const byInterval = Math.max(0, intervalMs - sinceMs) + rank * intervalMs;
    if (maxRunning === Infinity) return byInterval;
    const left = running.map((run) => this.#leftOf(run)).sort((a, b) => a - b);
    const held = left.slice(0, maxRunning);
    const free = Array.from({ length: Math.max(0, maxRunning - held.length) }, () => 0);
    const ahead = rank + left.length - held.length;
    const eachMs = rank === 0 ? (this.#ownMeanMs ?? 0) : workMs / rank;
    return Math.max(byInterval, startBehind([...free, ...held], ahead, eachMs));
  }

  /** Until the jobs of its group before it have run, which do so one after the other. */
  #waitForGroup({ groupRank = 0, groupHead }: Waiting): number {
    const headMs = groupHead === undefined ? 0 : this.#leftOf(groupHead);
    const means = this.#own.first.flatMap((cost) => this.#costOf(cost) ?? []);
    return headMs + groupRank * (meanOf(means) ?? this.#ownMeanMs ?? 0);
  }
}

interface Turn {
  readonly tag: number;
  /** The tag of who has come just now. */
  readonly least: number;
  readonly costMs: number;
  readonly untilMs: number;
}

/** Jobs of a tenant that start before one with this tag, and within the time. */
function jobsBefore(other: WaitingTenant, { tag, least, costMs, untilMs }: Turn): number {
  const room = tag - (other.set === 'comers' ? least : (other.tag ?? least));
  const byTurn = room > 0 ? Math.ceil((room * other.weight) / Math.max(costMs, 1)) : 0;
  const jobs = Math.min(other.pending, other.set === 'comers' ? Math.max(1, byTurn) : byTurn);
  if (untilMs === Infinity) return jobs;
  const { maxRunning, intervalMs, running } = other;
  const byHands =
    maxRunning === Infinity
      ? Infinity
      : Math.max(0, maxRunning - running) + (maxRunning * untilMs) / Math.max(costMs, 1);
  const byInterval = intervalMs === 0 ? Infinity : 1 + untilMs / intervalMs;
  return Math.min(jobs, byHands, byInterval);
}

function scaleOf(runs: Load['runs']): number | undefined {
  const both = runs.filter(({ estimateMs = 0 }) => estimateMs > 0);
  if (both.length === 0) return undefined;
  return sum(both.map(({ ms }) => ms)) / sum(both.map(({ estimateMs = 0 }) => estimateMs));
}

function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : sum(values) / values.length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
