import type { InputSpec, JsonObject, JsonValue, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { convertWorkflow, type ConversionOptions } from './convert-workflow.ts';

/** Test support: workflows as the editor saves them, written as "this node, with these values, fed by those". */

type Slot = readonly [from: number | string, slot: number];

export interface NodeDraft {
  readonly id: number | string;
  readonly type: string;
  readonly values?: JsonValue;
  /** What feeds its inputs, by name. */
  readonly feeds: Readonly<Record<string, Slot>>;
  /** Names of inputs that stand for widgets. */
  readonly widgets: readonly string[];
  readonly rest: JsonObject;
}

interface NodeExtras {
  readonly feeds?: Readonly<Record<string, Slot>>;
  readonly widgets?: readonly string[];
  readonly [member: string]: unknown;
}

/** A node; members of `extras` that are not read here go into the file. */
export function draft(
  id: number | string,
  type: string,
  values?: JsonValue,
  { feeds = {}, widgets = [], ...rest }: NodeExtras = {},
): NodeDraft {
  const base = { id, type, feeds, widgets, rest: rest as JsonObject };
  return values === undefined ? base : { ...base, values };
}

type GraphForm = 'arrays' | 'objects';

function writeGraph(drafts: readonly NodeDraft[], form: GraphForm, firstLink = 1) {
  const links: [number, number | string, number, number | string, number, string][] = [];
  const nodes = drafts.map(({ id, type, values, feeds, widgets, rest }) => {
    const inputs = Object.entries(feeds).map(([name, [from, slot]], index) => {
      const link = firstLink + links.length;
      links.push([link, from, slot, id, index, '*']);
      return {
        name,
        type: '*',
        link,
        ...(widgets.includes(name) ? { widget: { name } } : {}),
      };
    });
    return {
      id,
      type,
      mode: 0,
      inputs,
      ...(values === undefined ? {} : { widgets_values: values }),
      ...rest,
    };
  });
  return { nodes, links: form === 'arrays' ? links : links.map(asObject) };
}

function asObject([id, originId, originSlot, targetId, targetSlot, type]: readonly JsonValue[]) {
  return {
    id,
    origin_id: originId,
    origin_slot: originSlot,
    target_id: targetId,
    target_slot: targetSlot,
    type,
  };
}

/** A file of version 0.4. */
export function saved(drafts: readonly NodeDraft[], more: JsonObject = {}): JsonObject {
  const ids = drafts.map(({ id }) => Number(id)).filter(Number.isInteger);
  return {
    last_node_id: Math.max(0, ...ids),
    version: 0.4,
    ...writeGraph(drafts, 'arrays'),
    ...more,
  } as JsonObject;
}

/** A file of version 1. */
export function savedAsObjects(drafts: readonly NodeDraft[]): JsonObject {
  return { version: 1, state: { lastNodeId: 99 }, ...writeGraph(drafts, 'objects') } as JsonObject;
}

/** The frame of a subgraph as a source of links. */
export const frame = (slot: number): Slot => [-10, slot];

interface SubgraphDraft {
  readonly inputs?: readonly (readonly [name: string, type: string])[];
  readonly outputs?: readonly (readonly [name: string, type: string, source?: Slot])[];
  readonly nodes: readonly NodeDraft[];
}

export function subgraph(
  id: string,
  { inputs = [], outputs = [], nodes }: SubgraphDraft,
): JsonObject {
  const { links: inner, nodes: written } = writeGraph(nodes, 'objects', 100);
  const links = inner as JsonObject[];
  const outgoing = outputs.flatMap(([, type, source], slot) =>
    source === undefined
      ? []
      : [asObject([500 + slot, source[0], source[1], -20, slot, type]) as JsonObject],
  );
  const idsFrom = (slot: number) =>
    links
      .filter((link) => link.origin_id === -10 && link.origin_slot === slot)
      .map((link) => link.id ?? null);
  return {
    id,
    inputs: inputs.map(([name, type], slot) => ({ name, type, linkIds: idsFrom(slot) })),
    outputs: outputs.map(([name, type], slot) => ({ name, type, linkIds: [500 + slot] })),
    nodes: written,
    links: [...links, ...outgoing],
  };
}

export const withSubgraphs = (...subgraphs: JsonObject[]): JsonObject => ({
  definitions: { subgraphs },
});

const MODEL_FILE: InputSpec = [['a.safetensors', 'b.safetensors']];
const SEED: InputSpec = ['INT', { default: 0, min: 0, max: 2 ** 64, control_after_generate: true }];
const TEXT: InputSpec = ['STRING', { multiline: true, dynamicPrompts: true }];
const SIDE: InputSpec = ['INT', { default: 512, min: 16, max: 16384, step: 8 }];

interface ClassDraft {
  readonly required?: Readonly<Record<string, InputSpec>>;
  readonly optional?: Readonly<Record<string, InputSpec>>;
  readonly output?: readonly string[];
  readonly order?: readonly string[];
  readonly title?: string;
  readonly isOutput?: boolean;
}

function declare(name: string, draft: ClassDraft): [string, NodeInfo] {
  const { required = {}, optional = {}, output = [], order, title, isOutput = false } = draft;
  return [
    name,
    {
      input: { required, optional },
      input_order: { required: order ?? Object.keys(required), optional: Object.keys(optional) },
      output,
      name,
      display_name: title ?? name,
      output_node: isOutput,
    },
  ];
}

const option = (key: string, required: Readonly<Record<string, InputSpec>>): JsonValue =>
  ({ key, inputs: { required } }) as unknown as JsonValue;

const catalogue: ObjectInfo = Object.fromEntries([
  declare('Checkpoint', {
    required: { ckpt_name: MODEL_FILE },
    output: ['MODEL', 'CLIP', 'VAE'],
    title: 'Load Checkpoint',
  }),
  declare('Encode', { required: { text: TEXT, clip: ['CLIP'] }, output: ['CONDITIONING'] }),
  declare('Latent', {
    required: { width: SIDE, height: SIDE, batch_size: ['INT', { default: 1, min: 1, max: 64 }] },
    output: ['LATENT'],
  }),
  declare('KSampler', {
    required: {
      model: ['MODEL'],
      seed: SEED,
      steps: ['INT', { default: 20, min: 1, max: 10000 }],
      cfg: ['FLOAT', { default: 8, min: 0, max: 100, step: 0.1, round: 0.01 }],
      sampler_name: [['euler', 'heun']],
      scheduler: ['COMBO', { options: ['simple', 'karras'] }],
      positive: ['CONDITIONING'],
      negative: ['CONDITIONING'],
      latent_image: ['LATENT'],
      denoise: ['FLOAT', { default: 1, min: 0, max: 1, step: 0.01 }],
    },
    output: ['LATENT'],
  }),
  declare('Decode', { required: { samples: ['LATENT'], vae: ['VAE'] }, output: ['IMAGE'] }),
  declare('SaveImage', {
    required: { images: ['IMAGE'], filename_prefix: ['STRING', { default: 'ComfyUI' }] },
    isOutput: true,
  }),
  declare('Lora', {
    required: {
      model: ['MODEL'],
      clip: ['CLIP'],
      strength_model: ['FLOAT', { default: 1, min: -100, max: 100, step: 0.01 }],
    },
    output: ['MODEL', 'CLIP'],
  }),
  declare('Combine', {
    required: { one: ['CONDITIONING'], two: ['CONDITIONING'] },
    output: ['CONDITIONING'],
  }),
  declare('Scale', {
    required: {
      image: ['IMAGE'],
      width: ['INT', { default: 512, min: 0, max: 16384, step: 1 }],
      height: ['INT', { default: 512, min: 0, max: 16384, step: 1 }],
    },
    output: ['IMAGE'],
  }),
  declare('Invert', { required: { image: ['IMAGE'] }, output: ['IMAGE'] }),
  declare('MaskToImage', { required: { mask: ['MASK'] }, output: ['IMAGE'] }),
  declare('LoadMask', {
    required: { image: [['a.png'], { image_upload: true }], channel: [['alpha', 'red']] },
    output: ['MASK'],
  }),
  declare('Show', { required: { source: ['*'] }, output: ['STRING'], isOutput: true }),
  declare('Text', { required: { value: ['STRING', {}] }, output: ['STRING'] }),
  declare('Whole', {
    required: { value: ['INT', { control_after_generate: 'fixed' }] },
    output: ['INT'],
  }),
  declare('Flag', { required: { value: ['BOOLEAN', {}] }, output: ['BOOLEAN'] }),
  declare('Taker', {
    required: { strength: ['FLOAT', { forceInput: true }], name: ['STRING', {}] },
    output: [],
  }),
  declare('Resize', {
    required: {
      method: [
        'COMFY_DYNAMICCOMBO_V3',
        {
          options: [
            option('size', { width: SIDE, height: SIDE }),
            option('factor', { factor: ['FLOAT', { default: 2 }] }),
            option('match', { image: ['IMAGE'], crop: ['COMBO', { options: ['no', 'center'] }] }),
          ],
        },
      ] as InputSpec,
      input: [
        'COMFY_MATCHTYPE_V3',
        { template: { template_id: 't', allowed_types: 'IMAGE,MASK' } },
      ],
      filter: ['COMBO', { options: ['area', 'lanczos'] }],
    },
    order: ['input', 'method', 'filter'],
    output: ['COMFY_MATCHTYPE_V3'],
  }),
  declare('Batch', {
    required: {
      images: [
        'COMFY_AUTOGROW_V3',
        {
          template: { input: { required: { image: ['IMAGE'] } }, prefix: 'image', min: 1, max: 9 },
        },
      ] as InputSpec,
    },
    output: ['IMAGE'],
  }),
  declare('Maths', {
    required: {
      expression: ['STRING', {}],
      values: [
        'COMFY_AUTOGROW_V3',
        {
          template: {
            input: { required: { value: ['FLOAT,INT'] } },
            names: ['a', 'b', 'c'],
            min: 1,
          },
        },
      ] as InputSpec,
    },
    output: ['FLOAT', 'INT'],
  }),
  declare('CustomCombo', {
    required: { choice: ['COMBO', { options: [] }] },
    output: ['STRING', 'INT'],
  }),
  declare('Curve', {
    required: { curve: ['CURVE', { default: { points: [] }, socketless: true }] },
    output: ['CURVE'],
  }),
  declare('ImageCompare', {
    required: { view: ['IMAGECOMPARE', { socketless: true }] },
    optional: { image_a: ['IMAGE'] },
    isOutput: true,
  }),
  declare('Sound', {
    required: { audio: ['COMBO', { options: [], audio_upload: true }], gain: ['FLOAT', {}] },
    output: ['AUDIO'],
  }),
  declare('SaveGLB', {
    required: { mesh: ['MESH'], filename_prefix: ['STRING', {}] },
    isOutput: true,
  }),
  declare('Webcam', { required: { image: ['WEBCAM'] }, output: ['IMAGE'] }),
]);

const NOW = new Date(2026, 0, 2, 3, 4, 5);

export function convert(workflow: JsonObject, options: Partial<ConversionOptions> = {}) {
  return convertWorkflow(workflow, {
    objectInfo: catalogue,
    maxNodes: 1000,
    now: NOW,
    random: () => 0,
    ...options,
  });
}

/** The inputs of each node of the prompt. */
export function inputsOf(
  workflow: JsonObject,
  options?: Partial<ConversionOptions>,
): Record<string, JsonObject> {
  const result = convert(workflow, options);
  if (!result.ok) throw new Error(result.rejection.error.message);
  const entries = Object.entries(result.prompt);
  return Object.fromEntries(entries.map(([id, { inputs }]) => [id, inputs]));
}
