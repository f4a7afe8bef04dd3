import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { JsonObject, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { GraphAnalysis } from '../graph-analysis.ts';
import { imageClasses } from '../lower/image-classes.ts';
import {
  convert,
  draft,
  frame,
  saved,
  subgraph,
  withSubgraphs,
  type NodeDraft,
} from './workflows.test-helpers.ts';

/**
 * What image services are asked for by workflows as people save them: the table of docs/fallback.md, row by row.
 */

const own = (name: string, output: string, input: NodeInfo['input'] = {}): NodeInfo => ({
  ...{ name, input, output: [output], output_node: false },
});

const objectInfo: ObjectInfo = {
  ...(JSON.parse(
    readFileSync(new URL('../fixtures/object-info.json', import.meta.url), 'utf8'),
  ) as ObjectInfo),
  ...imageClasses,
  SeedNode: own('SeedNode', 'INT', {
    required: { seed: ['INT', { control_after_generate: true }] },
  }),
  RegexExtract: own('RegexExtract', 'STRING', { required: { string: ['STRING', {}] } }),
  MyPatch: own('MyPatch', 'MODEL', { required: { model: ['MODEL'] } }),
};

type Feeds = NodeDraft['feeds'];

const checkpoint = draft(1, 'CheckpointLoaderSimple', ['sd15.safetensors']);
const encode = (id: number, text: string, feeds: Feeds = { clip: [1, 1] }) =>
  draft(id, 'CLIPTextEncode', [text], { feeds, widgets: ['text'] });
const sample = (
  id: number,
  feeds: Feeds = {},
  values: readonly [seed: number, steps: number, denoise: number] = [42, 20, 1],
) =>
  draft(id, 'KSampler', [values[0], 'randomize', values[1], 7, 'euler', 'normal', values[2]], {
    feeds: { model: [1, 0], positive: [2, 0], negative: [3, 0], latent_image: [4, 0], ...feeds },
    widgets: ['seed'],
  });
const finish = (latent: number) => [
  draft(90, 'VAEDecode', undefined, { feeds: { samples: [latent, 0], vae: [1, 2] } }),
  draft(91, 'SaveImage', ['x'], { feeds: { images: [90, 0] } }),
];
const size = draft(4, 'EmptyLatentImage', [512, 768, 1]);
const texts = [encode(2, 'a fox'), encode(3, 'blurry')];

/** Text to image with other nodes for some of its own, and more. */
const around = (...nodes: readonly NodeDraft[]): JsonObject => {
  const base = [checkpoint, ...texts, size, sample(5), ...finish(5)];
  const replaced = new Set(nodes.map(({ id }) => id));
  return saved([...base.filter(({ id }) => !replaced.has(id)), ...nodes]);
};

const lora = (mode: number) =>
  draft(10, 'LoraLoader', ['ink.safetensors', 0.8, 0.8], {
    feeds: { model: [1, 0], clip: [1, 1] },
    mode,
  });
const picture = draft(11, 'LoadImage', ['photo.png', 'image']);

const workflows: Readonly<Record<string, JsonObject>> = {
  'text to image': around(),
  'a prompt from a PrimitiveNode': around(
    draft(10, 'PrimitiveNode', ['from a primitive']),
    encode(2, 'own', { clip: [1, 1], text: [10, 0] }),
  ),
  'a seed from a SeedNode': around(
    draft(10, 'SeedNode', [7, 'randomize']),
    sample(5, { seed: [10, 0] }),
  ),
  'links through Reroutes': around(
    draft(10, 'Reroute', undefined, { feeds: { '': [1, 0] } }),
    sample(5, { model: [10, 0] }),
  ),
  'a LoRA, bypassed': around(lora(4), sample(5, { model: [10, 0] })),
  'a LoRA': around(lora(0), sample(5, { model: [10, 0] })),
  'a second sampler at a larger size': around(
    draft(10, 'LatentUpscaleBy', ['bicubic', 2], { feeds: { samples: [5, 0] } }),
    sample(12, { latent_image: [10, 0] }, [43, 10, 0.5]),
    ...finish(12),
  ),
  'the sampler, bypassed': around({ ...sample(5), rest: { mode: 4 } }),
  'a picture to start from': around(
    picture,
    draft(10, 'VAEEncode', undefined, { feeds: { pixels: [11, 0], vae: [1, 2] } }),
    sample(5, { latent_image: [10, 0] }, [42, 20, 0.6]),
  ),
  'a masked part of a picture': around(
    picture,
    draft(10, 'VAEEncodeForInpaint', [6], {
      feeds: { pixels: [11, 0], vae: [1, 2], mask: [11, 1] },
    }),
    sample(5, { latent_image: [10, 0] }),
  ),
  'a ControlNet': around(
    picture,
    draft(10, 'ControlNetLoader', ['canny.safetensors']),
    draft(12, 'ControlNetApplyAdvanced', [1, 0, 1], {
      feeds: { positive: [2, 0], negative: [3, 0], control_net: [10, 0], image: [11, 0] },
    }),
    sample(5, { positive: [12, 0], negative: [12, 1] }),
  ),
  'a prompt for a part of the picture': around(
    draft(10, 'ConditioningSetArea', [256, 256, 0, 0, 1], { feeds: { conditioning: [2, 0] } }),
    sample(5, { positive: [10, 0] }),
  ),
  'a patch that changes the picture': around(
    draft(10, 'FreeU', [1.1, 1.2, 0.9, 0.2], { feeds: { model: [1, 0] } }),
    sample(5, { model: [10, 0] }),
  ),
  'a picture as prompt': around(
    picture,
    draft(10, 'VAEEncode', undefined, { feeds: { pixels: [11, 0], vae: [1, 2] } }),
    draft(12, 'ReferenceLatent', undefined, { feeds: { conditioning: [2, 0], latent: [10, 0] } }),
    sample(5, { positive: [12, 0] }),
  ),
  'a prompt that a node makes when it runs': around(
    draft(10, 'RegexExtract', ['a fox']),
    encode(2, 'own', { clip: [1, 1], text: [10, 0] }),
  ),
  'a node of a pack that patches the model': around(
    draft(10, 'MyPatch', undefined, { feeds: { model: [1, 0] } }),
    sample(5, { model: [10, 0] }),
  ),
  'a picture that is only saved': saved([
    picture,
    draft(12, 'SaveImage', ['x'], { feeds: { images: [11, 0] } }),
  ]),
  'Flux inside a subgraph, its prompt and its seed promoted': saved(
    [
      draft(2, 'painter', ['an owl of glass', 99]),
      draft(3, 'SaveImage', ['x'], { feeds: { images: [2, 0] } }),
    ],
    withSubgraphs(
      subgraph('painter', {
        inputs: [
          ['text', 'STRING'],
          ['noise_seed', 'INT'],
        ],
        outputs: [['IMAGE', 'IMAGE', [30, 0]]],
        nodes: [
          draft(20, 'UNETLoader', ['flux1-dev.safetensors', 'default']),
          draft(21, 'DualCLIPLoader', [
            'clip_l.safetensors',
            't5xxl.safetensors',
            'flux',
            'default',
          ]),
          draft(22, 'VAELoader', ['ae.safetensors']),
          draft(23, 'CLIPTextEncode', ['inner'], {
            feeds: { clip: [21, 0], text: frame(0) },
            widgets: ['text'],
          }),
          draft(24, 'FluxGuidance', [3.5], { feeds: { conditioning: [23, 0] } }),
          draft(25, 'BasicGuider', undefined, { feeds: { model: [20, 0], conditioning: [24, 0] } }),
          draft(26, 'RandomNoise', [1, 'fixed'], {
            feeds: { noise_seed: frame(1) },
            widgets: ['noise_seed'],
          }),
          draft(27, 'KSamplerSelect', ['euler']),
          draft(28, 'BasicScheduler', ['simple', 24, 1], { feeds: { model: [20, 0] } }),
          draft(31, 'EmptySD3LatentImage', [1024, 1024, 1]),
          draft(29, 'SamplerCustomAdvanced', undefined, {
            feeds: {
              ...{ noise: [26, 0], guider: [25, 0], sampler: [27, 0], sigmas: [28, 0] },
              latent_image: [31, 0],
            },
          }),
          draft(30, 'VAEDecode', undefined, { feeds: { samples: [29, 0], vae: [22, 0] } }),
        ],
      }),
    ),
  ),
};

/** What becomes of a workflow, in the words of the table. */
function describeLowering(workflow: JsonObject): string {
  const result = convert(workflow, { objectInfo });
  if (!result.ok) throw new Error(result.rejection.error.message);
  const { prompt } = result;
  const outputIds = Object.keys(prompt).filter(
    (id) => objectInfo[prompt[id]!.class_type]!.output_node,
  );
  const { stages, obstacles } = new GraphAnalysis(prompt, outputIds).lowering;
  if (obstacles.length > 0) {
    const { kind, reason } = obstacles[0]!;
    return `none: ${reason} (\`${kind}\`)`;
  }
  if (stages.length === 0) return 'none: it samples nothing';
  const described = stages.map(({ request, init, masked }) => {
    const { prompt: text, seed, steps, width, height, checkpoint } = request;
    const pixels = width === undefined ? 'the size of its picture' : `${width}x${height ?? ''}`;
    const from = { empty: '', image: ', from a picture', stage: ', from the one before' }[init];
    const part = masked ? ', a masked part' : '';
    return `“${text}”, ${checkpoint ?? ''}, seed ${String(seed)}, ${String(steps)} steps, ${pixels}${from}${part}`;
  });
  return `${stages.length}: ${described.join('; ')}`;
}

describe('saved workflows before image services', () => {
  const documented = new Map<string, string>();
  const page = readFileSync(new URL('../../../../docs/fallback.md', import.meta.url), 'utf8');
  const section = page.split('### Saved workflows and what they become')[1]?.split('\n#')[0] ?? '';
  for (const row of section.matchAll(/^\| (.*?) +\| (.*?) +\|$/gm)) {
    documented.set(row[1] ?? '', row[2] ?? '');
  }

  test.each(Object.keys(workflows))('%s is what the table says', (name) => {
    expect(documented.get(name)).toBe(describeLowering(workflows[name]!));
  });

  test('the table has no other rows', () => {
    const rows = [...documented.keys()].filter((name) => !/^(-+|Workflow)$/.test(name));
    expect(rows).toEqual(Object.keys(workflows));
  });
});
