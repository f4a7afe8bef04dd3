import { describe, expect, test } from '@jest/globals';
import type { JsonValue, PromptGraph } from '@tiercel/contracts';
import { readNodes } from '../graph-nodes.ts';
import { imageClasses } from './image-classes.ts';
import { lowerGraph } from './lower-graph.ts';
import { ksampler, lower, node, textToImage } from './test-graphs.ts';

describe('any graph', () => {
  /** Numbers in 0..1, the same on every run. */
  function createRandom(seed: number) {
    let state = seed;
    return () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
  }

  test('is answered, however wild its links and values are', () => {
    const classes = [...Object.keys(imageClasses), 'Reroute', 'IPAdapter', 'Nope', 'constructor'];
    for (let seed = 1; seed <= 100; seed += 1) {
      const random = createRandom(seed);
      const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)] as T; // never empty
      const graph: Record<string, unknown> = {};
      const count = 2 + Math.floor(random() * 40);
      for (let id = 0; id < count; id += 1) {
        const class_type = pick(classes);
        const declared = Object.hasOwn(imageClasses, class_type)
          ? Object.keys(imageClasses[class_type]?.input.required ?? {})
          : ['x', '__proto__', 'model'];
        const inputs = declared.map((name): [string, JsonValue] => [
          name,
          random() < 0.8
            ? [String(Math.floor(random() * count)), pick([0, 0, 0, 1, 2, -1, 0.5])]
            : pick<JsonValue>([null, 'text', -1, 1e300, 2n ** 70n, true, [], {}, [1, 2, 3]]),
        ]);
        const broken = random() < 0.05;
        graph[String(id)] = broken
          ? pick<unknown>([null, [], 'x', { class_type: 1 }, { class_type, inputs: 3 }])
          : { class_type, inputs: Object.fromEntries(inputs) };
      }
      const outputs = [String(count - 1), '0', 'missing', '__proto__'];
      const lowering = lowerGraph(readNodes(graph as PromptGraph), outputs); // garbage on purpose
      for (const { nodeId } of [...lowering.stages, ...lowering.obstacles]) {
        expect(Object.hasOwn(graph, nodeId)).toBe(true);
      }
    }
    for (const garbage of [null, 3, 'x', []]) {
      expect(lowerGraph(readNodes(garbage), ['1']).stages).toEqual([]);
    }
  });

  test('of 100,000 nodes is read without a deep stack', () => {
    const graph: Record<string, PromptGraph[string]> = { ...textToImage() };
    const count = 33_000;
    for (let i = 0; i < count; i += 1) {
      const before = i === 0 ? ['6', 0] : [`c${i - 1}`, 0];
      graph[`c${i}`] = node('ConditioningConcat', {
        conditioning_to: before,
        conditioning_from: ['7', 0],
      });
      graph[`m${i}`] = node('ModelSamplingSD3', {
        model: i === 0 ? ['4', 0] : [`m${i - 1}`, 0],
        shift: 3,
      });
      graph[`l${i}`] = node('LatentUpscaleBy', {
        samples: i === 0 ? ['5', 0] : [`l${i - 1}`, 0],
        upscale_method: 'area',
        scale_by: 1,
      });
    }
    const last = String(count - 1);
    graph['3'] = ksampler({
      model: [`m${last}`, 0],
      positive: [`c${last}`, 0],
      latent_image: [`l${last}`, 0],
    });
    const { stages, obstacles } = lower(graph);
    expect(stages[0]?.request).toMatchObject({ width: 512, checkpoint: 'sd15.safetensors' });
    // The prompt has been joined too long: that is told once it happens.
    expect(new Set(obstacles.map(({ kind }) => kind))).toEqual(new Set(['shape']));
  });

  test('cannot blow up a text by doubling it', () => {
    const graph: Record<string, PromptGraph[string]> = {
      ...textToImage({ '6': node('CLIPTextEncode', { text: ['s99', 0], clip: ['4', 1] }) }),
      s0: node('PrimitiveString', { value: 'ha' }),
    };
    for (let i = 1; i < 100; i += 1) {
      const half = [`s${i - 1}`, 0];
      graph[`s${i}`] = node('StringConcatenate', { string_a: half, string_b: half, delimiter: '' });
    }
    expect(lower(graph).obstacles).toMatchObject([{ kind: 'shape' }]);
  });
});
