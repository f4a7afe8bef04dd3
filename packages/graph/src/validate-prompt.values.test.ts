import { expect, test } from '@jest/globals';
import type { InputSpec, JsonValue, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { validatePrompt, type ValidationResult } from './index.ts';

const values: NodeInfo = {
  name: 'Values',
  input: {
    optional: {
      seed: ['INT', { min: 0, max: 18446744073709551615n }],
      rounded: ['INT', { min: 0, max: 18446744073709552000 }],
      ratio: ['FLOAT', { min: 0, max: 100 }],
      mode: [['one', 'two', 3]],
      many: [Array.from({ length: 21 }, (_, i) => `file-${i}`)],
      v3: ['COMBO', { options: ['x', 'y'] }],
      several: ['COMBO', { options: ['x', 'y'], multiselect: true }],
      remote: ['COMBO', { remote: { route: '/somewhere' } }],
      text: ['STRING', {}],
      counts: ['FLOATS', { min: 1 }],
      union: ['INT,FLOAT', {}],
      constructor: ['INT', {}] satisfies InputSpec,
    },
    hidden: { prompt: 'PROMPT' },
  },
  output: [],
  output_node: true,
};
const objectInfo: ObjectInfo = { Values: values };

function validate(inputs: Record<string, JsonValue>): Promise<ValidationResult> {
  return validatePrompt(
    { 1: { class_type: 'Values', inputs } },
    { objectInfo, fileExists: () => Promise.resolve(true) },
  );
}

function validateAs(python_module: string, inputs: Record<string, JsonValue>) {
  return validatePrompt(
    { 1: { class_type: 'Values', inputs } },
    {
      objectInfo: { Values: { ...values, python_module } },
      fileExists: () => Promise.resolve(true),
    },
  );
}

async function firstError(inputs: Record<string, JsonValue>): Promise<unknown> {
  const result = await validate(inputs);
  return result.ok ? undefined : result.rejection.node_errors['1']?.errors[0];
}

test.each<[Record<string, JsonValue>]>([
  [{ seed: 18446744073709551615n }],
  [{ seed: '18446744073709551615' }],
  [{ rounded: 18446744073709551615n }],
  [{ ratio: 100 }],
  [{ ratio: 'nan' }],
  [{ mode: 'two' }],
  [{ mode: 3 }],
  [{ v3: 'x' }],
  [{ several: { __value__: ['y', 'x'] } }],
  [{ several: 'x' }],
  [{ remote: 'whatever' }],
  [{ text: null }],
  [{ counts: 2 }],
  [{ union: { __value__: [1, 2, 3] } }],
  [{ unknown: ['nowhere', 0], prompt: ['nowhere', 0] }],
])('%p is accepted', async (inputs) => {
  const result = await validate(inputs);
  expect(result).toEqual({ ok: true, outputs: ['1'], nodeErrors: {} });
});

test.each<[Record<string, JsonValue>, string, string, string]>([
  [
    { seed: 18446744073709551616n },
    'value_bigger_than_max',
    'Value 18446744073709551616 bigger than max of 18446744073709551615',
    'seed',
  ],
  [
    { rounded: 18446744073709551616n },
    'value_bigger_than_max',
    'Value 18446744073709551616 bigger than max of 18446744073709551615',
    'rounded',
  ],
  [{ seed: -1 }, 'value_smaller_than_min', 'Value -1 smaller than min of 0', 'seed'],
  [{ ratio: 150 }, 'value_bigger_than_max', 'Value 150.0 bigger than max of 100.0', 'ratio'],
  [{ ratio: 'inf' }, 'value_bigger_than_max', 'Value inf bigger than max of 100.0', 'ratio'],
  [{ mode: '3' }, 'value_not_in_list', 'Value not in list', "mode: '3' not in ['one', 'two', 3]"],
  [{ mode: null }, 'value_not_in_list', 'Value not in list', "mode: None not in ['one', 'two', 3]"],
  [{ many: 'z' }, 'value_not_in_list', 'Value not in list', "many: 'z' not in (list of length 21)"],
  [{ v3: 'z' }, 'value_not_in_list', 'Value not in list', "v3: 'z' not in ['x', 'y']"],
  [
    { several: { __value__: ['x', 'z'] } },
    'value_not_in_list',
    'Value not in list',
    "several: 'z' not in ['x', 'y']",
  ],
  [
    { ratio: 'abc' },
    'invalid_input_type',
    'Failed to convert an input value to a FLOAT value',
    "ratio, abc, could not convert string to float: 'abc'",
  ],
  [
    { seed: { __value__: [1, 'a'] } },
    'invalid_input_type',
    'Failed to convert an input value to a INT value',
    "seed, [1, 'a'], int() argument must be a string, a bytes-like object or a real number, not 'list'",
  ],
  [
    { text: ['x'] },
    'bad_linked_input',
    'Bad linked input, must be a length-2 list of [node_id, slot_index]',
    'text',
  ],
  [
    { counts: 'x' },
    'exception_during_validation',
    'Exception when validating node',
    "'<' not supported between instances of 'str' and 'int'",
  ],
  [
    { constructor: 'x' },
    'invalid_input_type',
    'Failed to convert an input value to a INT value',
    "constructor, x, invalid literal for int() with base 10: 'x'",
  ],
])('%p is refused as %s', async (inputs, type, message, details) => {
  expect(await firstError(inputs)).toMatchObject({ type, message, details });
});

test('a long choice list is not sent back', async () => {
  expect(await firstError({ many: 'z' })).toMatchObject({
    extra_info: { input_name: 'many', input_config: null, received_value: 'z' },
  });
});

test('what JSON cannot carry goes back as text', async () => {
  expect(await firstError({ ratio: '-inf' })).toMatchObject({
    extra_info: { received_value: '-inf' },
  });
});

test('values of an extension’s class are its server’s to judge, once they are of the right type', async () => {
  const extension = 'custom_nodes.some-pack';
  const free = { ratio: 1000, mode: 'four', v3: 'z' };
  expect(await validateAs(extension, free)).toMatchObject({ ok: true });
  expect(await validateAs(extension, { ratio: 'much' })).toMatchObject({ ok: false });
  for (const ours of ['nodes', 'comfy_extras.nodes_mask', 'custom_nodes.tiercel.plugin']) {
    expect(await validateAs(ours, free)).toMatchObject({ ok: false });
  }
});
