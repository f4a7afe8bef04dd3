import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startTestRedis, stopEverything, type TestRedis } from '@tiercel/testkit';
import { executing, openJobs, resultPicture, type Jobs } from './jobs.test-helpers.ts';
import { emptySnapshot, readSnapshot, type Snapshot } from './snapshot.ts';

const MAX_EVENT_BYTES = 10_000;
let server: TestRedis;
let jobs: Jobs;

beforeAll(async () => {
  server = await startTestRedis();
  jobs = openJobs(server.url, 'snapshot-test');
});
beforeEach(() => server.flush());
afterAll(async () => {
  await jobs.close();
  await stopEverything();
});

const read = (client = 'me'): Promise<Snapshot> => readSnapshot(client, jobs, MAX_EVENT_BYTES);
const typesOf = (frames: readonly string[]) =>
  frames.map((frame) => (JSON.parse(frame) as { type: string }).type);
const missedOf = async (client: string) => (await jobs.replay.readMissed(client)).endedIds;

async function run(id: string, client: string | undefined) {
  await jobs.add(id, client);
  return await jobs.take();
}

describe('what a client is told when it comes back', () => {
  test('is nothing when nothing was missed', async () => {
    expect(await read()).toEqual(emptySnapshot('0-0'));
  });

  test('is how each of its jobs ended meanwhile, oldest first, and nothing of others', async () => {
    for (const [id, client] of [
      ['first', 'me'],
      ['theirs', 'you'],
      ['nobodys', undefined],
      ['second', 'me'],
    ] as const) {
      await (await run(id, client)).finish();
    }
    await jobs.add('waits', 'me');
    const { running, ended, endId } = await read();
    expect(running).toEqual([]);
    expect(ended.map(({ promptId }) => promptId)).toEqual(['first', 'second']);
    for (const { promptId, frames } of ended) {
      expect(typesOf(frames)).toEqual(['executed', 'execution_success', 'executing']);
      for (const frame of frames) expect(frame).toContain(`"prompt_id":"${promptId}"`);
      expect(frames[0]).toContain('x.png');
      expect(frames.at(-1)).toContain('"node":null');
    }
    const [newest] = await jobs.redis.xrevrange(jobs.names.ends, '+', '-', 'COUNT', 1);
    expect(endId).toBe(newest?.[0]);
    // Told is what a socket has been sent, not what was read for it.
    expect(await missedOf('me')).toEqual(['first', 'second']);
  });

  test('is where its running jobs are, and nobody else’s', async () => {
    const mine = await run('mine', 'me');
    await mine.emit(executing('mine', '4'));
    await mine.emit(executing('mine', '5'), {
      type: 'progress_state',
      data: { prompt_id: 'mine', nodes: { 5: { value: 3 } } },
    });
    await (await run('theirs', 'you')).emit(executing('theirs', '4'));
    const { running, ended } = await read();
    expect(ended).toEqual([]);
    expect(running.map(({ promptId }) => promptId)).toEqual(['mine']);
    const [{ state }] = running as [Snapshot['running'][number]];
    expect(JSON.parse(state.executing ?? '')).toMatchObject({ data: { node: '5' } });
    expect(state.progressState).toContain('"value":3');
  });

  test('has the result pictures that no socket was sent, with the job that they are of', async () => {
    const over = await run('over', 'me');
    await over.emit(executing('over', '9'), resultPicture('over', '9'));
    await over.finish();
    const runs = await run('runs', 'me');
    await runs.emit(resultPicture('runs', '8'));
    const { running, ended } = await read();
    const snapshotted = [...ended, ...running].map(({ promptId, pictures }) => [
      promptId,
      pictures.map(({ frame }) => /"prompt_id":"(\w+)"/.exec(frame)?.[1]),
    ]);
    expect(snapshotted).toEqual([
      ['over', ['over']],
      ['runs', ['runs']],
    ]);
  });

  test('is no more of a frame than one may be', async () => {
    await (await run('x', 'me')).finish();
    await jobs.redis.hset(
      jobs.names.job('x'),
      'outputs',
      JSON.stringify({ 9: { text: ['long '.repeat(10_000)] } }),
    );
    const { ended } = await read();
    const [frame = ''] = ended[0]?.frames ?? [];
    expect(frame.length).toBeLessThanOrEqual(MAX_EVENT_BYTES);
    expect(frame).toContain('"tiercel_cut":true');
  });
});

test('a job that was deleted since is nothing to tell, and is not asked for again', async () => {
  const deleted = await run('deleted', 'me');
  await deleted.emit(resultPicture('deleted', '9'));
  await deleted.finish();
  await (await run('kept', 'me')).finish();
  await jobs.editor.deleteHistory(['deleted']);
  expect((await read()).ended.map(({ promptId }) => promptId)).toEqual(['kept']);
  expect(await missedOf('me')).toEqual(['kept']);
  expect((await jobs.replay.readMissed('me')).pictures).toEqual([]);
});
