import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestRedis, stopEverything, type TestRedis } from '@tiercel/testkit';

let server: TestRedis;

beforeAll(async () => {
  server = await startTestRedis({ listen: 'port' });
});
afterAll(stopEverything);

/** The lines that a process writes which runs this with `log`, and with `redis` connected to a real one. */
function logged(body: string, secrets: readonly string[] = []): Record<string, unknown>[] {
  const program = `
    const { createLogger, connectRedis } = require(${JSON.stringify(join(import.meta.dirname, 'index.ts'))});
    const { Redis } = require('ioredis');
    const log = createLogger({ level: 'trace', name: 'test', secrets: ${JSON.stringify(secrets)} });
    const url = ${JSON.stringify(server.url)};
    const quiet = createLogger({ level: 'silent', name: 'x' });
    (async () => {
      const redis = connectRedis(url, 'patient', quiet);
      const fail = (promise) => promise.then(() => undefined, (error) => error);
      ${body}
      process.exit(0);
    })();`;
  const run = spawnSync(
    process.execPath,
    ['--conditions=source', '-r', 'esbuild-register', '-e', program],
    { encoding: 'utf8', cwd: import.meta.dirname, timeout: 20_000 },
  );
  expect(run.stderr).toBe('');
  return run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('errors of Redis in the log', () => {
  const PRIVATE = 'a caller’s own words';

  test.each([
    [
      'of a script',
      `redis.eval("return redis.error_reply('ERR no')", 0, ${JSON.stringify(PRIVATE)})`,
    ],
    [
      'of a command of the wrong kind',
      `redis.set('k', 1).then(() => redis.lpush('k', ${JSON.stringify(PRIVATE)}))`,
    ],
    ['of a command that it does not know', `redis.call('NOSUCH', ${JSON.stringify(PRIVATE)})`],
    ['of a login', `redis.call('AUTH', ${JSON.stringify(PRIVATE)})`],
    [
      'of a transaction',
      `redis.multi().set('k', 1).call('NOSUCH', ${JSON.stringify(PRIVATE)}).exec()`,
    ],
  ])('%s tells what is wrong, and no argument', (_, call) => {
    const [line] = logged(
      `log.warn({ err: await fail(${call}), other: await fail(${call}) }, 'failed');`,
    );
    const text = JSON.stringify(line);
    expect(text).not.toContain('own words');
    expect(text).not.toContain('"command"');
    for (const error of [line?.err, line?.other]) {
      expect(error).toMatchObject({
        type: expect.stringMatching(/Error$/),
        message: expect.stringMatching(/^(ERR|WRONGTYPE|WRONGPASS|EXECABORT) /),
        stack: expect.stringContaining('\n    at '),
      });
    }
  });

  test('a wrong password and one that is asked for', () => {
    const wrong = server.url.replace(/:[0-9a-f]+@/, ':hunter2hunter2@');
    const lines = logged(
      `for (const bad of [${JSON.stringify(wrong)}, url.replace(/:[0-9a-f]+@/, '')]) {
        const other = connectRedis(bad, 'subscriber', log);
        await new Promise((done) => other.once('error', done));
        other.disconnect();
      }`,
    );
    expect(lines.length).toBeGreaterThanOrEqual(2);
    expect(JSON.stringify(lines)).toMatch(/WRONGPASS/);
    expect(JSON.stringify(lines)).toMatch(/NOAUTH/);
    expect(JSON.stringify(lines)).not.toContain('hunter2');
  });
});

describe('errors of all kinds in the log', () => {
  test('causes and gathered errors are told, each by its safe members alone', () => {
    const [line] = logged(`
      const inner = Object.assign(new TypeError('inner'), { code: 'EINNER', body: 'private-body', input: 'http://a:b@c' });
      const both = new AggregateError([inner, new Error('second')], 'both');
      log.error({ err: new Error('outer', { cause: both }) }, 'failed');`);
    expect(line?.err).toMatchObject({
      type: 'Error',
      message: 'outer',
      cause: {
        type: 'AggregateError',
        errors: [{ type: 'TypeError', message: 'inner', code: 'EINNER' }, { message: 'second' }],
      },
    });
    expect(JSON.stringify(line)).not.toMatch(/private-body|a:b@/);
  });

  test('whatever can be thrown can be logged', () => {
    const lines = logged(`
      const round = new Error('round'); round.cause = round;
      const nasty = new Proxy({}, { get() { throw new Error('proxy'); } });
      for (const err of [null, undefined, 'text', 5n, Symbol('s'), {}, { message: 'half' }, nasty, round]) log.error({ err }, 'failed');
      log.error(new Error('first argument'), 'failed');
      log.error({ err: new Error('x'.repeat(100000)) }, 'long');`);
    expect(lines).toHaveLength(11);
    expect(lines.every(({ msg }) => msg === 'failed' || msg === 'long')).toBe(true);
    expect(lines[9]?.err).toMatchObject({ message: 'first argument' });
    expect(JSON.stringify(lines[10]).length).toBeLessThan(20_000);
  });

  test('text that could not be parsed is not quoted', () => {
    const [line] = logged(`
      try { JSON.parse('[1, private-words-of-a-caller]') } catch (err) { log.error({ err }, 'failed') }`);
    expect(JSON.stringify(line)).not.toContain('private');
    expect(line?.err).toMatchObject({
      type: 'SyntaxError',
      message: "Unexpected token 'p' in JSON",
    });
  });
});

describe('secrets in the log', () => {
  const KEY = 'sk-"quoted"-0123456789';

  test('the configuration’s are in no line, wherever they stand and however they are written', () => {
    const lines = logged(
      `const key = ${JSON.stringify(KEY)};
      log.info({ key, deep: { list: [{ text: 'Bearer ' + key }] } }, 'with ' + key);
      log.child({ bound: key }).warn('child');
      log.error({ err: new Error('refused: ' + encodeURIComponent(key), { cause: new Error(key) }) }, 'x');
      log.error({ header: 'Basic ' + Buffer.from('me:' + key).toString('base64') }, 'x');`,
      [KEY],
    );
    const text = JSON.stringify(lines);
    expect(lines).toHaveLength(4);
    expect(text).not.toMatch(/0123456789|MDEyMzQ1Njc4/);
    expect(lines[0]).toMatchObject({
      key: '[redacted]',
      deep: { list: [{ text: 'Bearer [redacted]' }] },
      msg: 'with [redacted]',
      level: 30,
      time: expect.any(Number),
    });
  });

  test('members with secret names go, at any depth, and so do logins in URLs', () => {
    const [line] = logged(`
      log.info({
        apiKey: 'a', extra: { api_key_comfy_org: 'b', list: [{ Authorization: 'c' }] },
        where: 'tried https://user:pass-word@gpu-a:8188/x and redis://:pass-word@r',
      }, 'see http://tok-en@host/');`);
    expect(line).toMatchObject({
      apiKey: '[redacted]',
      extra: { api_key_comfy_org: '[redacted]', list: [{ Authorization: '[redacted]' }] },
      where: 'tried https://[redacted]@gpu-a:8188/x and redis://[redacted]@r',
      msg: 'see http://[redacted]@host/',
    });
  });
});
