import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '@tiercel/contracts';
import { convert, draft, inputsOf, saved, savedAsObjects } from './workflows.test-helpers.ts';

/** Text to image, as its user has it. */
const textToImage = [
  draft(1, 'Checkpoint', ['b.safetensors']),
  draft(2, 'Encode', ['a fox'], { feeds: { clip: [1, 1] }, title: 'Positive' }),
  draft(3, 'Encode', ['blurry'], { feeds: { clip: [1, 1] } }),
  draft(4, 'Latent', [640, 512, 2]),
  draft(5, 'KSampler', [42, 'fixed', 30, 7.5, 'heun', 'karras', 0.5], {
    feeds: { model: [1, 0], positive: [2, 0], negative: [3, 0], latent_image: [4, 0] },
  }),
  draft(6, 'Decode', undefined, { feeds: { samples: [5, 0], vae: [1, 2] } }),
  draft(7, 'SaveImage', ['fox'], { feeds: { images: [6, 0] } }),
];

const prompt = {
  '1': { ckpt_name: 'b.safetensors' },
  '2': { text: 'a fox', clip: ['1', 1] },
  '3': { text: 'blurry', clip: ['1', 1] },
  '4': { width: 640, height: 512, batch_size: 2 },
  '5': {
    seed: 42,
    steps: 30,
    cfg: 7.5,
    sampler_name: 'heun',
    scheduler: 'karras',
    denoise: 0.5,
    model: ['1', 0],
    positive: ['2', 0],
    negative: ['3', 0],
    latent_image: ['4', 0],
  },
  '6': { samples: ['5', 0], vae: ['1', 2] },
  '7': { filename_prefix: 'fox', images: ['6', 0] },
};

/** The same file with some of its links changed. */
function withLinks(file: JsonObject, change: (links: unknown[][]) => unknown[]): JsonObject {
  return {
    ...file,
    links: change(structuredClone(file.links) as unknown as unknown[][]),
  } as JsonObject;
}

/** Nodes that remember none of their links, as of 2023. */
const forgetful = (file: JsonObject): JsonObject => ({
  ...file,
  nodes: (file.nodes as unknown as JsonObject[]).map(({ inputs: _, ...node }) => node),
});

describe('a saved workflow becomes a prompt', () => {
  test('of its classes, values and links, with the titles that people see', () => {
    const result = convert(saved(textToImage));
    expect(inputsOf(saved(textToImage))).toEqual(prompt);
    expect(result.ok && result.prompt['2']).toMatchObject({
      class_type: 'Encode',
      _meta: { title: 'Positive' },
    });
    expect(result.ok && result.prompt['1']?._meta).toEqual({ title: 'Load Checkpoint' });
  });

  test('with the pack that each node came from, where the file names one', () => {
    const [first, ...rest] = textToImage;
    const packed = { ...first!, rest: { properties: { cnr_id: 'comfy-core', ver: '0.3.40' } } };
    const odd = { ...rest[0]!, rest: { properties: { cnr_id: 'no id!', ver: 7 } } };
    const result = convert(saved([packed, odd, ...rest.slice(1)]));
    expect(result.ok && result.prompt['1']?._meta).toEqual({
      title: 'Load Checkpoint',
      cnr_id: 'comfy-core',
      ver: '0.3.40',
    });
    expect(result.ok && result.prompt['2']?._meta).toEqual({ title: 'Encode' });
  });

  test('in each form that links have had', () => {
    expect(inputsOf(savedAsObjects(textToImage))).toEqual(prompt);
    const unversioned = Object.entries(saved(textToImage)).filter(([name]) => name !== 'version');
    expect(inputsOf(Object.fromEntries(unversioned))).toEqual(prompt);
  });

  test('when nodes do not remember their links: sockets come before widgets', () => {
    expect(inputsOf(forgetful(saved(textToImage)))).toEqual(prompt);
  });

  test('with node ids that are words', () => {
    const words = [
      draft('lens', 'Text', ['x']),
      draft('show', 'Show', [], { feeds: { source: ['lens', 0] } }),
    ];
    expect(inputsOf(saved(words))).toEqual({ lens: { value: 'x' }, show: { source: ['lens', 0] } });
  });

  test('whatever leads to no output, has inputs missing, or goes in a circle', () => {
    const file = saved([
      draft(1, 'Invert', undefined, { feeds: { image: [2, 0] } }),
      draft(2, 'Invert', undefined, { feeds: { image: [1, 0] } }),
      draft(3, 'Decode'),
    ]);
    expect(inputsOf(file)).toEqual({ '1': { image: ['2', 0] }, '2': { image: ['1', 0] }, '3': {} });
  });
});

describe('which input a link goes to', () => {
  test('is said by the name under which the node remembers it, before the slot', () => {
    const swapped = withLinks(saved(textToImage), (links) =>
      links.map((link) =>
        link[3] === 5 ? [...link.slice(0, 4), 9 - Number(link[4]), link[5]] : link,
      ),
    );
    expect(inputsOf(swapped)).toEqual(prompt);
  });

  test('one that the node remembers and the file has not is none', () => {
    const file = withLinks(saved(textToImage), (links) => links.filter((link) => link[3] !== 7));
    expect(inputsOf(file)['7']).toEqual({ filename_prefix: 'fox' });
  });

  test('the first of two wins, unless the node remembers the other', () => {
    const second = [91, 3, 0, 5, 1, 'CONDITIONING'];
    const file = saved(textToImage);
    expect(inputsOf(withLinks(file, (links) => [...links, second]))).toEqual(prompt);
    const earlier = withLinks(file, (links) => [[91, 3, 0, 5, 1, 'CONDITIONING'], ...links]);
    expect(inputsOf(earlier)).toEqual(prompt);
  });

  test('an input that the class lacks keeps its link, a widget that it lacks does not', () => {
    const file = saved([
      draft(1, 'Text', ['x']),
      draft(2, 'Show', [], {
        feeds: { old_name: [1, 0], old_widget: [1, 0] },
        widgets: ['old_widget'],
      }),
    ]);
    expect(inputsOf(file)['2']).toEqual({ old_name: ['1', 0] });
  });

  test('entries of the list that are no links are passed over', () => {
    const file = withLinks(saved(textToImage), (links) => [null, 7, [], ...links]);
    expect(inputsOf(file)).toEqual(prompt);
  });
});

describe('nodes that vanish', () => {
  test('notes are dropped', () => {
    const notes = [draft(8, 'Note', ['hello']), draft(9, 'MarkdownNote', ['# hello'], { mode: 4 })];
    expect(inputsOf(saved([...textToImage, ...notes]))).toEqual(prompt);
  });

  test('Reroutes pass links on, in chains and branches, and into widgets', () => {
    const file = saved([
      draft(1, 'Whole', [640, 'fixed']),
      draft(2, 'Reroute', undefined, { feeds: { '': [1, 0] }, mode: 4 }),
      draft(3, 'Reroute', undefined, { feeds: { '': [2, 0] } }),
      draft(4, 'Latent', [512, 512, 1], {
        feeds: { width: [2, 0], height: [3, 0] },
        widgets: ['width', 'height'],
      }),
    ]);
    expect(inputsOf(file)['4']).toEqual({ width: ['1', 0], height: ['1', 0], batch_size: 1 });
  });

  test('a muted Reroute, and one whose source does not fit its target, cut', () => {
    const through = (mode: number, source: string) =>
      inputsOf(
        saved([
          draft(1, source, ['x']),
          draft(2, 'Reroute', undefined, { feeds: { '': [1, 0] }, mode }),
          draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
        ]),
      )['3'];
    expect(through(2, 'LoadMask')).toEqual({});
    expect(through(0, 'LoadMask')).toEqual({});
    expect(through(0, 'Resize')).toEqual({ image: ['1', 0] });
  });

  test('a circle of Reroutes gives nothing', () => {
    const file = saved([
      draft(1, 'Reroute', undefined, { feeds: { '': [2, 0] } }),
      draft(2, 'Reroute', undefined, { feeds: { '': [1, 0] } }),
      draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
    ]);
    expect(inputsOf(file)).toEqual({ '3': {} });
  });
});

describe('the mode of a node', () => {
  /** The text to image with other modes for some of its nodes. */
  const withModes = (modes: Readonly<Record<number, number>>) =>
    inputsOf(
      saved(
        textToImage.map((node) => ({
          ...node,
          rest: { ...node.rest, mode: modes[Number(node.id)] ?? 0 },
        })),
      ),
    );

  test('muted: what it fed is not linked, and a widget keeps its own value', () => {
    expect(withModes({ 6: 2 })['7']).toEqual({ filename_prefix: 'fox' });
    const file = saved([
      draft(1, 'Whole', [640, 'fixed'], { mode: 2 }),
      draft(2, 'Latent', [512, 512, 1], { feeds: { width: [1, 0] }, widgets: ['width'] }),
    ]);
    expect(inputsOf(file)).toEqual({ '2': { width: 512, height: 512, batch_size: 1 } });
  });

  test('bypassed: links pass by type', () => {
    const { '5': bypassed, ...rest } = withModes({ 5: 4 });
    expect(bypassed).toBeUndefined();
    expect(rest['6']).toEqual({ samples: ['4', 0], vae: ['1', 2] });
  });

  test('all others run', () => {
    expect(withModes({ 5: 1, 6: 3, 7: 17 })).toEqual(prompt);
  });

  test('a chain of bypassed nodes passes each output to the input of its own', () => {
    const file = saved([
      draft(1, 'Checkpoint', ['a.safetensors']),
      draft(2, 'Lora', [1], { feeds: { model: [1, 0], clip: [1, 1] }, mode: 4 }),
      draft(3, 'Lora', [1], { feeds: { model: [2, 0], clip: [2, 1] }, mode: 4 }),
      draft(4, 'Encode', ['x'], { feeds: { clip: [3, 1] } }),
    ]);
    expect(inputsOf(file)['4']).toEqual({ text: 'x', clip: ['1', 1] });
  });

  test('the input of the same slot comes first; that nothing is linked to it does not make it another', () => {
    const combine = (feeds: Record<string, readonly [number, number]>) =>
      inputsOf(
        saved([
          draft(1, 'Encode', ['one']),
          draft(2, 'Encode', ['two']),
          draft(3, 'Combine', undefined, { feeds, mode: 4 }),
          draft(4, 'KSampler', [], { feeds: { positive: [3, 0] } }),
        ]),
      )['4']?.positive;
    expect(combine({ one: [1, 0], two: [2, 0] })).toEqual(['1', 0]);
    expect(combine({ two: [2, 0] })).toBeUndefined();
  });

  test('what fits no input is dropped, but an input of any type takes what is there', () => {
    const file = saved([
      draft(1, 'LoadMask', ['a.png', 'alpha', 'image']),
      draft(2, 'MaskToImage', undefined, { feeds: { mask: [1, 0] }, mode: 4 }),
      draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
      draft(4, 'Show', [], { feeds: { source: [2, 0] } }),
    ]);
    expect(inputsOf(file)).toMatchObject({ '3': {}, '4': { source: ['1', 0] } });
    expect(inputsOf(file)['3']).toEqual({});
  });

  test('a node of an unknown type is passed by its saved inputs when it is bypassed, and gone when muted', () => {
    const unknown = (mode: number) =>
      inputsOf(
        saved([
          draft(1, 'Invert'),
          draft(2, 'NobodyHasIt', [1], {
            feeds: { image: [1, 0] },
            mode,
            outputs: [{ name: 'IMAGE', type: 'IMAGE' }],
          }),
          draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
        ]),
      )['3'];
    expect(unknown(4)).toEqual({ image: ['1', 0] });
    expect(unknown(2)).toEqual({});
  });
});
