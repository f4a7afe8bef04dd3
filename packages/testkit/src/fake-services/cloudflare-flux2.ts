import type { FieldProblem } from './cloudflare-fields.ts';
import type { PictureRequest } from './pictures.ts';
import { fieldsOf, textOf, type WireRequest } from './wire.ts';

export const FLUX2_MODELS: ReadonlySet<string> = new Set([
  '@cf/black-forest-labs/flux-2-dev',
  '@cf/black-forest-labs/flux-2-klein-4b',
  '@cf/black-forest-labs/flux-2-klein-9b',
]);
/** Distilled: its steps cannot be chosen. */
const KLEIN = /klein/;
const IMAGES = /^input_image_[0-3]$/;
const INTEGER = /^\d+$/;
const NUMBER = /^\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const [MIN_SIDE, MAX_SIDE] = [256, 1920];
/** Of an input picture; pixels. */
const MAX_INPUT_SIDE = 512;
const DEFAULT_SIZE = { width: 1024, height: 768 };

/**
 * Reads a request to FLUX.2, which is a form even when it holds nothing but a prompt. Source: Cloudflare's changelog
 * of the three models.
 */
export function answerFlux2(
  model: string,
  request: WireRequest,
): { readonly picture: PictureRequest } | FieldProblem {
  const isForm = request.headers['content-type']?.startsWith('multipart/form-data') === true;
  if (!isForm) return problem("required properties at '/' are 'multipart'");
  const fields = fieldsOf(request.body);
  const takesSteps = !KLEIN.test(model);
  const known = ['prompt', 'width', 'height', 'seed', 'guidance', ...(takesSteps ? ['steps'] : [])];
  const unknown = [
    ...Object.keys(fields).filter((name) => !known.includes(name)),
    ...request.files.map(({ field }) => field).filter((field) => !IMAGES.test(field)),
  ];
  if (unknown.length > 0) return notAllowed(unknown);
  if (textOf(fields.prompt) === '') return problem("required properties at '/' are 'prompt'");
  for (const name of ['seed', 'steps'].filter((field) => fields[field] !== undefined)) {
    if (!INTEGER.test(textOf(fields[name]))) return problem(`'/${name}' is not of type integer`);
  }
  if (fields.guidance !== undefined && !NUMBER.test(textOf(fields.guidance))) {
    return problem("'/guidance' is not of type number");
  }
  const size = { ...DEFAULT_SIZE };
  for (const name of ['width', 'height'] as const) {
    const side = textOf(fields[name]);
    if (side === '') continue;
    size[name] = Number(side);
    const isFine = INTEGER.test(side) && size[name] >= MIN_SIDE && size[name] <= MAX_SIDE;
    if (!isFine) return problem(`'/${name}' must be between ${MIN_SIDE} and ${MAX_SIDE}`);
  }
  for (const { field, bytes } of request.files) {
    if (bytes.toString('latin1', 1, 4) !== 'PNG') return problem(`'/${field}' is no image`);
    const isLarge = [16, 20].some((at) => bytes.readUInt32BE(at) > MAX_INPUT_SIDE);
    if (isLarge) return problem(`'/${field}' must be smaller than 512x512`);
  }
  const wish = ['guidance', 'steps'].map((name) => textOf(fields[name]));
  return {
    picture: {
      ...{ prompt: [textOf(fields.prompt), ...wish].join('\0'), ...size, format: 'png' },
      seed: BigInt(textOf(fields.seed) || 0),
      source: Buffer.concat(request.files.map(({ bytes }) => bytes)),
    },
  };
}

function notAllowed(names: readonly string[]): FieldProblem {
  const list = names.map((name) => `/${name}`).join(', ');
  return problem(`Additional or unevaluated properties '${list}' at '/' not allowed`);
}

function problem(message: string): FieldProblem {
  return { code: 5006, message };
}
