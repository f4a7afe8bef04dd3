import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { makeTempFolder, stopEverything } from '@tiercel/testkit';

/** What the watchdog watches with is a thread of the built worker: `npm run build` (npm test does). */
const WATCHDOG = join(import.meta.dirname, '../dist/watchdog.js');

afterAll(stopEverything);

/** Runs a program that has a watchdog of one second. @returns how it ended, and what it wrote to stderr */
function runWatched(
  body: string,
): Promise<{ signal: string | null; code: number | null; text: string }> {
  const program = `
    import { Watchdog } from ${JSON.stringify(WATCHDOG)};
    const watchdog = new Watchdog(1_000, () => 'job-1 job-2');
    const pass = (ms) => new Promise((done) => setTimeout(done, ms));
    const block = (ms) => { for (const end = Date.now() + ms; Date.now() < end;); };
    await pass(300); // a heartbeat has told what is being done
    ${body}`;
  const file = join(makeTempFolder(), 'watched.mjs');
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (part: Buffer) => (text += part.toString()));
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code, signal, text });
    });
  });
}

describe('the watchdog', () => {
  test('kills a process whose event loop is stuck, and names the jobs that it had', async () => {
    const { signal, text } = await runWatched('block(60_000);');
    expect(signal).toBe('SIGKILL');
    expect(JSON.parse(text)).toMatchObject({
      ...{ level: 60, name: 'worker', blockedMs: 1_000, jobs: 'job-1 job-2' },
      msg: expect.stringContaining('stuck'),
    });
  });

  test('leaves one alone that works hard and breathes', async () => {
    const end = await runWatched(`
      for (let n = 0; n < 8; n += 1) { block(250); await pass(1); }
      process.exit(7);`);
    expect(end).toEqual({ code: 7, signal: null, text: '' });
  });

  test('watches no more when it is stopped, and does not keep a process alive', async () => {
    expect(await runWatched('await watchdog.stop(); block(2_000);')).toEqual({
      ...{ code: 0, signal: null, text: '' },
    });
    expect(await runWatched('')).toEqual({ code: 0, signal: null, text: '' });
  });
});
