import { describe, expect, test } from '@jest/globals';
import type { InputSpec, JsonObject, JsonValue, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { validatePrompt } from './index.ts';

/** Inputs that a node's values decide on (ComfyUI 0.33's V3 classes), in classes made for these tests. */

const grow = (template: JsonObject): [string, JsonObject] => ['COMFY_AUTOGROW_V3', { template }];
const image = { input: { required: { image: ['IMAGE', {}] } } };
const sizes = (max: number) => ({ required: { width: ['INT', { min: 1, max }] } });

const classes: Readonly<Record<string, NodeInfo['input']>> = {
  Source: {},
  ByPrefix: { required: { images: grow({ ...image, prefix: 'image', min: 2, max: 4 }) } },
  ByNames: { required: { images: grow({ ...image, names: ['left', 'right'], min: 1 }) } },
  NoneNeeded: { required: { images: grow({ ...image, prefix: 'image_', min: 0, max: 3 }) } },
  OptionalMembers: {
    required: {
      values: grow({
        input: { optional: { v: ['FLOAT', { max: 1 }] } },
        prefix: 'v',
        min: 2,
        max: 3,
      }),
    },
  },
  AnyMembers: {
    optional: {
      parts: grow({ input: { required: { p: ['INT,FLOAT', {}] } }, names: ['a'], min: 0 }),
    },
  },
  Resize: {
    required: {
      mode: [
        'COMFY_DYNAMICCOMBO_V3',
        {
          options: [
            { key: 'by size', inputs: sizes(512) },
            { key: 2, inputs: { optional: { note: ['STRING', {}] } } },
            {
              key: 'nested',
              inputs: {
                required: {
                  kind: [
                    'COMFY_DYNAMICCOMBO_V3',
                    {
                      options: [
                        { key: 'small', inputs: sizes(64) },
                        {
                          key: 'refs',
                          inputs: {
                            required: { refs: grow({ ...image, prefix: 'r', min: 1, max: 2 }) },
                          },
                        },
                      ],
                    },
                  ],
                  method: ['COMBO', { options: ['area', 'lanczos'] }],
                },
              },
            },
          ],
        },
      ],
    },
  },
  Slot: {
    optional: {
      slot: [
        'COMFY_DYNAMICSLOT_V3',
        { slotType: 'IMAGE', inputs: { required: { weight: ['FLOAT', {}] } } },
      ],
    },
  },
  Rows: {
    required: {
      rows: [
        'COMFY_DYNAMICGROUP_V3',
        {
          template: { required: { text: ['STRING', {}] }, optional: { n: ['INT', { max: 5 }] } },
          min: 1,
          max: 3,
        },
      ],
    },
  },
  Match: {
    required: { on_true: ['COMFY_MATCHTYPE_V3', { lazy: true, template: { template_id: 't' } }] },
  },
  ChoiceOfList: { required: { choice: ['COMBO', { options: ['a'] }] } },
};

const objectInfo: ObjectInfo = Object.fromEntries(
  Object.entries(classes).map(([name, input]): [string, NodeInfo] => [
    name,
    { name, input, output: ['IMAGE', 'MASK', ['x', 'y'], '*'], output_node: true },
  ]),
);

/** `type inputName` of the errors of the node under test; empty when it is fine. */
async function validate(classType: string, inputs: Record<string, JsonValue>): Promise<string[]> {
  const prompt = {
    n: { class_type: classType, inputs },
    s: { class_type: 'Source', inputs: {} },
  };
  const result = await validatePrompt(prompt, {
    objectInfo,
    targets: ['n'],
    fileExists: () => Promise.resolve(true),
  });
  const { n } = result.ok ? result.nodeErrors : result.rejection.node_errors;
  return (n?.errors ?? []).map((e) => `${e.type} ${String(e.extra_info.input_name)}`);
}

const IMAGE = ['s', 0];
const MASK = ['s', 1];

describe('a group that grows (Autogrow)', () => {
  test.each<[classType: string, inputs: Record<string, JsonValue>, errors: string[]]>([
    ['ByPrefix', { 'images.image0': IMAGE, 'images.image1': IMAGE }, []],
    ['ByPrefix', { 'images.image0': IMAGE, 'images.image1': IMAGE, 'images.image3': IMAGE }, []],
    ['ByPrefix', { 'images.image1': IMAGE }, ['required_input_missing images.image0']],
    [
      'ByPrefix',
      {},
      ['required_input_missing images.image0', 'required_input_missing images.image1'],
    ],
    [
      'ByPrefix',
      { 'images.image0': MASK, 'images.image1': IMAGE },
      ['return_type_mismatch images.image0'],
    ],
    // What is beyond the last member is no input, and nobody looks at it.
    [
      'ByPrefix',
      { 'images.image0': IMAGE, 'images.image1': IMAGE, 'images.image4': MASK, images: 3 },
      [],
    ],
    ['ByNames', { 'images.left': IMAGE }, []],
    ['ByNames', { 'images.right': IMAGE }, ['required_input_missing images.left']],
    ['ByNames', { 'images.left': [] }, ['bad_linked_input images.left']],
    ['NoneNeeded', {}, []],
    ['NoneNeeded', { 'images.image_2': IMAGE }, []],
    ['NoneNeeded', { 'images.image_2': MASK }, ['return_type_mismatch images.image_2']],
    ['OptionalMembers', {}, []],
    ['OptionalMembers', { 'values.v2': '0.5' }, []],
    ['OptionalMembers', { 'values.v2': 1.5 }, ['value_bigger_than_max values.v2']],
    ['OptionalMembers', { 'values.v0': 'much' }, ['invalid_input_type values.v0']],
    ['AnyMembers', { 'parts.a': ['s', 3] }, []],
    ['AnyMembers', { 'parts.a': IMAGE }, ['return_type_mismatch parts.a']],
  ])('%s of %j: %j', async (classType, inputs, errors) => {
    expect(await validate(classType, inputs)).toEqual(errors);
  });

  test('a missing member is named by its last part, as ComfyUI does', async () => {
    const result = await validatePrompt(
      { n: { class_type: 'ByNames', inputs: {} } },
      { objectInfo, fileExists: () => Promise.resolve(true) },
    );
    expect(result).toMatchObject({
      rejection: { node_errors: { n: { errors: [{ details: 'left' }] } } },
    });
  });
});

describe('a choice that brings inputs (DynamicCombo)', () => {
  test.each<[inputs: Record<string, JsonValue>, errors: string[]]>([
    [{ mode: 'by size', 'mode.width': 512 }, []],
    [{ mode: 'by size', 'mode.width': '512' }, []],
    [{ mode: 'by size' }, ['required_input_missing mode.width']],
    [{ mode: 'by size', 'mode.width': 513 }, ['value_bigger_than_max mode.width']],
    [{ mode: 'by size', 'mode.width': 'wide' }, ['invalid_input_type mode.width']],
    // Keys compare as Python compares.
    [{ mode: 2n }, []],
    // Inputs of other choices are not looked at, nor is a choice that is none: ComfyUI takes both.
    [{ mode: 2, 'mode.width': 'wide' }, []],
    [{ mode: 'unheard of' }, []],
    [{}, []],
    [{ mode: 'nested', 'mode.method': 'area', 'mode.kind': 'small', 'mode.kind.width': 64 }, []],
    [
      { mode: 'nested', 'mode.method': 'cubic', 'mode.kind': 'small', 'mode.kind.width': 65 },
      ['value_bigger_than_max mode.kind.width', 'value_not_in_list mode.method'],
    ],
    [
      { mode: 'nested', 'mode.method': 'area', 'mode.kind': 'refs' },
      ['required_input_missing mode.kind.refs.r0'],
    ],
    [
      { mode: 'nested', 'mode.method': 'area', 'mode.kind': 'refs', 'mode.kind.refs.r0': IMAGE },
      [],
    ],
  ])('%j: %j', async (inputs, errors) => {
    expect(await validate('Resize', inputs)).toEqual(errors);
  });
});

test.each<[inputs: Record<string, JsonValue>, errors: string[]]>([
  [{}, []],
  [{ slot: ['s', 3], 'slot.weight': 1 }, []],
  [{ slot: ['s', 3] }, ['required_input_missing slot.weight']],
])('a slot that brings inputs (DynamicSlot) with %j: %j', async (inputs, errors) => {
  expect(await validate('Slot', inputs)).toEqual(errors);
});

test.each<[inputs: Record<string, JsonValue>, errors: string[]]>([
  [{ 'rows.0.text': 'a' }, []],
  [{ 'rows.2.text': 'a', 'rows.2.n': 5 }, []],
  [{ 'rows.1.n': 6 }, ['required_input_missing rows.1.text', 'value_bigger_than_max rows.1.n']],
  [{}, ['invalid_dynamic_input rows']],
  [{ 'rows.3.text': 'a' }, ['invalid_dynamic_input rows.3.text']],
  [{ 'rows.01.text': 'a' }, ['invalid_dynamic_input rows.01.text']],
  [{ 'rows.0.other': 'a' }, ['invalid_dynamic_input rows.0.other']],
])('rows that repeat (DynamicGroup) with %j: %j', async (inputs, errors) => {
  expect(await validate('Rows', inputs)).toEqual(errors);
});

test('a link follows into members: what is wrong behind it is found', async () => {
  const result = await validatePrompt(
    {
      n: { class_type: 'ByNames', inputs: { 'images.left': ['m', 0] } },
      m: { class_type: 'Resize', inputs: { mode: 'by size' } },
    },
    { objectInfo, targets: ['n'], fileExists: () => Promise.resolve(true) },
  );
  expect(result).toMatchObject({
    ok: false,
    rejection: {
      node_errors: {
        m: { dependent_outputs: ['n'], errors: [{ extra_info: { input_name: 'mode.width' } }] },
      },
    },
  });
});

test('any output fits an input whose type another decides, a list of choices fits a COMBO', async () => {
  expect(await validate('Match', { on_true: MASK })).toEqual([]);
  expect(await validate('Match', {})).toEqual(['required_input_missing on_true']);
  expect(await validate('ChoiceOfList', { choice: ['s', 2] })).toEqual([]);
  expect(await validate('ChoiceOfList', { choice: IMAGE })).toEqual([
    'return_type_mismatch choice',
  ]);
});

describe('what a class judges itself is left to its server', () => {
  const self = (name: string, input: NodeInfo['input'], module = 'comfy_extras.nodes_x') => {
    const info: NodeInfo = { name, input, output: [], output_node: true, python_module: module };
    return { [name]: info };
  };
  const fileExists = () => Promise.resolve(false);

  test.each<[name: string, input: string, spec: InputSpec, value: JsonValue, isTaken: boolean]>([
    ['CustomCombo', 'choice', ['COMBO', { options: [] }], 'my own', true],
    ['SelectModelDevice', 'device', ['COMBO', { options: ['default'] }], 'gpu:3', true],
    ['SomeScene', 'model', ['COMBO', { options: ['none'], file_upload: true }], 'none', true],
    // A text that a widget of the frontend uploads may be empty.
    ['Canvas', 'mask', ['STRING', { image_upload: true }], '', true],
    ['OtherCombo', 'choice', ['COMBO', { options: [] }], 'my own', false],
    ['LoadLatent', 'latent', [['a.latent']], 'b.latent', false],
    ['SomeLoader', 'image', ['COMBO', { options: ['a.png'], image_upload: true }], 'b.png', false],
  ])('%s.%s %j of %j is taken: %p', async (name, input, spec, value, isTaken) => {
    const catalogue = self(name, { required: { [input]: spec } });
    const prompt = { n: { class_type: name, inputs: { [input]: value } } };
    const result = await validatePrompt(prompt, { objectInfo: catalogue, fileExists });
    expect(result.ok).toBe(isTaken);
  });
});
