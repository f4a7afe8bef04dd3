import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { RefreshScope } from '@tiercel/contracts';
import { createLogger } from '@tiercel/runtime';
import { ServerRefresh } from './server-refresh.ts';

const log = createLogger({ level: 'silent', name: 'test' });

/** The workers' side: what they were asked, and when they have looked. */
class Workers {
  readonly asked: RefreshScope[] = [];
  readonly askedAt: number[] = [];
  hasServers = true;
  isReachable = true;
  readonly #open: string[] = [];
  readonly #answered = new Set<string>();
  readonly listeners = new Set<() => void>();
  readonly serverRefresh = new ServerRefresh({
    hasServers: () => this.hasServers,
    publish: (id, scope) => {
      if (!this.isReachable) return Promise.reject(new Error('Redis is away'));
      this.asked.push(scope);
      this.askedAt.push(performance.now());
      this.#open.push(id);
      return Promise.resolve();
    },
    isAnswered: (id) => this.#answered.has(id),
    onReading: (listener) => {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    },
    log,
  });

  /** All workers have looked, and the API reads it. */
  answer(): void {
    for (const id of this.#open.splice(0)) this.#answered.add(id);
    this.readWorkers();
  }

  /** The API reads the registry; nothing is new in them. */
  readWorkers(): void {
    for (const listener of [...this.listeners]) listener();
  }

  /** Asks, and tells how long it took by the clock of the test. */
  ask(scope: RefreshScope) {
    const since = performance.now();
    const asked = { waitedMs: undefined as number | undefined, refreshed: undefined as unknown };
    void this.serverRefresh.ask(scope).then((refreshed) => {
      asked.waitedMs = performance.now() - since;
      asked.refreshed = refreshed;
    });
    return asked;
  }
}

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
let workers: Workers;

beforeEach(() => {
  jest.useFakeTimers();
  workers = new Workers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe('who asks for another look at the servers', () => {
  test('goes on at once when there is no server to look at', async () => {
    workers.hasServers = false;
    expect(await workers.serverRefresh.ask('all')).toBe(false);
    expect(workers.asked).toEqual([]);
  });

  test('goes on when all workers have looked, not when they announce something else', async () => {
    const asked = workers.ask(['A']);
    await pass(100);
    workers.readWorkers();
    await pass(100);
    expect(asked.waitedMs).toBeUndefined();
    workers.answer();
    await pass(0);
    expect(asked).toEqual({ waitedMs: 200, refreshed: true });
    expect(workers.listeners.size).toBe(0);
  });

  test('goes on after 1.8 s when a worker says nothing', async () => {
    const asked = workers.ask('files');
    await pass(1_799);
    expect(asked.waitedMs).toBeUndefined();
    await pass(1);
    expect(asked).toEqual({ waitedMs: 1_800, refreshed: true });
    await pass(1_800);
    expect(workers.listeners.size).toBe(0);
  });

  test('goes on when the workers cannot be asked', async () => {
    workers.isReachable = false;
    const asked = workers.ask('all');
    await pass(0);
    expect(asked.refreshed).toBe(true);
    expect(workers.listeners.size).toBe(0);
  });
});

describe('many questions', () => {
  test('that come together are one look, for each class once', async () => {
    const all = [workers.ask(['A', 'B']), workers.ask(['B', 'C']), workers.ask(['A'])];
    await pass(0);
    expect(workers.asked).toEqual([['A', 'B', 'C']]);
    workers.answer();
    await pass(0);
    expect(all.map(({ refreshed }) => refreshed)).toEqual([true, true, true]);
  });

  test('for very many classes are a look for 32 of them', async () => {
    void workers.ask(Array.from({ length: 100 }, (_, n) => `C${n}`));
    await pass(0);
    expect(workers.asked[0]).toHaveLength(32);
  });

  test('after a look has been sent share the next one, which may see what the first did not', async () => {
    const first = workers.ask(['A']);
    await pass(10);
    const later = [workers.ask(['B']), workers.ask(['C'])];
    workers.answer();
    await pass(0);
    expect([first.refreshed, later[0]?.refreshed]).toEqual([true, undefined]);
    await pass(240);
    expect(workers.asked).toEqual([['A'], ['B', 'C']]);
    workers.answer();
    await pass(0);
    expect(later.map(({ waitedMs }) => waitedMs)).toEqual([240, 240]);
  });

  test.each([
    [['A'], 250],
    ['files', 250],
    ['all', 1_000],
  ] as [RefreshScope, number][])('for %j keep a pause of %i ms', async (scope, pauseMs) => {
    for (let n = 0; n < 200; n += 1) {
      void workers.ask(scope);
      await pass(25);
      workers.answer();
    }
    const times = workers.askedAt;
    const pauses = times.slice(1).map((at, n) => at - (times[n] ?? 0));
    expect(new Set(pauses)).toEqual(new Set([pauseMs]));
    expect(times).toHaveLength(1 + 5_000 / pauseMs);
  });

  test('of one kind do not wait for those of another', async () => {
    for (const scope of ['all', 'files', ['A']] as RefreshScope[]) void workers.ask(scope);
    await pass(0);
    expect(workers.asked).toEqual(['all', 'files', ['A']]);
  });
});
