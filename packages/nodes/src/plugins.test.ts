import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadPlugins } from './plugins.ts';
import { createRegistry } from './registry.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tiercel-plugins-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('node modules', () => {
  test('are loaded by name, from an array or from a function that gets the helpers', async () => {
    await writeFile(join(dir, 'notes.txt'), 'not a module');
    await writeFile(
      join(dir, 'b.mjs'),
      'export default ({ createImage }) => [{ class_type: "Dot", input: {}, output: ["IMAGE"], run: async () => ({ outputs: [createImage({ width: 1, height: 1 })] }) }]',
    );
    await writeFile(
      join(dir, 'a.mjs'),
      'export const nodes = [{ class_type: "One", input: {}, output: [], run() {} }]',
    );
    const nodes = await loadPlugins(dir);
    expect(nodes.map(({ class_type, python_module }) => [class_type, python_module])).toEqual([
      ['One', 'custom_nodes.tiercel.a'],
      ['Dot', 'custom_nodes.tiercel.b'],
    ]);
    expect(createRegistry(nodes).objectInfo().Dot).toMatchObject({
      name: 'Dot',
      display_name: 'Dot',
      output_name: ['IMAGE'],
      output_is_list: [false],
      output_node: false,
    });
  });

  test.each([
    ['does not parse', 'export const = 1', ''],
    ['throws', 'throw new Error("no licence")', 'no licence'],
    ['exports nothing', 'export const x = 1', 'must export an array "nodes"'],
    ['has a node without a class', 'export const nodes = [{}]', 'no class_type'],
    [
      'has a node that cannot run',
      'export const nodes = [{ class_type: "A", input: {}, output: [] }]',
      'A: "run" must be a function',
    ],
    [
      'has needs that are no function',
      'export const nodes = [{ class_type: "A", input: {}, output: [], run() {}, needs: ["a"] }]',
      'A: "needs" must be a function',
    ],
    [
      'has an input without a type',
      'export const nodes = [{ class_type: "A", input: { required: { n: "INT" } }, output: [], run() {} }]',
      'input "n" has no type',
    ],
  ])('one that %s is refused by name', async (_, source, reason) => {
    await writeFile(join(dir, 'bad.mjs'), source);
    const loading = loadPlugins(dir);
    await expect(loading).rejects.toMatchObject({ code: 'node_plugin_invalid' });
    await expect(loading).rejects.toThrow(/^bad\.mjs: /);
    await expect(loading).rejects.toThrow(reason);
  });

  test('have their methods called on the node that they are of', async () => {
    await writeFile(
      join(dir, 'picky.mjs'),
      `class Picky {
        class_type = 'Picky'; output = []; wanted = 'b';
        input = { required: { a: ['STRING', { lazy: true }], b: ['STRING', { lazy: true }] } };
        needs() { return [this.wanted]; }
        validate() { return this.wanted; }
        fingerprint() { return this.wanted; }
        async run() { return { outputs: [] }; }
      }
      export const nodes = [new Picky()];`,
    );
    const [picky] = await loadPlugins(dir);
    expect([picky!.needs?.({}), picky!.validate?.({})]).toEqual([['b'], 'b']);
  });

  test('a folder that is not there is refused', async () => {
    await expect(loadPlugins(join(dir, 'none'))).rejects.toMatchObject({
      code: 'node_plugin_invalid',
    });
  });

  test('the test nodes of the repository declare what the recorded ComfyUI declared', async () => {
    const nodes = await loadPlugins(
      fileURLToPath(new URL('../../../tests/fixtures/nodes', import.meta.url)),
    );
    const info = createRegistry(nodes).objectInfo();
    expect(Object.keys(info)).toEqual(
      expect.arrayContaining(['BlocksForever', 'NeverReturns', 'SlowPreview']),
    );
    expect(info.SlowPreview?.input_order).toEqual({
      required: ['steps', 'delay', 'fail_at'],
      hidden: ['unique_id'],
    });
  });
});
