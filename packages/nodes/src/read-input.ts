import type { Sigmas } from '@tiercel/graph';
import { NodeError } from './node-error.ts';
import type { NodeInputs } from './node-definition.ts';
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

/** A linked value by its `kind` tag; plug-ins may link anything, so the tag is checked. */
function readKind(
  inputs: NodeInputs,
  name: string,
  kinds: readonly string[],
  wanted: string,
): unknown {
  const value = inputs[name];
  if (typeof value === 'object' && value !== null && 'kind' in value) {
    if (typeof value.kind === 'string' && kinds.includes(value.kind)) return value;
  }
  return fail(name, wanted);
}

export function readImage(inputs: NodeInputs, name: string): ImageBatch {
  return readKind(inputs, name, ['image'], 'an IMAGE') as ImageBatch; // the tag was checked
}

export function readMask(inputs: NodeInputs, name: string): MaskBatch {
  return readKind(inputs, name, ['mask'], 'a MASK') as MaskBatch; // the tag was checked
}

export function readLatent(inputs: NodeInputs, name: string): Latent {
  return readKind(inputs, name, ['latent'], 'a LATENT') as Latent; // the tag was checked
}

export function readConditioning(inputs: NodeInputs, name: string): Conditioning {
  return readKind(inputs, name, ['conditioning'], 'a CONDITIONING') as Conditioning; // the tag was checked
}

export function readModel(inputs: NodeInputs, name: string): ModelHandle {
  return readKind(inputs, name, ['model', 'clip', 'vae'], 'a model') as ModelHandle; // the tag was checked
}

export function readSigmas(inputs: NodeInputs, name: string): Sigmas {
  return readKind(inputs, name, ['sigmas'], 'SIGMAS') as Sigmas; // the tag was checked
}

export function readSampler(inputs: NodeInputs, name: string): SamplerHandle {
  return readKind(inputs, name, ['sampler'], 'a SAMPLER') as SamplerHandle; // the tag was checked
}

export function readGuider(inputs: NodeInputs, name: string): Guider {
  return readKind(inputs, name, ['guider'], 'a GUIDER') as Guider; // the tag was checked
}

export function readNoise(inputs: NodeInputs, name: string): NoiseHandle {
  return readKind(inputs, name, ['noise'], 'NOISE') as NoiseHandle; // the tag was checked
}

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
