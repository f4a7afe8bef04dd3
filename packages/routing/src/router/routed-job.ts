import type { AttemptReport, ServiceReport } from '@tiercel/contracts';
import type { AttemptContext, AttemptRequest, AttemptResult } from '../backend.ts';
import { AttemptError, AttemptStopped, mayTryNextTier } from '../failures.ts';
import type { AttemptEnd, Tier } from './attempt.ts';
import { chooseTiers, isSameQuality, type TierChoice } from './choose-tiers.ts';
import { pause } from './pause.ts';
import { readTierFacts } from './read-tier-facts.ts';
import { runAttempts } from './run-attempts.ts';
import { describeExhausted, RoutingFailed } from './routing-failed.ts';
import { describeService, describeWay } from './service-report.ts';
import type { StoredResult } from './stored-results.ts';
import type { BegunAttempt, TierState } from './tier-state-store.ts';
import { AttemptAccount } from '../spending/attempt-account.ts';
import { expectSpending } from './latency.ts';
import { readResumeToken } from './resume-token.ts';
import type { RoutedResult, RouterParts } from './router-parts.ts';
import { TierSlot } from './tier-slot.ts';

/** A turn that takes longer is one that an equal job has. */
const TURN_MS = 100;

/** One job on its way through the tiers. */
export class RoutedJob {
  readonly #parts: RouterParts;
  readonly #request: AttemptRequest;
  readonly #context: AttemptContext;
  readonly #slot: TierSlot;
  readonly #tried = new Set<string>();
  /** Tiers whose stored results were looked through. */
  readonly #searched = new Set<string>();
  readonly #ends: AttemptEnd[] = [];
  #choice: TierChoice = { order: [], preferred: undefined, skipped: [] };
  #states: ReadonlyMap<string, TierState> = new Map();
  #waitedSince: number | undefined;

  constructor(parts: RouterParts, request: AttemptRequest, context: AttemptContext) {
    this.#parts = parts;
    this.#request = request;
    this.#context = context;
    this.#slot = new TierSlot(parts.tierStates, context.signal);
  }

  async run(): Promise<RoutedResult> {
    try {
      return (await this.#resume()) ?? (await this.#search());
    } finally {
      // Not waited for: Redis may be away, and what is left runs out.
      this.#slot.giveUp().catch(() => undefined);
    }
  }

  /** A tier that was at work on the job when its worker died goes on with it. */
  async #resume(): Promise<RoutedResult | undefined> {
    const saved = readResumeToken(this.#request.resumeToken);
    const tier = this.#parts.tiers.find(({ backend }) => backend.name === saved?.tier);
    if (saved === undefined || tier?.backend.supports(this.#request).ok !== true) return undefined;
    await this.#choose();
    const begun = await this.#slot.acquireOver(tier);
    if (begun === 'later') return undefined;
    return await this.#attempt(tier, begun, { resumeToken: saved.resumeToken, isForced: true });
  }

  async #search(): Promise<RoutedResult> {
    for (;;) {
      this.#throwIfStopped();
      await this.#choose();
      const stored = await this.#findStored();
      if (stored !== undefined) return stored;
      const tier = this.#find(this.#choice.order[0]);
      if (tier === undefined) {
        this.#slot.giveUp().catch(() => undefined);
        await this.#waitForAny();
        continue;
      }
      const served = await this.#tryTier(tier);
      if (served !== undefined) return served;
    }
  }

  /** Undefined when the tier did not serve the job, now or for good. */
  async #tryTier(tier: Tier): Promise<RoutedResult | undefined> {
    const { stored } = this.#parts;
    if (stored === undefined || tier.backend.cacheModel === undefined) {
      const begun = await this.#acquireSlot(tier);
      return begun === 'later' ? undefined : await this.#attempt(tier, begun);
    }
    const { signal } = this.#context;
    // Who waits for an equal job keeps no slot from others.
    const stepAside = setTimeout(() => {
      this.#slot.giveUp().catch(() => undefined);
    }, TURN_MS);
    const outcome = await stored
      .singleFlight(this.#request, tier.backend, signal)
      .catch(() => undefined);
    clearTimeout(stepAside);
    if (outcome?.kind === 'found') return this.#serveStored(tier, outcome.stored);
    let served: RoutedResult | undefined;
    try {
      this.#throwIfStopped();
      const begun = await this.#acquireSlot(tier);
      if (begun === 'later') return undefined;
      served = await this.#attempt(tier, begun);
      return served;
    } finally {
      const isMine = served?.report.served_by?.tier === tier.backend.name;
      const found =
        served === undefined || !isMine
          ? undefined
          : { result: served.result, degraded: served.report.degraded };
      await outcome?.end(found).catch(() => undefined);
    }
  }

  /** Waits for a slot of the tier, for as long as it is the best. */
  #acquireSlot(tier: Tier): Promise<BegunAttempt | undefined | 'later'> {
    return this.#slot.acquireSlot(tier, this.#findEquals(tier), async () => {
      await this.#choose();
      return this.#choice.order[0] === tier.backend.name ? this.#findEquals(tier) : undefined;
    });
  }

  /** Tiers as good as this one. When it is full they are: one with room would go before it. */
  #findEquals(tier: Tier): string[] {
    const { quality, backend } = tier;
    return this.#choice.order.filter((name) => {
      const other = this.#find(name);
      const isOther = other !== undefined && other !== tier && other.concurrency !== undefined;
      return (
        isOther && isSameQuality({ name: backend.name, quality }, { name, quality: other.quality })
      );
    });
  }

  async #choose(): Promise<void> {
    const { clock, options } = this.#parts;
    const { signal } = this.#context;
    const now = clock.now();
    const { states, facts } = await readTierFacts(this.#parts, this.#request, this.#slot, {
      ...{ nowMs: now, signal, spending: this.#context.spending },
    });
    this.#states = states;
    const job = {
      policy: this.#request.fallback ?? options.policy,
      remainingMs: this.#request.deadlineMs - now,
      tried: this.#tried,
    };
    this.#choice = chooseTiers(job, facts, now);
  }

  /** A stored result of a tier that is at least as good as the one that would run now. */
  async #findStored(): Promise<RoutedResult | undefined> {
    const { stored, tiers } = this.#parts;
    if (stored === undefined) return undefined;
    const [first] = this.#choice.order;
    for (const tier of tiers) {
      const { name, cacheModel } = tier.backend;
      // What is stored costs nothing.
      const isOut = this.#choice.skipped.some(
        (s) => s.tier === name && s.kind !== 'open' && s.kind !== 'budget',
      );
      if (!isOut && cacheModel !== undefined && !this.#searched.has(name)) {
        this.#searched.add(name);
        const found = await stored.find(this.#request, tier.backend).catch(() => undefined);
        if (found !== undefined) return this.#serveStored(tier, found);
      }
      if (name === first) return undefined;
    }
    return undefined;
  }

  #serveStored(tier: Tier, { result, degraded }: StoredResult): RoutedResult {
    const { listener } = this.#context;
    listener.runBegins();
    listener.cached([...this.#request.analysis.nodes.keys()]);
    for (const [nodeId, output] of Object.entries(result.outputs)) {
      listener.executed(nodeId, output);
    }
    this.#parts.observer.served(tier.backend.name, { degraded, cached: true });
    return this.#report(tier, result, { isCached: true });
  }

  async #attempt(
    tier: Tier,
    begun: BegunAttempt | undefined,
    { resumeToken, isForced = false }: { resumeToken?: string; isForced?: boolean } = {},
  ): Promise<RoutedResult | undefined> {
    const account = await this.#account(tier, begun, isForced);
    if (account === 'over-budget') return undefined;
    this.#waitedSince = undefined;
    // A local tier has no slots; nothing is waited for while it runs.
    if (begun === undefined) this.#slot.giveUp().catch(() => undefined);
    this.#context.listener.runBegins();
    const ends = await runAttempts({
      parts: this.#parts,
      request: { ...this.#request, resumeToken },
      context: this.#context,
      first: { tier, begun, account },
      next: this.#find(this.#choice.order.find((name) => name !== tier.backend.name)),
      states: this.#states,
    });
    for (const end of ends) {
      this.#ends.push(end);
      this.#tried.add(end.tier.backend.name);
      this.#parts.observer.attempted(end.report.tier, end.report.class, end.report.ms);
      this.#log(end);
    }
    for (const { tier: server, outcome } of ends) {
      if (outcome.kind !== 'done') continue;
      const routed = this.#report(server, outcome.result, { isCached: false });
      const { degraded } = routed.report;
      this.#parts.observer.served(server.backend.name, { degraded, cached: false });
      return routed;
    }
    for (const { tier: failed, outcome } of ends) {
      if (outcome.kind === 'failed' && outcome.final) throw this.#fail(outcome.error, failed);
    }
    return undefined;
  }

  /** Another job of the tenant may have reserved since the choice: then it is made again. */
  async #account(
    tier: Tier,
    begun: BegunAttempt | undefined,
    isForced: boolean,
  ): Promise<AttemptAccount | undefined | 'over-budget'> {
    const { spending, signal } = this.#context;
    if (spending === undefined) return undefined;
    const { name } = tier.backend;
    const expectedMs = expectSpending(this.#states.get(name)?.recentMs ?? []);
    try {
      const account = await spending.begin(name, expectedMs, { signal, isForced });
      if (account instanceof AttemptAccount) return account;
    } catch (error) {
      await begun?.end({ kind: 'neutral' }).catch(() => undefined);
      throw error;
    }
    await begun?.end({ kind: 'neutral' }).catch(() => undefined);
    return 'over-budget';
  }

  /** Nothing can be tried now. A tier that only pauses is waited for, within patience and deadline. */
  async #waitForAny(): Promise<void> {
    const { clock, options } = this.#parts;
    const now = clock.now();
    this.#waitedSince ??= now;
    const patienceEnds = Math.min(this.#waitedSince + options.patienceMs, this.#request.deadlineMs);
    const times = this.#choice.skipped.flatMap(({ retryAtMs }) => retryAtMs ?? []);
    const soonest = Math.min(...times);
    if (times.length === 0 || soonest > patienceEnds) throw this.#fail(undefined, undefined);
    await pause(Math.max(1, soonest - now), this.#context.signal);
    this.#parts.tierStates.forget();
  }

  #find(name: string | undefined): Tier | undefined {
    return this.#parts.tiers.find(({ backend }) => backend.name === name);
  }

  #throwIfStopped(): void {
    if (!this.#context.signal.aborted) return;
    throw this.#fail(new AttemptStopped({ nodeId: null, nodeType: null, executed: [] }), undefined);
  }

  #fail(error: unknown, tier: Tier | undefined): RoutingFailed {
    const cause = describeExhausted(error, {
      request: this.#request,
      choice: this.#choice,
      attempts: this.#attempts(),
      tier: tier?.backend.name,
    });
    return new RoutingFailed(cause, {
      served_by: null,
      ...this.#told(),
      degraded: false,
      dropped_params: [],
    });
  }

  #report(tier: Tier, result: AttemptResult, { isCached }: { isCached: boolean }): RoutedResult {
    const preferred = this.#find(this.#choice.preferred) ?? tier;
    const report = describeService(tier, result, { ...this.#told(), preferred, isCached });
    return { result, report };
  }

  /** A tier in trouble is news for the operator; one that is set up wrongly waits for him. */
  #log({ tier, report, outcome }: AttemptEnd): void {
    if (outcome.kind !== 'failed' || !(outcome.error instanceof AttemptError)) return;
    const { log } = this.#parts;
    const facts = { err: outcome.error, promptId: this.#request.promptId, ...report };
    if (report.class === 'config' && tier.backend.hasOtherServer?.() === true) {
      log.error(facts, 'a server of a tier is set up wrongly and is left alone');
    } else if (report.class === 'config')
      log.error(facts, 'a tier is set up wrongly and is not used');
    else if (mayTryNextTier(outcome.error.class)) log.warn(facts, 'an attempt failed');
  }

  #attempts(): AttemptReport[] {
    return this.#ends.map(({ report }) => report);
  }

  /** What is told of a job whether it was served or not. */
  #told(): Pick<ServiceReport, 'attempts' | 'skipped'> {
    return describeWay(this.#attempts(), this.#choice);
  }
}
