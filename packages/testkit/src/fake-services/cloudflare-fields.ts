import type { JsonValue } from '@tiercel/contracts';
import type { PictureRequest } from './pictures.ts';
import { textOf } from './wire.ts';

type Fields = Readonly<Record<string, JsonValue | undefined>>;
type Rule =
  | { readonly kind: 'text'; readonly min: number; readonly max: number }
  | { readonly kind: 'integer' | 'number'; readonly min: number; readonly max: number }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'base64' };

const SIZE: Rule = { kind: 'integer', min: 256, max: 2048 };
/** Seeds have no documented bounds; a bigint is out of what JSON carries safely. */
const SEED: Rule = { kind: 'integer', min: -Infinity, max: Infinity };

/** The documented schemas; keys that they do not name are ignored. */
const SCHEMAS: Readonly<Record<'diffusion' | 'flux', Readonly<Record<string, Rule>>>> = {
  diffusion: {
    prompt: { kind: 'text', min: 1, max: Infinity },
    negative_prompt: { kind: 'text', min: 0, max: Infinity },
    width: SIZE,
    height: SIZE,
    image: { kind: 'bytes' },
    image_b64: { kind: 'base64' },
    mask: { kind: 'bytes' },
    num_steps: { kind: 'integer', min: -Infinity, max: 20 },
    strength: { kind: 'number', min: 0, max: 1 },
    guidance: { kind: 'number', min: -Infinity, max: Infinity },
    seed: SEED,
  },
  flux: {
    prompt: { kind: 'text', min: 1, max: 2048 },
    steps: { kind: 'integer', min: -Infinity, max: 8 },
    seed: SEED,
  },
};

const FLUX_SIDE = 1024;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

export interface FieldProblem {
  /** Of Workers AI. */
  readonly code: number;
  readonly message: string;
}

/** The first thing in a request that its model's schema does not allow. */
export function checkFields(
  schema: keyof typeof SCHEMAS,
  fields: Fields,
): FieldProblem | undefined {
  if (fields.prompt === undefined) {
    return { code: 5006, message: "Bad input: required properties at '/' are 'prompt'" };
  }
  for (const [name, rule] of Object.entries(SCHEMAS[schema])) {
    const value = fields[name];
    const problem = value === undefined ? undefined : checkValue(rule, value);
    if (problem === undefined) continue;
    if (rule.kind === 'base64') return { code: 5004, message: `Invalid data: /${name} ${problem}` };
    return { code: 5006, message: `Bad input: '/${name}' ${problem}` };
  }
  return undefined;
}

function checkValue(rule: Rule, value: JsonValue): string | undefined {
  switch (rule.kind) {
    case 'text': {
      if (typeof value !== 'string') return 'is not of type string';
      if (value.length < rule.min) return `must be at least ${rule.min} characters`;
      return value.length > rule.max ? `must be at most ${rule.max} characters` : undefined;
    }
    case 'bytes': {
      const isBytes = Array.isArray(value) && value.every(isByte);
      return isBytes ? undefined : 'is not an array of numbers 0..255';
    }
    case 'base64':
      return typeof value === 'string' && BASE64.test(value) ? undefined : 'is not base64';
    default: {
      const isOfKind =
        typeof value === 'number' && (rule.kind === 'number' || Number.isInteger(value));
      if (!isOfKind) return `is not of type ${rule.kind}`;
      if (value < rule.min) return `must be >= ${rule.min}`;
      return value > rule.max ? `must be <= ${rule.max}` : undefined;
    }
  }
}

function isByte(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255;
}

/** @param side width and height where none is given */
export function readDiffusionFields(fields: Fields, side: number): PictureRequest {
  const { prompt, negative_prompt: negative, width, height, seed, image, image_b64 } = fields;
  const source = Array.isArray(image)
    ? Buffer.from(image.filter((byte) => typeof byte === 'number'))
    : Buffer.from(textOf(image_b64), 'base64');
  return {
    prompt: `${textOf(prompt)}\0${textOf(negative)}`,
    seed: typeof seed === 'number' ? seed : 0,
    width: typeof width === 'number' ? width : side,
    height: typeof height === 'number' ? height : side,
    format: 'png',
    source,
  };
}

export function readFluxFields({ prompt, seed }: Fields): PictureRequest {
  return {
    prompt: textOf(prompt),
    seed: typeof seed === 'number' ? seed : 0,
    ...{ width: FLUX_SIDE, height: FLUX_SIDE, format: 'jpeg' },
  };
}
