import type { InputSpec, JsonValue } from '@tiercel/contracts';

/**
 * What a picture is that a node sends to sockets while it runs:
 * - `result`: the node is there to send it (SaveImageWebsocket and its like: an output node that gives
 *   nothing to other nodes). It is stored nowhere else.
 * - `sampling`: a sampler shows how far it is. ComfyUI sends these when a preview method is set.
 * - `own`: the node shows something of its own. ComfyUI always sends these.
 */
export type PictureKind = 'result' | 'sampling' | 'own';

/** What samplers take or give; nothing that lacks all of these draws a latent. */
const SAMPLER_TYPES: ReadonlySet<string> = new Set(['LATENT', 'MODEL', 'GUIDER', 'SAMPLER']);

/** @param info a class as object_info or as a node definition describes it */
export function pictureKind(info: {
  readonly input: {
    readonly required?: Readonly<Record<string, InputSpec>>;
    readonly optional?: Readonly<Record<string, InputSpec>>;
  };
  readonly output: readonly JsonValue[];
  readonly output_node?: boolean;
}): PictureKind {
  if (info.output_node === true && info.output.length === 0) return 'result';
  const { required = {}, optional = {} } = info.input;
  const inputs = [...Object.values(required), ...Object.values(optional)].map(([type]) => type);
  const types = [...inputs, ...info.output];
  // A choice is a list; a type may be several with commas between.
  const isSampler = types.some(
    (type) =>
      typeof type === 'string' && type.split(',').some((name) => SAMPLER_TYPES.has(name.trim())),
  );
  return isSampler ? 'sampling' : 'own';
}
