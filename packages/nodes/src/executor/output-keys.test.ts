import { describe, expect, test } from '@jest/globals';
import { parseJson, type PromptGraph } from '@tiercel/contracts';
import { readNodes } from '@tiercel/graph';
import { createBuiltinNodes } from '../builtins/create-builtin-nodes.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { createRegistry } from '../registry.ts';
import { outputKeys } from './output-keys.ts';
import { empty, invert, preview, save } from './test-run.ts';

const clock: NodeDefinition = {
  class_type: 'Clock',
  input: {},
  output: ['IMAGE'],
  fingerprint: () => NaN,
  run: () => Promise.resolve({ outputs: [1] }),
};
const registry = createRegistry([...createBuiltinNodes('abcde'), clock]);

function keysOf(
  graph: PromptGraph | string,
  outputs: readonly string[],
  inputs: ReadonlyMap<string, string> = new Map(),
  signal = new AbortController().signal,
) {
  const promptText = typeof graph === 'string' ? graph : JSON.stringify(graph);
  return outputKeys({
    graph: readNodes(parseJson(promptText)),
    promptText,
    outputs,
    registry,
    signal,
    files: {
      fingerprint(name) {
        const content = inputs.get(name);
        return content === undefined
          ? Promise.reject(new Error('no such file'))
          : Promise.resolve(content);
      },
    },
  });
}

/** A sampler and a loader of classes that the registry does not have. */
const foreign = (seed: string, loaderValue = '"flux.safetensors"') => `{
  "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "a"}},
  "5": {"class_type": "FarSampler", "inputs": {"seed": ${seed}, "model": ["4", 0]}},
  "4": {"class_type": "FarLoader", "inputs": {"name": ${loaderValue}}}
}`;

describe('the keys of output nodes', () => {
  test('do not depend on node ids, on the order of nodes, or on titles', async () => {
    const one = await keysOf({ '1': empty(), '2': invert('1'), '3': save('2') }, ['3']);
    const titled = { ...save('b'), _meta: { title: 'The end' } };
    const other = await keysOf({ z: titled, b: invert('c'), c: empty() }, ['z']);
    expect(other?.get('z')).toBe(one?.get('3'));
    expect(one?.get('3')).toEqual(expect.any(String));
  });

  test('are those of each output, and only of the outputs', async () => {
    const graph = { '1': empty(), '2': save('1', 'a'), '3': save('1', 'b'), '4': preview('1') };
    const keys = await keysOf(graph, ['3', '2']);
    expect([...(keys ?? new Map()).keys()]).toEqual(['3', '2']);
    expect(keys?.get('2')).not.toBe(keys?.get('3'));
  });

  test('are equal for values that coerce to the same', async () => {
    const number = await keysOf({ '1': empty({ width: 8 }), '2': save('1') }, ['2']);
    const text = await keysOf({ '1': empty({ width: '8' }), '2': save('1') }, ['2']);
    expect(text).toEqual(number);
  });

  test('take in classes that the registry does not know, their 64-bit values digit by digit', async () => {
    const keys = await keysOf(foreign('18446744073709551615'), ['9']);
    expect(keys?.get('9')).toEqual(expect.any(String));
    expect(await keysOf(foreign('18446744073709551615'), ['9'])).toEqual(keys);
    expect(await keysOf(foreign('18446744073709551614'), ['9'])).not.toEqual(keys);
    expect(await keysOf(foreign('18446744073709551615', '"sd3"'), ['9'])).not.toEqual(keys);
  });

  test('take any JSON value of an unknown class as it is', async () => {
    const graphs = ['null', 'true', '[1, [2, {"a": "b"}]]', '{"__value__": ["4", 0]}', '""'];
    const keys = await Promise.all(
      graphs.map(async (value) => (await keysOf(foreign('1', value), ['9']))?.get('9')),
    );
    expect(new Set(keys).size).toBe(graphs.length);
    expect(keys).not.toContain(undefined);
  });

  test('change with the content of a loaded file, also of a loader the registry does not know', async () => {
    const load = {
      '1': { class_type: 'LoadImage', inputs: { image: 'x.png' } },
      '2': save('1'),
    };
    const before = new Map([['x.png', 'v1']]);
    const after = new Map([['x.png', 'v2']]);
    for (const graph of [load, foreign('1', '"x.png"')]) {
      const outputs = [typeof graph === 'string' ? '9' : '2'];
      const keys = await keysOf(graph, outputs, before);
      expect(keys).toBeDefined();
      expect(await keysOf(graph, outputs, before)).toEqual(keys);
      expect(await keysOf(graph, outputs, after)).not.toEqual(keys);
    }
  });

  test('are not to be had when a file that is loaded is gone', async () => {
    const graph = {
      '1': { class_type: 'LoadImage', inputs: { image: 'gone.png' } },
      '2': save('1'),
    };
    expect(await keysOf(graph, ['2'])).toBeUndefined();
  });

  test('are not to be had when one of the outputs depends on something that always changes', async () => {
    const graph = {
      '1': { class_type: 'Clock', inputs: {} },
      '2': invert('1'),
      '3': save('2'),
      '4': empty(),
      '5': save('4'),
    };
    expect(await keysOf(graph, ['5', '3'])).toBeUndefined();
    expect(await keysOf(graph, ['5'])).toBeDefined();
  });

  test('are not to be had for a node that is missing, a value that does not coerce, or a cycle', async () => {
    expect(await keysOf({ '1': empty() }, ['2'])).toBeUndefined();
    expect(await keysOf({ '2': save('1') }, ['2'])).toBeUndefined();
    expect(await keysOf({ '1': empty({ width: 'wide' }), '2': save('1') }, ['2'])).toBeUndefined();
    const cycle = { '1': invert('2'), '2': invert('1'), '3': save('1') };
    expect(await keysOf(cycle, ['3'])).toBeUndefined();
  });

  test('end at once when the job is stopped', async () => {
    const reason = new Error('interrupted');
    const asked = keysOf(
      { '1': empty(), '2': save('1') },
      ['2'],
      new Map(),
      AbortSignal.abort(reason),
    );
    await expect(asked).rejects.toMatchObject({ cause: reason });
  });
});
