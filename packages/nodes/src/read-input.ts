import type { Sigmas } from '@tiercel/graph';
import { NodeError, type NodeInputs } from './node-definition.ts';
import type {
  Conditioning,
  Guider,
  ImageBatch,
  Latent,
  MaskBatch,
  ModelHandle,
  NoiseHandle,
  SamplerHandle,
} from './values.ts';

function fail(name: string, wanted: string): never {
  throw new NodeError(`Input "${name}" must be ${wanted}.`, { exceptionType: 'TypeError' });
}

type Linked =
  | ImageBatch
  | MaskBatch
  | Latent
  | Conditioning
  | ModelHandle
  | Sigmas
  | SamplerHandle
  | Guider
  | NoiseHandle;

/** Reads a linked value by its `kind` tag; plug-ins may link anything, so the tag is checked. */
function linked<Kind extends Linked['kind']>(wanted: string, ...kinds: readonly Kind[]) {
  return (inputs: NodeInputs, name: string): Extract<Linked, { readonly kind: Kind }> => {
    const value = inputs[name];
    const isLinked =
      typeof value === 'object' &&
      value !== null &&
      'kind' in value &&
      kinds.some((kind) => kind === value.kind);
    return isLinked ? (value as Extract<Linked, { readonly kind: Kind }>) : fail(name, wanted); // by its tag
  };
}

export const readImage = linked('an IMAGE', 'image');
export const readMask = linked('a MASK', 'mask');
export const readLatent = linked('a LATENT', 'latent');
export const readConditioning = linked('a CONDITIONING', 'conditioning');
export const readModel = linked('a model', 'model', 'clip', 'vae');
export const readSigmas = linked('SIGMAS', 'sigmas');
export const readSampler = linked('a SAMPLER', 'sampler');
export const readGuider = linked('a GUIDER', 'guider');
export const readNoise = linked('NOISE', 'noise');

export function readNumber(inputs: NodeInputs, name: string): number {
  const value = inputs[name];
  if (typeof value === 'bigint') return Number(value);
  return typeof value === 'number' ? value : fail(name, 'a number');
}

/** An INT that may need all 64 bits. */
export function readInteger(inputs: NodeInputs, name: string): number | bigint {
  const value = inputs[name];
  return typeof value === 'bigint' || typeof value === 'number' ? value : fail(name, 'an integer');
}

export function readText(inputs: NodeInputs, name: string): string {
  const value = inputs[name];
  return typeof value === 'string' ? value : fail(name, 'a string');
}

export function readBoolean(inputs: NodeInputs, name: string): boolean {
  const value = inputs[name];
  return typeof value === 'boolean' ? value : fail(name, 'a boolean');
}

const byNumber = new Intl.Collator('en', { numeric: true });

/** The values of a group of inputs that grows, in its own order: `images.image_2` before `images.image_10`. */
export function readMembers(inputs: NodeInputs, group: string): readonly unknown[] {
  return Object.entries(inputs)
    .filter(([name]) => name.startsWith(`${group}.`))
    .sort(([a], [b]) => byNumber.compare(a, b))
    .map(([, value]) => value);
}
