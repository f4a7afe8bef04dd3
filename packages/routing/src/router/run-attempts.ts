import { NO_MASK } from '@tiercel/runtime';
import type { AttemptContext, AttemptRequest } from '../backend.ts';
import { AttemptStopped } from '../failures.ts';
import { AttemptAccount } from '../spending/attempt-account.ts';
import { Attempt, type AttemptEnd, type Tier } from './attempt.ts';
import { BufferedListener } from './buffered-listener.ts';
import { expectSpending, p50, p95 } from './latency.ts';
import { pause } from './pause.ts';
import type { BegunAttempt, TierState } from './tier-state-store.ts';
import { writeResumeToken } from './resume-token.ts';
import type { RouterParts } from './router-parts.ts';

interface Hand {
  readonly parts: RouterParts;
  readonly request: AttemptRequest;
  readonly context: AttemptContext;
  readonly first: {
    readonly tier: Tier;
    readonly begun: BegunAttempt | undefined;
    /** Undefined: nobody counts what it uses. */
    readonly account: AttemptAccount | undefined;
  };
  /** The tier that a second attempt would go to. */
  readonly next: Tier | undefined;
  readonly states: ReadonlyMap<string, TierState>;
}

/**
 * One attempt, and with hedging a second one elsewhere when the first takes longer than 95 of 100 recent
 * ones did. The first to have its result wins; the other is cancelled. Returns how each ended.
 */
export async function runAttempts(hand: Hand): Promise<AttemptEnd[]> {
  const { parts, context, first, next } = hand;
  const race = new Race();
  const attempt = launch(hand, first, race, { isBuffered: false });
  const recentMs = hand.states.get(first.tier.backend.name)?.recentMs ?? [];
  const afterMs = first.tier.hedge && next !== undefined ? p95(recentMs) : undefined;
  const leftMs = hand.request.deadlineMs - parts.clock.now();
  if (next === undefined || afterMs === undefined || afterMs >= leftMs)
    return [await attempt.ended];

  const timer = new AbortController();
  const early = await Promise.race([attempt.ended, pause(afterMs, timer.signal)]);
  timer.abort();
  if (early !== undefined || context.signal.aborted) return [early ?? (await attempt.ended)];
  const begun =
    next.backend.isLocal === true ? undefined : await beginSecond(hand, next, attempt.id);
  if (begun === 'no-room') return [await attempt.ended];
  const account = await accountSecond(hand, next);
  if (account === 'over-budget') {
    await begun?.end({ kind: 'neutral' }).catch(() => undefined);
    return [await attempt.ended];
  }
  const second = launch(hand, { tier: next, begun, account }, race, { isBuffered: true });
  // What the caller is to blame for is told at once, not overruled by luck elsewhere.
  for (const [one, other] of [
    [attempt, second],
    [second, attempt],
  ] as const) {
    void one.ended.then(({ outcome }) => {
      if (outcome.kind === 'failed' && outcome.final) other.outrun();
    });
  }
  return await Promise.all([attempt.ended, second.ended]);
}

/** The first attempt goes on whatever becomes of the second. */
async function beginSecond(
  { parts, context }: Hand,
  { backend: { name }, concurrency }: Tier,
  lease: string,
): Promise<BegunAttempt | 'no-room'> {
  try {
    const begun = await parts.tierStates.begin(name, lease, concurrency, context.signal);
    return typeof begun === 'object' ? begun : 'no-room';
  } catch {
    return 'no-room';
  }
}

/** As beginSecond: what is in the way leaves the first attempt alone. */
async function accountSecond(
  { context, states }: Hand,
  { backend: { name } }: Tier,
): Promise<AttemptAccount | undefined | 'over-budget'> {
  const { spending, signal } = context;
  if (spending === undefined) return undefined;
  try {
    const recentMs = states.get(name)?.recentMs ?? [];
    const account = await spending.begin(name, expectSpending(recentMs), { signal });
    return account instanceof AttemptAccount ? account : 'over-budget';
  } catch {
    return 'over-budget';
  }
}

function launch(
  { parts, request, context, next, states }: Hand,
  { tier, begun, account }: Hand['first'],
  race: Race,
  { isBuffered }: { isBuffered: boolean },
): Attempt {
  const { name, timeoutMs } = tier.backend;
  const listener = new BufferedListener(context.listener, { isBuffered });
  const runner: { attempt?: Attempt } = {};
  const attempt = new Attempt({
    ...{ tier, begun, account },
    request,
    context: {
      signal: context.signal,
      recorded: context.recorded,
      listener,
      // The job has one resume token: it is that of the attempt which began first.
      saveResumeToken: (resumeToken) =>
        isBuffered
          ? Promise.resolve()
          : context.saveResumeToken(writeResumeToken(name, resumeToken)),
      hasAlternative: next !== undefined && next !== tier,
      expectedMs: p50(states.get(name)?.recentMs ?? []),
      ...(account && {
        countPictures: (images, pixels) => {
          account.countPictures(images, pixels);
        },
      }),
      claim: () => {
        race.win(runner.attempt);
        listener.release();
      },
    },
    // The job's own deadline is its caller's to enforce, and ends it in other words.
    limitMs: timeoutMs < request.deadlineMs - parts.clock.now() ? timeoutMs : undefined,
    clock: parts.clock,
    configMask: parts.configMask ?? NO_MASK,
  });
  runner.attempt = attempt;
  race.join(attempt, listener);
  return attempt;
}

/** Two attempts at most, of which one may store its result. */
class Race {
  readonly #attempts = new Map<Attempt, BufferedListener>();
  #winner: Attempt | undefined;

  join(attempt: Attempt, listener: BufferedListener): void {
    this.#attempts.set(attempt, listener);
  }

  /** @throws AttemptStopped when another one has won */
  win(attempt: Attempt | undefined): void {
    if (attempt === undefined) return; // it ended before it was launched: nobody to race with
    this.#winner ??= attempt;
    if (this.#winner !== attempt) {
      throw new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
    }
    for (const [other, listener] of this.#attempts) {
      if (other === attempt) continue;
      listener.silence();
      other.outrun();
    }
  }
}
