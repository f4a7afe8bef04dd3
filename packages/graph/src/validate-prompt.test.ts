import { describe, expect, test } from '@jest/globals';
import {
  parseJson,
  type JsonValue,
  type NodeErrors,
  type NodeInfo,
  type ObjectInfo,
} from '@tiercel/contracts';
import { validatePrompt, type ValidationResult } from './index.ts';

/** A small catalogue of classes made for these tests. */
const objectInfo: ObjectInfo = {
  Source: nodeClass({ outputs: ['IMAGE', 'MASK', 'INT,FLOAT'] }),
  Pass: nodeClass({ required: { image: ['IMAGE'] }, outputs: ['IMAGE'] }),
  Merge: nodeClass({ required: { a: ['IMAGE'], b: ['IMAGE'] }, outputs: ['IMAGE'] }),
  Show: nodeClass({ required: { image: ['IMAGE'] }, isOutput: true }),
  ShowAny: nodeClass({ required: { source: ['*'] }, outputs: ['IMAGE'], isOutput: true }),
  Load: nodeClass({
    required: { image: [['a.png'], { image_upload: true }] },
    outputs: ['IMAGE'],
    isOutput: true,
  }),
  Scaled: nodeClass({ required: { ratio: ['FLOAT'] }, isOutput: true }),
};

function nodeClass(info: {
  required?: Record<string, unknown>;
  outputs?: string[];
  isOutput?: boolean;
}): NodeInfo {
  const { required, outputs = [], isOutput = false } = info;
  return {
    name: 'Test',
    input: { required } as NodeInfo['input'],
    output: outputs,
    output_node: isOutput,
  };
}

function validate(
  prompt: JsonValue,
  files: readonly string[] = [],
  targets?: readonly string[],
): Promise<ValidationResult> {
  return validatePrompt(prompt, {
    objectInfo,
    ...(targets === undefined ? {} : { targets }),
    fileExists: (name) => Promise.resolve(files.includes(name)),
  });
}

function node(classType: string, inputs: Record<string, JsonValue> = {}): JsonValue {
  return { class_type: classType, inputs };
}

function errorsOf(result: ValidationResult): Readonly<Record<string, NodeErrors>> {
  return result.ok ? result.nodeErrors : result.rejection.node_errors;
}

describe('links', () => {
  test.each<[JsonValue, string, string]>([
    [['9', 0], 'KeyError', "'9'"],
    [["it's", 0], 'KeyError', `"it's"`],
    [[1, 0], 'KeyError', '1'],
    [[null, 0], 'KeyError', 'None'],
    [[['1'], 0], 'TypeError', "unhashable type: 'list'"],
    [[{}, 0], 'TypeError', "unhashable type: 'dict'"],
    [['toString', 0], 'KeyError', "'toString'"],
    [['1', 3], 'IndexError', 'tuple index out of range'],
    [['1', -1], 'IndexError', 'tuple index out of range'],
    [['1', 10n ** 30n], 'IndexError', 'tuple index out of range'],
    [['1', 0.5], 'TypeError', 'tuple indices must be integers or slices, not float'],
    [['1', '0'], 'TypeError', 'tuple indices must be integers or slices, not str'],
    [['1', null], 'TypeError', 'tuple indices must be integers or slices, not NoneType'],
    [['1', true], 'TypeError', 'tuple indices must be integers or slices, not bool'],
  ])('%p raises %s %s', async (link, exceptionType, message) => {
    const result = await validate({ 1: node('Source'), 2: node('Show', { image: link }) });
    expect(result).toMatchObject({
      ok: false,
      rejection: { error: { details: `Exception when validating node: ${message}` } },
    });
    expect(errorsOf(result)['2']?.errors).toMatchObject([
      {
        type: 'exception_during_validation',
        details: message,
        extra_info: {
          exception_type: exceptionType,
          traceback: [expect.not.stringContaining('/')],
        },
      },
    ]);
  });

  test('an exception in an inner node names the link that led there', async () => {
    const result = await validate({
      1: node('Pass', { image: ['9', 0] }),
      2: node('Show', { image: ['1', 0] }),
    });
    expect(result).toMatchObject({ ok: false, rejection: { error: { details: '' } } });
    expect(errorsOf(result)).toEqual({
      1: {
        class_type: 'Pass',
        dependent_outputs: ['2'],
        errors: [
          {
            type: 'exception_during_inner_validation',
            message: 'Exception when validating inner node',
            details: "'9'",
            extra_info: {
              input_name: 'image',
              input_config: ['IMAGE', {}],
              exception_message: "'9'",
              exception_type: 'KeyError',
              traceback: ['  in node 1\n'],
              linked_node: ['1', 0],
            },
          },
        ],
      },
    });
  });

  test('a union type meets each of its members and nothing else', async () => {
    const image = await validate({ 1: node('Source'), 2: node('Show', { image: ['1', 2] }) });
    expect(errorsOf(image)['2']?.errors).toMatchObject([
      { details: 'image, received_type(INT,FLOAT) mismatch input_type(IMAGE)' },
    ]);
    const ratio = await validate({ 1: node('Source'), 2: node('Scaled', { ratio: ['1', 2] }) });
    expect(ratio.ok).toBe(true);
  });
});

describe('files', () => {
  test('an upload that exists is accepted though the catalogue does not list it', async () => {
    const prompt = { 1: node('Load', { image: 'new.png [temp]' }) };
    expect((await validate(prompt, ['new.png [temp]'])).ok).toBe(true);
    const refused = await validate(prompt);
    expect(refused).toMatchObject({
      ok: false,
      rejection: {
        error: {
          details: 'Custom validation failed for node: image - Invalid image file: new.png [temp]',
        },
      },
    });
  });

  test('each file is asked for once', async () => {
    const asked: string[] = [];
    const prompt = Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [`n${i}`, node('Load', { image: `${i % 40}.png` })]),
    );
    const result = await validatePrompt(prompt, {
      objectInfo,
      fileExists: (name) => {
        asked.push(name);
        return Promise.resolve(name !== '7.png');
      },
    });
    expect(asked).toHaveLength(40);
    expect(Object.keys(errorsOf(result))).toEqual(['n7', 'n47', 'n87']);
  });

  test('a name that is no text raises as in Python, a missing one is a missing input', async () => {
    expect(errorsOf(await validate({ 1: node('Load', { image: 5 }) }))['1']?.errors).toMatchObject([
      { details: "'int' object has no attribute 'endswith'" },
    ]);
    expect(errorsOf(await validate({ 1: node('Load') }))['1']?.errors).toMatchObject([
      { type: 'required_input_missing', details: 'image' },
    ]);
  });
});

describe('outputs', () => {
  const prompt = {
    b: node('Source'),
    bad: node('Pass', { image: ['b', 1] }),
    first: node('Show', { image: ['bad', 0] }),
    good: node('Show', { image: ['b', 0] }),
    second: node('Show', { image: ['bad', 0] }),
    worse: node('Show'),
  };

  test('the valid ones run, and a failing node names every output that depends on it and no other', async () => {
    const result = await validate(prompt);
    expect(result).toMatchObject({ ok: true, outputs: ['good'] });
    const dependents = Object.entries(errorsOf(result)).map(([id, n]) => [id, n.dependent_outputs]);
    expect(dependents).toEqual([
      ['bad', ['first', 'second']],
      ['worse', ['worse']],
    ]);
  });

  test('targets choose among them, and what they do not need is not validated', async () => {
    expect(await validate(prompt, [], ['good', 'b', 'nowhere'])).toEqual({
      ok: true,
      outputs: ['good'],
      nodeErrors: {},
    });
    expect(await validate(prompt, [], ['b'])).toMatchObject({
      ok: false,
      rejection: { error: { type: 'prompt_no_outputs' } },
    });
  });

  test('a shared source is reported once', async () => {
    const result = await validate({
      1: node('Pass'),
      2: node('Merge', { a: ['1', 0], b: ['1', 0] }),
      3: node('Show', { image: ['2', 0] }),
    });
    expect(errorsOf(result)).toMatchObject({ 1: { dependent_outputs: ['3'] } });
    expect(errorsOf(result)['1']?.errors).toHaveLength(1);
  });
});

describe('cycles', () => {
  test('a node linked to itself', async () => {
    const result = await validate({ 1: node('ShowAny', { source: ['1', 0] }) });
    expect(result).toMatchObject({
      ok: false,
      rejection: {
        error: { details: 'Dependency cycle detected: 1 (ShowAny) -> 1 (ShowAny)' },
        node_errors: { 1: { errors: [{ extra_info: { node_id: '1', cycle_nodes: ['1'] } }] } },
      },
    });
  });

  test('a cycle spoils its outputs only', async () => {
    const result = await validate({
      1: node('Merge', { a: ['3', 0], b: ['2', 0] }),
      2: node('Pass', { image: ['1', 0] }),
      3: node('Source'),
      4: node('Show', { image: ['2', 0] }),
      5: node('Show', { image: ['3', 0] }),
    });
    expect(result).toMatchObject({ ok: true, outputs: ['5'] });
    expect(errorsOf(result)).toMatchObject({
      1: {
        dependent_outputs: ['4'],
        errors: [{ details: '2 (Pass) -> 1 (Merge) -> 2 (Pass)' }],
      },
    });
  });
});

describe('prompts that are not graphs', () => {
  const world = { objectInfo, fileExists: () => Promise.resolve(false) };

  const inputsMessage = 'Cannot execute because the inputs of a node are not an object.';
  test.each<[JsonValue, string, string]>([
    [null, 'Cannot execute because the prompt is not an object of nodes.', ''],
    [[1, 2], 'Cannot execute because the prompt is not an object of nodes.', ''],
    [7, 'Cannot execute because the prompt is not an object of nodes.', ''],
    [
      { 1: null },
      'Cannot execute because a node is missing the class_type property.',
      "Node ID '#1'",
    ],
    [
      { 1: ['class_type'] },
      'Cannot execute because a node is missing the class_type property.',
      "Node ID '#1'",
    ],
    [
      { 1: { class_type: null } },
      'Cannot execute because node None does not exist.',
      "Node ID '#1'",
    ],
    [{ 1: { class_type: 5 } }, 'Cannot execute because node 5 does not exist.', "Node ID '#1'"],
    [
      { 1: { class_type: ['Show'] } },
      "Cannot execute because node ['Show'] does not exist.",
      "Node ID '#1'",
    ],
    [
      node('Show'),
      'Cannot execute because a node is missing the class_type property.',
      "Node ID '#class_type'",
    ],
    [
      { 1: node('constructor') },
      'Cannot execute because node constructor does not exist.',
      "Node ID '#1'",
    ],
    [
      { 1: node('__proto__') },
      'Cannot execute because node __proto__ does not exist.',
      "Node ID '#1'",
    ],
    [{ 1: { class_type: 'Show' } }, inputsMessage, "Node ID '#1'"],
    [{ 1: { class_type: 'Show', inputs: [] } }, inputsMessage, "Node ID '#1'"],
    [{ 1: { class_type: 'Show', inputs: 'x' } }, inputsMessage, "Node ID '#1'"],
  ])('%j: %s', async (prompt, message, details) => {
    expect(await validatePrompt(prompt, { ...world, era: '0.3.64' })).toEqual({
      ok: false,
      rejection: {
        error: { type: 'invalid_prompt', message, details, extra_info: {} },
        node_errors: {},
      },
    });
  });

  test('node ids that are names of Object.prototype are just ids', async () => {
    const prompt = parseJson(
      `{"__proto__":{"class_type":"Pass","inputs":{"image":["constructor",0]}},
        "constructor":{"class_type":"Source","inputs":{}},
        "toString":{"class_type":"Show","inputs":{"image":["__proto__",0]}},
        "valueOf":{"class_type":"Pass","inputs":{"__proto__":{"image":1}}},
        "hasOwnProperty":{"class_type":"Show","inputs":{"image":["valueOf",0]}}}`,
    );
    const result = await validate(prompt);
    expect(result).toMatchObject({ ok: true, outputs: ['toString'] });
    expect(errorsOf(result)).toMatchObject({ valueOf: { dependent_outputs: ['hasOwnProperty'] } });
  });

  test('an error of a node called __proto__ is an own member of the answer', async () => {
    const prompt = parseJson('{"__proto__":{"class_type":"Show","inputs":{}}}');
    const errors = errorsOf(await validate(prompt));
    expect(Object.keys(errors)).toEqual(['__proto__']);
    expect(JSON.stringify(errors)).toContain('"__proto__":{"errors":');
  });

  const shown = { class_type: 'Nowhere', inputs: {}, _meta: { title: 'My node' } };
  test.each<[written: JsonValue, message: string, info: Record<string, JsonValue>]>([
    [
      node('Nowhere'),
      "Node 'Nowhere' not found. The custom node may not be installed.",
      { class_type: 'Nowhere', node_title: 'Nowhere' },
    ],
    [
      shown,
      "Node 'My node' not found. The custom node may not be installed.",
      { class_type: 'Nowhere', node_title: 'My node' },
    ],
    [
      { inputs: {}, _meta: { title: 'My node' } },
      "Node 'My node' has no class_type. The workflow may be corrupted or a custom node is missing.",
      { class_type: null, node_title: 'My node' },
    ],
    [
      { inputs: {} },
      "Node 'ID #7' has no class_type. The workflow may be corrupted or a custom node is missing.",
      { class_type: null, node_title: null },
    ],
    [
      null,
      "Node 'ID #7' has no class_type. The workflow may be corrupted or a custom node is missing.",
      { class_type: null, node_title: null },
    ],
  ])('since 0.24, %j: %s', async (written, message, info) => {
    expect(await validate({ 6: node('Source'), 7: written })).toEqual({
      ok: false,
      rejection: {
        error: {
          type: 'missing_node_type',
          message,
          details: "Node ID '#7'",
          extra_info: { node_id: '7', ...info },
        },
        node_errors: {},
      },
    });
  });
});
