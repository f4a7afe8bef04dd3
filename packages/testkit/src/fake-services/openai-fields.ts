import type { JsonValue } from '@tiercel/contracts';
import { fieldsOf, textOf, type WireFile, type WireRequest } from './wire.ts';

/** A checked request for images. */
export interface ImageRequest {
  readonly model: string;
  readonly prompt: string;
  readonly count: number;
  readonly width: number;
  readonly height: number;
  readonly format: 'png' | 'jpeg';
  readonly quality: string;
  readonly background: string;
  /** The files of an edit; a mask is the last. */
  readonly sources: readonly Buffer[];
}

/** What `error` says of a parameter. */
export interface ParameterFault {
  readonly param: string;
  readonly code: string;
  readonly message: string;
}

class Rejection extends Error {
  readonly fault: ParameterFault;
  constructor(param: string, code: string, message: string) {
    super(message);
    this.fault = { param, code, message };
  }
}

type Fields = Readonly<Record<string, JsonValue | undefined>>;

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  quality: ['low', 'medium', 'high', 'xhigh', 'max', 'auto'],
  background: ['transparent', 'opaque', 'auto'],
  output_format: ['png', 'jpeg', 'webp'],
  moderation: ['low', 'auto'],
  input_fidelity: ['high', 'low'],
};
const COMMON = [
  ...['prompt', 'model', 'n', 'size', 'quality', 'background', 'output_format', 'stream'],
  ...['output_compression', 'moderation', 'partial_images', 'complexity', 'safety_identifier'],
  'user',
];
const KNOWN = { generations: COMMON, edits: [...COMMON, 'input_fidelity', 'markup'] };
const MAX_PROMPT_CHARS = 32_000;
const MAX_IMAGES = 16;
const MAX_IMAGE_BYTES = 50 * 2 ** 20;
const MAX_MASK_BYTES = 4 * 2 ** 20;
/** Models before gpt-image-2 have these sizes and no others. */
const OLD_SIZES = ['1024x1024', '1536x1024', '1024x1536'];
const OLD_MODEL = /^gpt-image-1/;
const [MAX_WIDTH, MAX_HEIGHT] = [3840, 2160];

/** Checks a request against the documented parameters of the GPT image models. */
export function readImageRequest(
  route: keyof typeof KNOWN,
  request: WireRequest,
): { readonly image: ImageRequest } | { readonly fault: ParameterFault } {
  try {
    const fields = fieldsOf(request.body);
    const image = readFields(route, fields);
    const sources = route === 'edits' ? readSources(request.files) : [];
    return { image: { ...image, sources } };
  } catch (error) {
    if (error instanceof Rejection) return { fault: error.fault };
    throw error;
  }
}

function readFields(route: keyof typeof KNOWN, fields: Fields): Omit<ImageRequest, 'sources'> {
  for (const name of Object.keys(fields)) {
    if (!KNOWN[route].includes(name)) {
      throw new Rejection(name, 'unknown_parameter', `Unknown parameter: '${name}'.`);
    }
  }
  for (const name of ['prompt', 'model']) {
    if (fields[name] === undefined || fields[name] === '') {
      const message = `Missing required parameter: '${name}'.`;
      throw new Rejection(name, 'missing_required_parameter', message);
    }
    if (typeof fields[name] !== 'string') throw invalidType(name, 'a string');
  }
  for (const [name, choices] of Object.entries(CHOICES)) checkChoice(name, fields[name], choices);
  const prompt = textOf(fields.prompt);
  if (prompt.length > MAX_PROMPT_CHARS) {
    const message = `Expected a string with maximum length ${MAX_PROMPT_CHARS}.`;
    throw new Rejection('prompt', 'string_above_max_length', message);
  }
  const format = textOf(fields.output_format) || 'png';
  const background = textOf(fields.background) || 'auto';
  if (background === 'transparent' && format === 'jpeg') {
    throw invalidValue('background', 'Transparent background is not supported for JPEG.');
  }
  if (format === 'webp') {
    throw invalidValue('output_format', 'This fake cannot write WebP.');
  }
  if (fields.stream === true || fields.stream === 'true') {
    throw invalidValue('stream', 'This fake does not stream.');
  }
  const integers = { output_compression: [0, 100], partial_images: [0, 3] } as const;
  for (const [name, [min, max]] of Object.entries(integers)) readInteger(name, fields, min, max);
  const model = textOf(fields.model);
  return {
    ...{
      model,
      prompt,
      ...readSize(model, fields.size),
      format: format === 'jpeg' ? format : 'png',
    },
    count: readInteger('n', fields, 1, 10) ?? 1,
    quality: readAuto(fields.quality, 'high'),
    background: readAuto(fields.background, 'opaque'),
  };
}

function readAuto(value: JsonValue | undefined, chosen: string): string {
  const text = textOf(value);
  return text === '' || text === 'auto' ? chosen : text;
}

function checkChoice(name: string, value: JsonValue | undefined, choices: readonly string[]): void {
  if (value === undefined || value === null) return;
  if (typeof value !== 'string') throw invalidType(name, `one of ${choices.join(', ')}`);
  if (choices.includes(value)) return;
  const supported = choices.map((choice) => `'${choice}'`).join(', ');
  throw invalidValue(name, `Invalid value: '${value}'. Supported values are: ${supported}.`);
}

/** A form carries numbers as text. */
function readInteger(name: string, fields: Fields, min: number, max: number): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number))
    throw invalidType(name, 'an integer');
  if (number < min || number > max) {
    const [code, bound] =
      number < min
        ? ['integer_below_min_value', `>= ${min}`]
        : ['integer_above_max_value', `<= ${max}`];
    throw new Rejection(name, code, `Invalid '${name}': expected a value ${bound}.`);
  }
  return number;
}

function readSize(model: string, value: JsonValue | undefined): { width: number; height: number } {
  if (value === undefined || value === null || value === 'auto') {
    return { width: 1024, height: 1024 };
  }
  const size = textOf(value);
  const [width = 0, height = 0] = /^(\d+)x(\d+)$/.exec(size)?.slice(1).map(Number) ?? [];
  if (OLD_MODEL.test(model)) {
    checkChoice('size', value, [...OLD_SIZES, 'auto']);
  } else if (!isFreeSize(width, height)) {
    throw invalidValue('size', `Invalid value: '${size}'. Sides must be multiples of 16, ...`);
  }
  return { width, height };
}

/** Any size of gpt-image-2 and later. */
function isFreeSize(width: number, height: number): boolean {
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  const isRound = width % 16 === 0 && height % 16 === 0;
  return short > 0 && isRound && long <= 3 * short && long <= MAX_WIDTH && short <= MAX_HEIGHT;
}

function readSources(files: readonly WireFile[]): Buffer[] {
  const images = files.filter(({ field }) => field === 'image' || field === 'image[]');
  if (images.length === 0) {
    const message = "Missing required parameter: 'image'.";
    throw new Rejection('image', 'missing_required_parameter', message);
  }
  if (images.length > MAX_IMAGES) throw invalidValue('image', `At most ${MAX_IMAGES} images.`);
  for (const { bytes } of images) {
    if (readPngSize(bytes) === undefined && !isJpegOrWebp(bytes)) {
      throw new Rejection('image', 'invalid_image_file', 'Invalid image file or mode for image.');
    }
    if (bytes.length >= MAX_IMAGE_BYTES) throw invalidValue('image', 'An image is too large.');
  }
  const mask = files.find(({ field }) => field === 'mask');
  if (mask !== undefined) checkMask(mask.bytes, images[0]?.bytes ?? Buffer.alloc(0));
  return [...images, ...(mask === undefined ? [] : [mask])].map(({ bytes }) => bytes);
}

function checkMask(mask: Buffer, image: Buffer): void {
  const size = readPngSize(mask);
  if (size === undefined) throw invalidValue('mask', 'The mask must be a PNG.');
  if (mask.length >= MAX_MASK_BYTES) throw invalidValue('mask', 'The mask must be under 4 MB.');
  if (!size.hasAlpha) throw invalidValue('mask', 'Mask image missing alpha channel.');
  const expected = readPngSize(image);
  if (expected === undefined) return;
  if (size.width !== expected.width || size.height !== expected.height) {
    throw invalidValue('mask', 'Mask size does not match image size.');
  }
}

function readPngSize(
  bytes: Buffer,
): { readonly width: number; readonly height: number; readonly hasAlpha: boolean } | undefined {
  if (bytes.length < 33 || bytes.toString('latin1', 1, 4) !== 'PNG') return undefined;
  const colourType = bytes.readUInt8(25);
  const hasAlpha = colourType === 4 || colourType === 6 || bytes.includes('tRNS');
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20), hasAlpha };
}

function isJpegOrWebp(bytes: Buffer): boolean {
  if (bytes.length < 12) return false;
  return bytes.readUIntBE(0, 3) === 0xffd8ff || bytes.toString('latin1', 8, 12) === 'WEBP';
}

function invalidType(name: string, kind: string): Rejection {
  return new Rejection(name, 'invalid_type', `Invalid type for '${name}': expected ${kind}.`);
}

function invalidValue(name: string, message: string): Rejection {
  return new Rejection(name, 'invalid_value', message);
}
