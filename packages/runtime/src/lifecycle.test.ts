import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { Lifecycle } from './lifecycle.ts';
import { createLogger } from './logger.ts';

const log = createLogger({ level: 'silent', name: 'test' });

afterEach(() => {
  jest.useRealTimers();
});

describe('Lifecycle', () => {
  test('closes last first, once, and goes on after one that fails', async () => {
    const lifecycle = new Lifecycle(log);
    const closed: string[] = [];
    lifecycle.onClose('first', () => closed.push('first'));
    lifecycle.onClose('failing', () => {
      throw new Error('no');
    });
    lifecycle.onClose('rejecting', () => Promise.reject(new Error('no')));
    lifecycle.onClose('last', async () => {
      await Promise.resolve();
      closed.push('last');
    });
    await Promise.all([lifecycle.close(), lifecycle.close()]);
    expect(closed).toEqual(['last', 'first']);
  });

  test('does not wait for ever for one that hangs', async () => {
    const lifecycle = new Lifecycle(log);
    const closed: string[] = [];
    lifecycle.onClose('first', () => closed.push('first'));
    lifecycle.onClose('hanging', () => new Promise(() => undefined), 50);
    lifecycle.onClose('hanging by default', () => new Promise(() => undefined));
    const startedAt = Date.now();
    await lifecycle.close();
    expect(closed).toEqual(['first']);
    expect(Date.now() - startedAt).toBeLessThan(5_000);
  });

  test('however many hang, they have a limit together, and those that do not are still closed', async () => {
    jest.useFakeTimers();
    const lifecycle = new Lifecycle(log);
    const closed: string[] = [];
    lifecycle.onClose('first', () => closed.push('first'));
    for (let n = 0; n < 20; n += 1)
      lifecycle.onClose('hanging', () => new Promise(() => undefined));
    const startedAt = Date.now();
    const closing = lifecycle.close().then(() => Date.now() - startedAt);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(await closing).toBeLessThanOrEqual(5_000);
    expect(closed).toEqual(['first']);
  });
});
