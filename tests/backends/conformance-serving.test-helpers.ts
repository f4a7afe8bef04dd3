import { expect, it } from '@jest/globals';
import { parseJson } from '@tiercel/contracts';
import { IMAGE_PARAMS } from '@tiercel/image-services';
import type { AttemptResult } from '@tiercel/routing';
import {
  createJob,
  paintInput,
  readPixels,
  readTexts,
  startRun,
  WORKFLOW,
  type Run,
} from './conformance-job.test-helpers.ts';
import type { Bench, Rig } from './conformance-rigs.test-helpers.ts';

/** The stored pictures of the node that saves. */
export function picturesOf(
  { files }: Bench,
  { job }: Pick<Run, 'job'>,
  { outputs }: AttemptResult,
): Uint8Array[] {
  return files.picturesOf(outputs[job.saver]);
}

/** What every backend does with a job that it can serve, and what it says of one that it cannot. */
export function itServes(
  rig: Rig,
  { bench, open }: { bench: () => Bench; open: () => Promise<Bench> },
): void {
  it('stores one PNG of the asked size under the node that saves, and says what painted it', async () => {
    const run = startRun(bench());
    const result = await run.result;
    expect(Object.keys(result.outputs)).toEqual([run.job.saver]);
    const pictures = picturesOf(bench(), run, result);
    expect(pictures).toHaveLength(1);
    const { format, width, height } = await readPixels(pictures[0]);
    expect({ format, width, height }).toEqual({ format: 'png', width: 256, height: 256 });
    expect(result.model).not.toBe('');
    expect(IMAGE_PARAMS).toEqual(expect.arrayContaining([...result.droppedParams]));
    expect(result.sketch).toBe(rig.name === 'embedded');
  });

  it('tells of the nodes of the graph in order, and of nothing after its end', async () => {
    const { job, events, result } = startRun(bench(), createJob({ seed: 11 }));
    const { outputs } = await result;
    const before = [...events.all];
    const nodes = new Set(before.map(({ nodeId }) => nodeId));
    expect(Object.keys(job.request.graph)).toEqual(expect.arrayContaining([...nodes]));
    expect([...events.promptIds].filter((id) => id !== job.request.promptId)).toEqual([]);
    for (const nodeId of [job.sampler, job.saver]) {
      expect(events.of('started', nodeId)).toHaveLength(1);
    }
    const steps = events.of('progress', job.sampler);
    const milestones = [
      ...[events.of('started', job.sampler)[0], steps[0], steps.at(-1)],
      ...[events.of('started', job.saver)[0], events.of('executed', job.saver)[0]],
    ];
    const order = milestones.map((event) => before.findIndex((one) => one === event));
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    const values = steps.map(({ value = -1 }) => value);
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(values.at(-1)).toBe(steps.at(-1)?.max);
    const shown = events.of('executed').map(({ nodeId, output }) => [nodeId, output]);
    expect(Object.fromEntries(shown) as unknown).toEqual(outputs);
    await startRun(bench()).result;
    expect(events.all).toEqual(before);
  });

  it('gives each picture of a batch a file of its own under one node', async () => {
    const run = startRun(bench(), createJob({ batch: 2 }));
    const files = picturesOf(bench(), run, await run.result);
    const pictures = await Promise.all(files.map(readPixels));
    expect(new Set(pictures.map(({ pixels }) => pixels)).size).toBe(2);
    const size = [256, 256];
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([size, size]);
  });

  it('writes the prompt with every digit of its seed, and the workflow, into the PNG', async () => {
    const run = startRun(bench(), createJob({ seed: 2n ** 64n - 1n }));
    const [file] = picturesOf(bench(), run, await run.result);
    const { prompt, workflow } = await readTexts(file);
    expect(prompt).toEqual(run.job.request.graph);
    expect(run.job.request.graph[run.job.sampler]?.inputs.seed).toBe(18446744073709551615n);
    expect({ workflow }).toEqual(parseJson(WORKFLOW));
  });

  it('starts from a picture, or names the sampler that cannot', async () => {
    const { backend, files } = bench();
    files.inputs.set('red.png', await paintInput('red'));
    files.inputs.set('blue.png', await paintInput('blue'));
    const jobs = ['red.png', 'blue.png'].map((init) => createJob({ init, seed: 21 }));
    const seen = new Set<string>();
    for (const job of jobs) {
      const support = backend.supports(job.request);
      expect(support.ok).toBe(rig.init !== 'refused');
      if (!support.ok) {
        expect(support.reason).toMatch(new RegExp(`node ${job.sampler}\\b.*image to start from`));
        continue;
      }
      const [file] = picturesOf(bench(), { job }, await startRun(bench(), job).result);
      const { width, height, pixels } = await readPixels(file);
      expect([width, height]).toEqual([256, 256]);
      seen.add(pixels);
    }
    if (rig.init === 'shown') expect(seen.size).toBe(2);
  });

  it('runs a graph with a LoRA, or names the node that it cannot do', async () => {
    const job = createJob({ extra: 'LoraLoader' });
    const support = bench().backend.supports(job.request);
    expect(support.ok).toBe(rig.runsLora);
    if (!support.ok) expect(support.reason).toMatch(/node 10 .*LoraLoader/);
    else expect(Object.keys((await startRun(bench(), job).result).outputs)).toEqual([job.saver]);
  });

  it('names a node of a class that it does not know', () => {
    const job = createJob({ extra: 'FaceDetailer' });
    const support = bench().backend.supports(job.request);
    expect(support).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/node 10 .*FaceDetailer/) as unknown,
    });
  });

  it('does not mix two jobs that run at once', async () => {
    const wishes = [
      { idPrefix: 'a', prompt: 'a red house', seed: 31 },
      { idPrefix: 'b', prompt: 'a blue sea', seed: 32 },
    ];
    const together = wishes.map((wish) => startRun(bench(), createJob(wish)));
    const results = await Promise.all(together.map(({ result }) => result));
    const alone = await open();
    const painted = new Set<string>();
    for (const [index, run] of together.entries()) {
      const [file] = picturesOf(bench(), run, results[index] as AttemptResult);
      expect((await readTexts(file)).prompt).toEqual(run.job.request.graph);
      const nodes = Object.keys(run.job.request.graph);
      expect(run.events.all.filter(({ nodeId }) => !nodes.includes(nodeId))).toEqual([]);
      const again = startRun(alone, createJob(wishes[index]));
      const [expected] = picturesOf(alone, again, await again.result);
      const { pixels } = await readPixels(file);
      expect(pixels === (await readPixels(expected)).pixels).toBe(true);
      painted.add(pixels);
    }
    expect(painted.size).toBe(2);
  });
}
