import { describe, expect, test } from '@jest/globals';
import type { JsonValue } from '@tiercel/contracts';
import { draft, inputsOf, saved, type NodeDraft } from './workflows.test-helpers.ts';

const primitive = (value: JsonValue, rest: Record<string, unknown> = {}): NodeDraft =>
  draft(1, 'PrimitiveNode', [value, 'fixed'], rest);

const fed = (id: number, type: string, values: JsonValue, ...names: string[]): NodeDraft =>
  draft(id, type, values, {
    feeds: Object.fromEntries(names.map((name) => [name, [1, 0] as const])),
    widgets: names,
  });

describe('a PrimitiveNode', () => {
  test('writes its value into the widgets it is linked to, and vanishes', () => {
    const file = saved([primitive('from it'), fed(2, 'Text', ['own'], 'value')]);
    expect(inputsOf(file)).toEqual({ '2': { value: 'from it' } });
  });

  test('does so whatever its mode, and choices in texts are drawn afterwards', () => {
    for (const mode of [2, 4]) {
      const file = saved([primitive('a {red} fox', { mode }), fed(2, 'Encode', ['own'], 'text')]);
      expect(inputsOf(file)['2']).toEqual({ text: 'a red fox' });
    }
  });

  test('gives whole numbers to the nearest step, counted from the minimum', () => {
    const file = saved([primitive(1001), fed(2, 'Latent', [512, 512, 1], 'width')]);
    expect(inputsOf(file)['2']?.width).toBe(1000);
  });

  test('gives several targets one number within the limits that they share', () => {
    const file = saved([
      primitive(1001),
      fed(2, 'Latent', [512, 512, 1], 'width'),
      fed(3, 'Scale', [64, 64], 'height'),
    ]);
    expect(inputsOf(file)).toMatchObject({ '2': { width: 1000 }, '3': { height: 1000 } });
  });

  test('gives fractions rounded and held as each target has them', () => {
    const file = saved([
      primitive(3.14159),
      fed(2, 'KSampler', [1, 'fixed', 20, 7.5, 'euler', 'simple', 1], 'cfg', 'denoise'),
    ]);
    expect(inputsOf(file)['2']).toMatchObject({ cfg: 3.1, denoise: 1 });
  });

  test('fills in values of nodes when its user wants that', () => {
    const file = saved([
      primitive('out_%Text.value%', { properties: { 'Run widget replace on values': true } }),
      fed(2, 'SaveImage', ['own'], 'filename_prefix'),
      draft(3, 'Text', ['x']),
    ]);
    expect(inputsOf(file)['2']).toEqual({ filename_prefix: 'out_x' });
  });

  test('gives nothing through a Reroute, or to what takes only links', () => {
    const file = saved([
      primitive(640),
      draft(2, 'Reroute', undefined, { feeds: { '': [1, 0] } }),
      draft(3, 'Latent', [512, 512, 1], { feeds: { width: [2, 0] }, widgets: ['width'] }),
      draft(4, 'Taker', ['x'], { feeds: { strength: [1, 0] } }),
    ]);
    expect(inputsOf(file)).toMatchObject({ '3': { width: 512 }, '4': { name: 'x' } });
    expect(inputsOf(file)['4']).toEqual({ name: 'x' });
  });

  test('without a link changes nothing', () => {
    expect(inputsOf(saved([primitive(5), draft(2, 'Whole', [7, 'fixed'])]))).toEqual({
      '2': { value: 7 },
    });
  });
});
