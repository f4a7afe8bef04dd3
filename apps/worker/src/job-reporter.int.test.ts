import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import type { PreviewPicture } from '@tiercel/routing';
import { until } from '@tiercel/testkit';
import type { ReporterPace } from './job-reporter.ts';
import { SHOWN, useJobs, type ReceivedEvent } from './worker.test-helpers.ts';

const jobs = useJobs();

const picture = (text: string, isOwn = false): PreviewPicture => ({
  ...{ mediaType: 'image/jpeg', bytes: Buffer.from(text), isOwn },
});

/** A job at work, and what is heard of it after its `execution_start`. */
async function startJob(extraText = '{}', pace?: ReporterPace) {
  const received = await jobs.listenTo('a');
  const worker = await jobs.startWorker(pace === undefined ? {} : { pace });
  await jobs.add('a', { extraText });
  const { context, serve } = await worker.attempt();
  await until(() => received.length === 1);
  received.splice(0);
  const end = async (): Promise<void> => {
    serve({ outputs: {} });
    await until(() => received.at(-1)?.type === 'executing' && received.at(-1)?.data.node === null);
  };
  return { received, end, listener: context.listener };
}

const only = (received: readonly ReceivedEvent[], type: string): ReceivedEvent['data'][] =>
  received.filter((event) => event.type === type).map(({ data }) => data);
const typesOf = (received: readonly ReceivedEvent[]): string[] => received.map(({ type }) => type);
const END = ['tiercel_report', 'execution_success', 'status', 'executing'];

describe('under overload', () => {
  const LONG_MS = 600_000;

  test('progress comes less often: the newest of each node, in order, and nothing else is late', async () => {
    const pace = { previewIntervalMs: LONG_MS, progressIntervalMs: LONG_MS };
    const { received, end, listener } = await startJob('{}', pace);
    // The first of all comes at once.
    listener.nodeStarted('1');
    await until(() => typesOf(received).includes('executing'));
    for (let step = 1; step <= 8; step += 1) {
      listener.progress('1', step, 8);
      await delay(4); // longer than what comes together
    }
    expect(only(received, 'progress')).toEqual([]);
    listener.executed('1', SHOWN['1']);
    listener.nodeFinished('1');
    listener.nodeStarted('2');
    await until(() => only(received, 'executing').length === 2);
    const types = typesOf(received);
    expect(types.filter((type) => type === 'progress')).toHaveLength(1);
    expect(only(received, 'progress')[0]).toMatchObject({ node: '1', value: 8, max: 8 });
    expect(types.indexOf('progress')).toBeLessThan(types.indexOf('executed'));
    listener.progress('2', 1, 2);
    await end();
    // What is held back at the end is told before it.
    expect(typesOf(received).slice(-END.length - 1)).toEqual(['progress', ...END]);
    expect(only(received, 'progress_state').at(-1)?.nodes).toMatchObject({
      '1': { state: 'finished', value: 8, max: 8 },
      '2': { state: 'running', value: 1, max: 2 },
    });
  });

  test('what is held back comes by itself when its time has come, or at the next word after the overload', async () => {
    const pace = { previewIntervalMs: 0, progressIntervalMs: 200 };
    const { received, end, listener } = await startJob('{}', pace);
    listener.nodeStarted('1');
    await until(() => typesOf(received).includes('executing'));
    await delay(4);
    listener.relay([{ type: 'progress', data: { node: '1', value: 1, max: 9, prompt_id: 'a' } }]);
    listener.relay([{ type: 'progress', data: { node: '1', value: 2, max: 9, prompt_id: 'a' } }]);
    await until(() => only(received, 'progress').length > 0);
    expect(only(received, 'progress').at(-1)).toMatchObject({ value: 2 });
    await delay(4);
    listener.progress('1', 3, 9);
    pace.progressIntervalMs = 0;
    listener.progress('1', 4, 9);
    await until(() => only(received, 'progress').at(-1)?.value === 4);
    expect(only(received, 'progress').map(({ value }) => value)).toEqual([2, 3, 4]);
    await end();
  });

  test('previews come less often, each with its progress; what a node shows by itself always comes', async () => {
    const pace = { previewIntervalMs: LONG_MS, progressIntervalMs: LONG_MS };
    const { received, end, listener } = await startJob('{"preview_method":"auto"}', pace);
    listener.nodeStarted('1');
    await until(() => typesOf(received).includes('executing'));
    await delay(4);
    listener.progress('1', 1, 8, picture('one'));
    await delay(4);
    listener.progress('1', 2, 8, picture('two'));
    await delay(4);
    listener.progress('1', 3, 8, picture('own', true));
    await until(() => only(received, 'progress').some(({ value }) => value === 3));
    await end();
    expect(only(received, 'progress').map(({ value }) => value)).toEqual([1, 2, 3]);
    expect(only(received, 'preview').map(({ text }) => text)).toEqual(['one', 'own']);
  });
});

describe('what backends report', () => {
  test('is told in ComfyUI’s order: the state of all nodes before what changed it', async () => {
    const { received, end, listener } = await startJob();
    listener.nodeStarted('1');
    listener.progress('1', 1, 4);
    listener.executed('1', SHOWN['1']);
    listener.nodeFinished('1');
    await end();
    expect(typesOf(received)).toEqual([
      ...['progress_state', 'executing', 'progress_state', 'progress', 'executed'],
      ...['progress_state', ...END],
    ]);
    expect(only(received, 'progress')).toEqual([{ value: 1, max: 4, prompt_id: 'a', node: '1' }]);
    expect(only(received, 'progress_state').map(({ nodes }) => nodes)).toMatchObject([
      { '1': { state: 'running', value: 0 } },
      { '1': { state: 'running', value: 1, max: 4 } },
      { '1': { state: 'finished', value: 4, max: 4 } },
    ]);
  });

  test('comes whole and in order, however much it is at once', async () => {
    const { received, end, listener } = await startJob();
    for (let n = 0; n < 1_000; n += 1) listener.executed(`n${n}`, null);
    await end();
    expect(only(received, 'executed').map(({ node }) => node)).toEqual(
      Array.from({ length: 1_000 }, (_, n) => `n${n}`),
    );
  });

  test('is told of cached nodes once, and again only for nodes that are new', async () => {
    const { received, end, listener } = await startJob();
    listener.cached(['1', '2']);
    listener.runBegins();
    listener.cached(['2']);
    listener.cached(['2', '3']);
    await end();
    expect(only(received, 'execution_cached').map(({ nodes }) => nodes)).toEqual([
      ['1', '2'],
      ['2', '3'],
    ]);
    const { messages } = await jobs.inState('a', 'success');
    expect(messages.filter(([type]) => type === 'execution_cached')).toHaveLength(1);
  });

  test('after the end of the job is told to nobody', async () => {
    const { received, end, listener } = await startJob();
    await end();
    const count = received.length;
    listener.nodeStarted('1');
    listener.progress('1', 1, 4, picture('late'));
    listener.text('1', 'late');
    listener.relay([{ type: 'late', data: {} }]);
    await jobs.redis.publish(jobs.names.jobChannel('a'), 'E "a"\n- {"type":"mark","data":{}}');
    await until(() => received.at(-1)?.type === 'mark');
    expect(received).toHaveLength(count + 1);
  });

  test('by a further run does not take back what an earlier one told', async () => {
    const { received, end, listener } = await startJob();
    listener.nodeStarted('1');
    listener.nodeFinished('1');
    listener.nodeStarted('2');
    listener.progress('2', 12, 20);
    listener.runBegins();
    listener.nodeStarted('1');
    listener.nodeFinished('1');
    listener.nodeStarted('2');
    listener.progress('2', 4, 20);
    listener.progress('2', 13, 20);
    await end();
    expect(only(received, 'executing').map(({ node }) => node)).toEqual(['1', '2', null]);
    // 12 again: a bar that was emptied is filled as far as it was.
    expect(only(received, 'progress').map(({ value }) => value)).toEqual([12, 12, 13]);
  });
});

describe('previews', () => {
  test('go with their step: what was told before them comes before them', async () => {
    const { received, end, listener } = await startJob();
    listener.nodeStarted('1');
    listener.progress('1', 1, 4, picture('p1'));
    listener.progress('1', 2, 4, picture('p2'));
    await end();
    expect(typesOf(received)).toEqual([
      ...['progress_state', 'executing'],
      ...['preview', 'progress_state', 'progress'],
      ...['preview', 'progress_state', 'progress', ...END],
    ]);
    expect(only(received, 'preview')).toMatchObject([
      { node: '1', text: 'p1', mediaType: 'image/jpeg' },
      { node: '1', text: 'p2' },
    ]);
  });

  test.each([
    ['that nobody asked for are for those who announced that they know them', '{}', [false, true]],
    ['that were asked for are for all', '{"preview_method":"auto"}', [true, true]],
    ['that were forbidden are not sent, a node’s own are', '{"preview_method":"none"}', [true]],
  ])('%s', async (_, extraText, forAll) => {
    const { received, end, listener } = await startJob(extraText);
    listener.nodeStarted('1');
    listener.progress('1', 1, 4, picture('of a sampler'));
    listener.progress('1', 2, 4, picture('of its own', true));
    await end();
    expect(only(received, 'preview').map((preview) => preview.forAll)).toEqual(forAll);
    expect(only(received, 'preview').at(-1)).toMatchObject({ text: 'of its own' });
    expect(only(received, 'progress').map(({ value }) => value)).toEqual([1, 2]);
  });

  test('a text is one too, behind what was told before it', async () => {
    const { received, end, listener } = await startJob();
    listener.nodeStarted('1');
    listener.text('1', 'half done');
    await end();
    expect(typesOf(received).slice(0, 3)).toEqual(['progress_state', 'executing', 'preview']);
    expect(received[2]?.data).toMatchObject({ mediaType: 'text/plain', text: 'half done' });
  });
});

describe('pictures that are results', () => {
  const stored = (name: string) =>
    ({
      mediaType: 'image/png',
      file: { filename: name, subfolder: '', type: 'temp' },
    }) as const;

  test('are counted by node, and each is told once over all runs', async () => {
    const { received, end, listener } = await startJob();
    listener.picture('1', stored('a.png'));
    listener.picture('2', stored('b.png'));
    listener.runBegins();
    listener.picture('1', stored('a-again.png'));
    listener.picture('1', stored('c.png'));
    await end();
    const pictures = only(received, 'tiercel_picture');
    expect(pictures.map(({ index, node, file }) => [index, node, file])).toMatchObject([
      [0, { node_id: '1' }, { filename: 'a.png' }],
      [0, { node_id: '2' }, { filename: 'b.png' }],
      [1, { node_id: '1' }, { filename: 'c.png' }],
    ]);
  });
});

describe('frames of a ComfyUI server', () => {
  test('are passed on as they are', async () => {
    const { received, end, listener } = await startJob();
    const frames = [
      { type: 'executing', data: { node: '1', display_node: '1', prompt_id: 'a' } },
      { type: 'progress', data: { value: 3, max: 9, prompt_id: 'a', node: '1', extra: true } },
      { type: 'of_an_extension', data: { big: 18446744073709551615n } },
    ];
    listener.relay(frames);
    await end();
    expect(received.slice(0, 3)).toEqual(frames);
  });

  test('that would take back progress are left out', async () => {
    const { received, end, listener } = await startJob();
    listener.relay([{ type: 'executing', data: { node: '1', prompt_id: 'a' } }]);
    listener.relay([{ type: 'progress', data: { value: 5, max: 9, prompt_id: 'a', node: '1' } }]);
    listener.runBegins();
    listener.relay([{ type: 'executing', data: { node: '1', prompt_id: 'a' } }]);
    listener.relay([{ type: 'progress', data: { value: 2, max: 9, prompt_id: 'a', node: '1' } }]);
    listener.relay([{ type: 'progress', data: { value: 6, max: 9, prompt_id: 'a', node: '1' } }]);
    await end();
    const values = only(received, 'progress').map(({ value }) => Number(value));
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(values).not.toContain(2);
    expect(values.at(-1)).toBe(6);
  });
});
