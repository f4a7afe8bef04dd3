import { describe, expect, test } from '@jest/globals';
import type { JsonObject, JsonValue } from '@tiercel/contracts';
import {
  draft,
  frame,
  inputsOf,
  saved,
  subgraph,
  withSubgraphs,
} from './workflows.test-helpers.ts';

/** A subgraph that encodes a text; the text is an input of it. */
const encoder = (id = 'encoder') =>
  subgraph(id, {
    inputs: [
      ['clip', 'CLIP'],
      ['text', 'STRING'],
    ],
    outputs: [['CONDITIONING', 'CONDITIONING', [201, 0]]],
    nodes: [
      draft(201, 'Encode', ['inner {text}'], {
        feeds: { clip: frame(0), text: frame(1) },
        widgets: ['text'],
      }),
    ],
  });

const checkpoint = draft(1, 'Checkpoint', ['a.safetensors']);

/** An instance of the encoder and what takes its output. */
const instance = (values: JsonValue | undefined, extras: Record<string, unknown> = {}) => [
  checkpoint,
  draft(2, 'encoder', values, { feeds: { clip: [1, 1] }, ...extras }),
  draft(3, 'Show', [], { feeds: { source: [2, 0] } }),
];

describe('a subgraph', () => {
  test('is replaced by its nodes, whose ids begin with that of the instance', () => {
    const file = saved(instance(['host text']), withSubgraphs(encoder()));
    expect(inputsOf(file)).toEqual({
      '1': { ckpt_name: 'a.safetensors' },
      '2:201': { text: 'host text', clip: ['1', 1] },
      '3': { source: ['2:201', 0] },
    });
  });

  test('may stand inside another, be used twice, and be defined inside the other', () => {
    const outer: JsonObject = {
      ...subgraph('outer', {
        inputs: [['clip', 'CLIP']],
        outputs: [['CONDITIONING', 'CONDITIONING', [102, 0]]],
        nodes: [
          draft(101, 'encoder', ['deep'], { feeds: { clip: frame(0) } }),
          draft(103, 'encoder', ['deep too'], { feeds: { clip: frame(0) } }),
          draft(102, 'Combine', undefined, { feeds: { one: [101, 0], two: [103, 0] } }),
        ],
      }),
      ...withSubgraphs(encoder()),
    };
    const file = saved(
      [
        checkpoint,
        draft(2, 'outer', undefined, { feeds: { clip: [1, 1] } }),
        draft(4, 'encoder', ['top']),
      ],
      withSubgraphs(outer),
    );
    expect(inputsOf(file)).toEqual({
      '1': { ckpt_name: 'a.safetensors' },
      '2:101:201': { text: 'deep', clip: ['1', 1] },
      '2:103:201': { text: 'deep too', clip: ['1', 1] },
      '2:102': { one: ['2:101:201', 0], two: ['2:103:201', 0] },
      '4:201': { text: 'top' },
    });
  });

  test('passes what leads straight from an input to an output', () => {
    const straight = subgraph('straight', {
      inputs: [['image', 'IMAGE']],
      outputs: [
        ['image', 'IMAGE', frame(0)],
        ['nothing', 'IMAGE', [999, 0]],
      ],
      nodes: [],
    });
    const file = saved(
      [
        draft(1, 'Invert'),
        draft(2, 'straight', undefined, { feeds: { image: [1, 0] } }),
        draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
      ],
      withSubgraphs(straight),
    );
    expect(inputsOf(file)['3']).toEqual({ image: ['1', 0] });
  });

  test('matches the inputs of an instance by name, in any order, and drops those that it lacks', () => {
    const scrambled = draft(2, 'encoder', ['host text'], { feeds: { gone: [1, 0], clip: [1, 1] } });
    const file = saved([checkpoint, scrambled], withSubgraphs(encoder()));
    expect(inputsOf(file)['2:201']).toEqual({ text: 'host text', clip: ['1', 1] });
  });

  test('muted or bypassed is gone with all inside; bypassed it passes links by type', () => {
    const inverter = subgraph('inverter', {
      inputs: [['image', 'IMAGE']],
      outputs: [['image', 'IMAGE', [5, 0]]],
      nodes: [
        draft(5, 'Invert', undefined, { feeds: { image: frame(0) } }),
        draft(6, 'SaveImage', ['inside'], { feeds: { images: [5, 0] } }),
      ],
    });
    const around = (mode: number) =>
      inputsOf(
        saved(
          [
            draft(1, 'Invert'),
            draft(2, 'inverter', undefined, { feeds: { image: [1, 0] }, mode }),
            draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
          ],
          withSubgraphs(inverter),
        ),
      );
    expect(around(2)).toEqual({ '1': {}, '3': {} });
    expect(around(4)).toEqual({ '1': {}, '3': { image: ['1', 0] } });

    const inside = (mode: number) =>
      inputsOf(
        saved(
          [draft(9, 'box')],
          withSubgraphs(
            subgraph('box', {
              nodes: [
                draft(1, 'Invert'),
                draft(2, 'inverter', undefined, { feeds: { image: [1, 0] }, mode }),
                draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
              ],
            }),
            inverter,
          ),
        ),
      );
    // The export keeps what stands in an inner one, unlinked; but nothing of it may run.
    const kept = { '9:2:5': { image: ['9:1', 0] } };
    expect(inside(2)).toEqual({ '9:1': {}, '9:3': {}, ...kept });
    expect(inside(4)).toEqual({ '9:1': {}, '9:3': { image: ['9:1', 0] }, ...kept });
  });

  test('has ids of its own: one that the file has too becomes the next free one', () => {
    const file = saved(
      [checkpoint, draft(201, 'Invert'), draft(2, 'encoder', ['x'], { feeds: { clip: [1, 1] } })],
      withSubgraphs(encoder()),
    );
    expect(inputsOf(file)['2:202']).toEqual({ text: 'x', clip: ['1', 1] });
  });
});

describe('a promoted widget', () => {
  const textOf = (values: JsonValue | undefined, extras?: Record<string, unknown>) =>
    inputsOf(saved(instance(values, extras), withSubgraphs(encoder())))['2:201']?.text;

  test('has the value of the instance as it is, without drawing from it', () => {
    expect(textOf(['host {text} // kept'])).toBe('host {text} // kept');
    expect(textOf([['a', 'b']])).toEqual({ __value__: ['a', 'b'] });
  });

  test('without one the value inside', () => {
    expect(textOf(undefined)).toBe('inner {text}');
    expect(textOf([])).toBe('inner {text}');
  });

  test('gives one value to all that its input feeds', () => {
    const twins = subgraph('twins', {
      inputs: [['text', 'STRING']],
      nodes: [
        draft(5, 'Encode', ['one'], { feeds: { text: frame(0) }, widgets: ['text'] }),
        draft(6, 'Encode', ['two'], { feeds: { text: frame(0) }, widgets: ['text'] }),
      ],
    });
    const file = saved([draft(2, 'twins', ['both'])], withSubgraphs(twins));
    expect(inputsOf(file)).toEqual({ '2:5': { text: 'both' }, '2:6': { text: 'both' } });
  });

  test('is replaced by a link; one that leads nowhere leaves the value inside', () => {
    const linked = (mode: number) =>
      inputsOf(
        saved(
          [
            draft(8, 'Text', ['from outside'], { mode }),
            draft(2, 'encoder', ['host'], { feeds: { text: [8, 0] }, widgets: ['text'] }),
          ],
          withSubgraphs(encoder()),
        ),
      )['2:201']?.text;
    expect(linked(0)).toEqual(['8', 0]);
    expect(linked(2)).toBe('inner text');
  });

  test('takes the value of a PrimitiveNode, which the editor loses', () => {
    const file = saved(
      [
        draft(8, 'PrimitiveNode', ['from it']),
        draft(2, 'encoder', ['host'], { feeds: { text: [8, 0] }, widgets: ['text'] }),
      ],
      withSubgraphs(encoder()),
    );
    expect(inputsOf(file)['2:201']?.text).toBe('from it');
  });

  test('may be promoted through several levels', () => {
    const outer = subgraph('outer', {
      inputs: [['words', 'STRING']],
      nodes: [draft(101, 'encoder', ['deep'], { feeds: { text: frame(0) }, widgets: ['text'] })],
    });
    const text = (values: JsonValue) =>
      inputsOf(saved([draft(2, 'outer', values)], withSubgraphs(outer, encoder())))['2:101:201']
        ?.text;
    expect(text(['from the top'])).toBe('from the top');
    expect(text([])).toBe('deep');
  });
});

describe('proxyWidgets of older files', () => {
  const sampler = subgraph('sampler', {
    inputs: [
      ['seed', 'INT'],
      ['steps', 'INT'],
      ['sampler_name', 'COMBO'],
    ],
    nodes: [
      draft(101, 'KSampler', [7, 'fixed', 12, 6, 'heun', 'karras', 1], {
        feeds: { seed: frame(0), steps: frame(1), sampler_name: frame(2) },
        widgets: ['seed', 'steps', 'sampler_name'],
      }),
      draft(102, 'PrimitiveNode', [0.25, 'fixed']),
      draft(103, 'KSampler', [8, 'fixed'], { feeds: { denoise: [102, 0] }, widgets: ['denoise'] }),
    ],
  });
  const host = (id: number, proxyWidgets: JsonValue, values?: JsonValue) =>
    draft(id, 'sampler', values, { properties: { proxyWidgets } });
  const read = (...nodes: ReturnType<typeof host>[]) =>
    inputsOf(saved(nodes, withSubgraphs(sampler)));

  test('name the widgets in the order of the values, those that are inputs with -1', () => {
    const inputs = read(
      host(
        2,
        [
          ['-1', 'steps'],
          ['-1', 'seed'],
          ['101', 'cfg'],
        ],
        [33, 888, 4.5],
      ),
    );
    // The editor takes 4.5 for the sampler's name too, by position.
    expect(inputs['2:101']).toMatchObject({ seed: 888, steps: 33, cfg: 4.5, sampler_name: 'heun' });
  });

  test('without values leave those inside', () => {
    expect(read(host(2, [['101', 'cfg']]))['2:101']).toMatchObject({ seed: 7, cfg: 6 });
  });

  test('are those of one instance, though the widget is promoted for all', () => {
    const inputs = read(
      host(2, [['101', 'cfg']], [1.5]),
      host(
        3,
        [
          ['101', 'denoise'],
          ['101', 'cfg'],
        ],
        [0.5, 2.5],
      ),
      host(4, []),
    );
    expect(inputs['2:101']).toMatchObject({ cfg: 1.5, denoise: 1, seed: 7 });
    expect(inputs['3:101']).toMatchObject({ cfg: 2.5, denoise: 0.5 });
    expect(inputs['4:101']).toMatchObject({ cfg: 6, denoise: 1 });
  });

  test('of a PrimitiveNode are those of its targets', () => {
    const inputs = read(host(2, [['102', 'value']], [0.75]), host(3, [['102', 'value']]));
    expect(inputs).toMatchObject({ '2:103': { denoise: 0.75 }, '3:103': { denoise: 0.25 } });
  });

  test('that name a preview, or nothing that is there, keep their place and do nothing', () => {
    const proxies = [
      ['999', 'seed'],
      ['101', 'nope'],
      ['101', '$$canvas-image-preview'],
      ['101', 'cfg'],
      7,
    ];
    expect(read(host(2, proxies, [1, 2, 3, 4.5]))['2:101']).toMatchObject({ seed: 7, cfg: 4.5 });
  });

  test('reach into inner subgraphs, by the name there or with the id of the node before it', () => {
    const plain = subgraph('plain', { nodes: [draft(201, 'Text', ['inner'])] });
    const outer = (proxyWidgets: JsonValue) =>
      subgraph('outer', {
        nodes: [draft(101, 'plain', ['deep'], { properties: { proxyWidgets } })],
      });
    const top = (name: string) =>
      draft(2, 'outer', ['top'], { properties: { proxyWidgets: [['101', name]] } });
    const text = (name: string, inner: JsonValue) =>
      inputsOf(saved([top(name)], withSubgraphs(outer(inner), plain)))['2:101:201'];
    expect(text('value', [['201', 'value']])).toEqual({ value: 'top' });
    expect(text('201: value', [])).toEqual({ value: 'top' });
  });

  test('name nodes by their ids in the file, whatever they become', () => {
    const inputs = read(host(101, [['101', 'cfg']], [1.5]));
    expect(Object.values(inputs)).toContainEqual(expect.objectContaining({ cfg: 1.5 }));
  });
});

describe('a group node of before subgraphs', () => {
  const member = (type: string, index: number, values?: JsonValue): JsonObject => ({
    type,
    index,
    mode: 0,
    ...(values === undefined ? {} : { widgets_values: values }),
  });
  const groups = {
    pair: {
      nodes: [member('Encode', 0, ['one']), member('Encode', 1, ['two']), member('Combine', 2)],
      links: [
        [0, 0, 2, 0, 10, 'CONDITIONING'],
        [1, 0, 2, 1, 11, 'CONDITIONING'],
      ],
      external: [[2, 0, 'CONDITIONING']],
    },
  };
  const file = (type: string, rest: Record<string, unknown> = {}) =>
    saved(
      [
        checkpoint,
        draft(2, type, ['outer {A}', 'outer B'], {
          feeds: { clip: [1, 1], 'Encode clip': [1, 1] },
          ...rest,
        }),
        draft(3, 'Show', [], { feeds: { source: [2, 0] } }),
      ],
      { extra: { groupNodes: groups } },
    );
  const expanded = {
    '1': { ckpt_name: 'a.safetensors' },
    '3': { source: ['7:6', 0] },
    '7:4': { text: 'outer A', clip: ['1', 1] },
    '7:5': { text: 'outer B', clip: ['1', 1] },
    '7:6': { one: ['7:4', 0], two: ['7:5', 0] },
  };

  test('becomes a subgraph with new ids, in both forms of its type, whatever its mode', () => {
    expect(inputsOf(file('workflow>pair'))).toEqual(expanded);
    expect(inputsOf(file('workflow/pair'))).toEqual(expanded);
    expect(inputsOf(file('workflow>pair', { mode: 4 }))).toEqual(expanded);
  });

  test('each of two has nodes of its own', () => {
    const two = saved([draft(1, 'workflow>pair', ['a', 'b']), draft(2, 'workflow>pair', ['c'])], {
      extra: { groupNodes: groups },
    });
    expect(inputsOf(two)).toMatchObject({
      '6:3': { text: 'a' },
      '6:4': { text: 'b' },
      '10:7': { text: 'c' },
      '10:8': { text: 'two' },
    });
  });

  test('hides what its settings hide, under the names that they give', () => {
    const settings = {
      '0': { input: { text: { visible: false }, clip: { name: 'left' } } },
    };
    const renamed = saved(
      [checkpoint, draft(2, 'workflow>pair', ['only B'], { feeds: { left: [1, 1] } })],
      { extra: { groupNodes: { pair: { ...groups.pair, config: settings } } } },
    );
    expect(inputsOf(renamed)).toMatchObject({
      '6:3': { text: 'one', clip: ['1', 1] },
      '6:4': { text: 'only B' },
    });
  });
});
