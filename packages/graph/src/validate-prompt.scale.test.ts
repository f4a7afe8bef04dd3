import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseJson, stringifyJson, type JsonValue, type ObjectInfo } from '@tiercel/contracts';
import { validatePrompt, type ValidationResult } from './index.ts';

// The recorded server had no model files.
const text = readFileSync(new URL('./fixtures/object-info.json', import.meta.url), 'utf8').replace(
  '"ckpt_name": [[]',
  '"ckpt_name": [["model.safetensors"]',
);
const objectInfo = parseJson(text) as unknown as ObjectInfo;

function validate(prompt: JsonValue): Promise<ValidationResult> {
  return validatePrompt(prompt, {
    objectInfo,
    fileExists: (name) => Promise.resolve(name === 'a.png'),
  });
}

function invert(source: number | string): JsonValue {
  return { class_type: 'ImageInvert', inputs: { image: [String(source), 0] } };
}

function show(source: number | string): JsonValue {
  return { class_type: 'PreviewImage', inputs: { images: [String(source), 0] } };
}

/** `count` inverted images in a row, `n1` to `n<count>`, behind a node of the caller. */
function chain(count: number, first: JsonValue): Record<string, JsonValue> {
  const prompt: Record<string, JsonValue> = { n0: first };
  for (let i = 1; i <= count; i++) prompt[`n${i}`] = invert(`n${i - 1}`);
  return prompt;
}

const image = { class_type: 'LoadImage', inputs: { image: 'a.png' } };

describe('large prompts', () => {
  test.each([10_000, 100_000])('a chain of %d nodes', async (count) => {
    const prompt = { ...chain(count, image), end: show(`n${count}`) };
    const result = await validate(prompt);
    expect(result).toEqual({ ok: true, outputs: ['end'], nodeErrors: {} });
  });

  test('a chain of 100000 nodes with a fault at its far end', async () => {
    const prompt = { ...chain(100_000, { ...image, inputs: {} }), end: show('n100000') };
    const result = await validate(prompt);
    expect(result).toMatchObject({
      ok: false,
      rejection: { node_errors: { n0: { dependent_outputs: ['end'] } } },
    });
  });

  test('a ring of 10000 nodes is named in full', async () => {
    const prompt = { ...chain(9_999, invert('n9999')), end: show('n0') };
    const result = await validate(prompt);
    const errors = result.ok ? [] : Object.values(result.rejection.node_errors)[0]?.errors;
    expect(errors?.[0]?.extra_info.cycle_nodes).toHaveLength(10_000);
  });

  test('100000 outputs of one image', async () => {
    const prompt: Record<string, JsonValue> = { n: image };
    for (let i = 0; i < 100_000; i++) prompt[`o${i}`] = show('n');
    const result = await validate(prompt);
    expect(result.ok && result.outputs.length).toBe(100_000);
  });

  test('answers stay bounded when everything fails and everything depends on everything', async () => {
    // 5000 outputs, each behind the same 5000 faulty nodes: 25 million dependencies.
    const prompt: Record<string, JsonValue> = { n0: image };
    for (let i = 1; i <= 5_000; i++) {
      prompt[`n${i}`] = {
        class_type: 'ImageBlend',
        inputs: {
          image1: [`n${i - 1}`, 0],
          image2: [`n${i - 1}`, 0],
          blend_factor: 'x',
          blend_mode: 'x',
        },
      };
      prompt[`o${i}`] = show('n5000');
    }
    const result = await validate(prompt);
    expect(result.ok).toBe(false);
    expect(stringifyJson(result).length).toBeLessThan(10_000_000);
  });

  test('answers stay bounded when every node closes a cycle', async () => {
    const prompt: Record<string, JsonValue> = { n0: invert('n10000'), end: show('n0') };
    for (let i = 1; i <= 10_000; i++) {
      prompt[`n${i}`] = {
        class_type: 'ImageBlend',
        inputs: {
          image1: ['n0', 0],
          image2: [`n${i - 1}`, 0],
          blend_factor: 0.5,
          blend_mode: 'normal',
        },
      };
    }
    const result = await validate(prompt);
    expect(result.ok).toBe(false);
    expect(stringifyJson(result).length).toBeLessThan(10_000_000);
  });

  test('a value nested 100000 deep is refused in an answer that can be written', async () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as JsonValue;
    const wrapped = { __value__: deep };
    for (const images of [deep, wrapped, { a: deep }, [deep, deep], ['1', deep]]) {
      const result = await validate({
        1: { class_type: 'EmptyImage', inputs: { width: images } },
        2: { class_type: 'PreviewImage', inputs: { images } },
        3: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: wrapped } },
        4: { class_type: 'PreviewAny', inputs: { source: 1 } },
      });
      expect(() => stringifyJson(result)).not.toThrow();
    }
  });
});

test('the default graph is valid', async () => {
  const link = (id: string, slot: number): JsonValue => [id, slot];
  const prompt: JsonValue = {
    4: {
      class_type: 'CheckpointLoaderSimple',
      inputs: { ckpt_name: 'model.safetensors' },
    },
    5: { class_type: 'EmptyLatentImage', inputs: { width: 512, height: 512, batch_size: 1 } },
    6: { class_type: 'CLIPTextEncode', inputs: { text: 'a hawk', clip: link('4', 1) } },
    7: { class_type: 'CLIPTextEncode', inputs: { text: 'blurry', clip: link('4', 1) } },
    3: {
      class_type: 'KSampler',
      inputs: {
        seed: 18446744073709551615n,
        steps: 20,
        cfg: 8,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: link('4', 0),
        positive: link('6', 0),
        negative: link('7', 0),
        latent_image: link('5', 0),
      },
    },
    8: { class_type: 'VAEDecode', inputs: { samples: link('3', 0), vae: link('4', 2) } },
    9: { class_type: 'SaveImage', inputs: { filename_prefix: 'ComfyUI', images: link('8', 0) } },
  };
  expect(await validate(prompt)).toEqual({ ok: true, outputs: ['9'], nodeErrors: {} });
});

describe('garbage', () => {
  /** A small generator with a seed, so that a failure can be repeated. */
  function createRandom(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }

  const classes = [...Object.keys(objectInfo), 'constructor', '__proto__', 'Nope', ''];
  const ids = ['0', '1', '2', '3', 'a:b', '__proto__', 'constructor', '', '999999999999'];
  const names = [
    'image',
    'images',
    'width',
    'seed',
    'text',
    'source',
    '__proto__',
    '__value__',
    'toString',
  ];

  function randomValue(random: (below: number) => number, depth: number): JsonValue {
    const pick = <T>(items: readonly T[]): T => items[random(items.length)]!;
    switch (random(depth > 3 ? 7 : 10)) {
      case 0:
        return null;
      case 1:
        return random(2) === 1;
      case 2:
        return pick([0, -1, 1.5, -0.5, 1e308, 1e-320, 2 ** 53, Infinity]);
      case 3:
        return pick([18446744073709551615n, -(10n ** 40n)]);
      case 4:
        return pick(['', 'x', '12', '1.5', 'nan', '\ud800', '\0', 'a.png', '../../x', ...ids]);
      case 5:
      case 6:
        return [pick(ids), pick<JsonValue>([0, 1, -1, 1.5, '0', null, 10n ** 20n])];
      case 7:
        return Array.from({ length: random(4) }, () => randomValue(random, depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: random(4) }, () => [pick(names), randomValue(random, depth + 1)]),
        );
    }
  }

  function randomPrompt(random: (below: number) => number): JsonValue {
    if (random(20) === 0) return randomValue(random, 0);
    const pick = <T>(items: readonly T[]): T => items[random(items.length)]!;
    const isWild = random(4) === 0;
    const nodes = Array.from({ length: random(8) }, (): [string, JsonValue] => {
      const classType = pick(isWild ? classes : Object.keys(objectInfo));
      const info = Object.hasOwn(objectInfo, classType) ? objectInfo[classType] : undefined;
      const declared = Object.keys(info?.input.required ?? {});
      const inputs = Object.fromEntries(
        [...declared, pick(names)].map((name) => [name, randomValue(random, 0)]),
      );
      if (isWild && random(6) === 0) return [pick(ids), randomValue(random, 0)];
      return [pick(ids), { class_type: classType, inputs }];
    });
    return Object.fromEntries(nodes);
  }

  test('random prompts are accepted or refused, never thrown at', async () => {
    let accepted = 0;
    let withNodeErrors = 0;
    for (let seed = 1; seed <= 3_000; seed++) {
      const prompt = randomPrompt(createRandom(seed));
      const result = await validate(prompt);
      expect(() => stringifyJson(result)).not.toThrow();
      if (result.ok) {
        accepted += 1;
        for (const id of result.outputs) expect(Object.hasOwn(prompt as object, id)).toBe(true);
      } else {
        const { error, node_errors } = result.rejection;
        expect(
          [error.type, error.message, error.details].every((part) => typeof part === 'string'),
        ).toBe(true);
        const listed = Object.values(node_errors);
        if (listed.length > 0) withNodeErrors += 1;
        for (const entry of listed) {
          expect(entry.errors.length).toBeGreaterThan(0);
          expect(entry.dependent_outputs.length).toBeGreaterThan(0);
        }
        // A prompt is refused for a reason that is told.
        if (error.type === 'prompt_outputs_failed_validation')
          expect(listed.length).toBeGreaterThan(0);
      }
    }
    expect(accepted).toBeGreaterThan(50);
    expect(withNodeErrors).toBeGreaterThan(300);
  });
});
