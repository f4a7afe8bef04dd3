import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import { createLogger } from '@tiercel/runtime';
import { FileStore } from '@tiercel/storage';
import { makeTempFolder, stopEverything } from '@tiercel/testkit';
import { TempCleaner } from './temp-cleaner.ts';

const HOUR_MS = 3_600_000;

afterEach(() => {
  jest.useRealTimers();
});
afterAll(stopEverything);

/** A data folder with preview files, and a clock that the test sets. */
function createCleaner(): { addFile: (name: string) => string; cleaner: TempCleaner } {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  const root = makeTempFolder();
  mkdirSync(join(root, 'temp'));
  const log = createLogger({ level: 'silent', name: 'test' });
  return {
    cleaner: new TempCleaner(new FileStore(root), log),
    addFile: (name) => {
      const file = join(root, 'temp', name);
      writeFileSync(file, 'x');
      utimesSync(file, Date.now() / 1_000, Date.now() / 1_000);
      return file;
    },
  };
}

describe('preview files', () => {
  test('go at the start when they are a day old, and every hour from then on', async () => {
    const { cleaner, addFile } = createCleaner();
    const old = addFile('old.png');
    jest.setSystemTime(Date.now() + 12 * HOUR_MS);
    const young = addFile('young.png');
    jest.setSystemTime(Date.now() + 12 * HOUR_MS + 1_000);
    cleaner.start();
    await cleaner.stop();
    expect([old, young].map(existsSync)).toEqual([false, true]);
    cleaner.start();
    jest.advanceTimersByTime(11 * HOUR_MS);
    await cleaner.stop();
    expect(existsSync(young)).toBe(true);
    cleaner.start();
    jest.advanceTimersByTime(HOUR_MS);
    await cleaner.stop();
    expect(existsSync(young)).toBe(false);
  });

  test('are left alone once it is stopped', async () => {
    const { cleaner, addFile } = createCleaner();
    cleaner.start();
    await cleaner.stop();
    const file = addFile('a.png');
    jest.advanceTimersByTime(72 * HOUR_MS);
    expect([jest.getTimerCount(), existsSync(file)]).toEqual([0, true]);
  });
});
