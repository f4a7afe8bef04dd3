import type { InputSpec, JsonObject, NodeInfo } from '@tiercel/contracts';

/** One declared input that a prompt may set. */
export interface DeclaredInput {
  readonly name: string;
  readonly spec: InputSpec;
  readonly section: 'required' | 'optional';
}

/** What an upload flag of the catalogue calls the file in ComfyUI's "Invalid ... file". */
const UPLOAD_FLAGS = [
  ['image_upload', 'image'],
  ['animated_image_upload', 'image'],
  ['audio_upload', 'audio'],
  ['video_upload', 'video'],
  ['file_upload', 'file'],
] as const;

/**
 * The inputs a class declares, required before optional; a name in both counts as required. Hidden
 * inputs are the server's business and left out. Tolerates malformed catalogue entries of foreign
 * backends: what is not a spec takes any value.
 */
export function inputSpecs(info: NodeInfo): readonly DeclaredInput[] {
  const declared = new Map<string, DeclaredInput>();
  // The catalogue comes from other programs; its type is a hope.
  const input: unknown = info.input;
  if (!isRecord(input)) return [];
  for (const section of ['required', 'optional'] as const) {
    const members = Object.hasOwn(input, section) ? input[section] : undefined;
    if (!isRecord(members)) continue;
    for (const [name, spec] of Object.entries(members)) {
      if (!declared.has(name)) declared.set(name, { name, section, spec: readSpec(spec) });
    }
  }
  return [...declared.values()];
}

/** Where plug-ins of ours stand among the modules of /object_info; ComfyUI's extensions have `custom_nodes.*`. */
export const PLUGIN_MODULE = 'custom_nodes.tiercel';

/**
 * Whether the values of a class' inputs are its server's to judge. An extension's own VALIDATE_INPUTS replaces
 * ComfyUI's checks of ranges and choices (execution.py, validate_inputs), and /object_info does not tell which
 * classes have one: refusing what the catalogue does not list would refuse prompts that ComfyUI runs.
 */
export function isJudgedByServer({ python_module: from = '' }: NodeInfo): boolean {
  return from.startsWith('custom_nodes.') && !from.startsWith(`${PLUGIN_MODULE}.`);
}

/** The options of a spec; `{}` when it has none. */
export function specOptions(spec: InputSpec): JsonObject {
  return spec[1] ?? {};
}

/** Whether the input names an uploaded file (LoadImage's `image`): checked for existence, not against its list. */
export function isUploadInput(spec: InputSpec): boolean {
  return uploadKind(spec) !== undefined;
}

/** `image`, `audio`, `video` or `file` for an upload input, else undefined. */
export function uploadKind(spec: InputSpec): string | undefined {
  const options = specOptions(spec);
  return UPLOAD_FLAGS.find(([flag]) => Object.hasOwn(options, flag) && options[flag] === true)?.[1];
}

function readSpec(spec: unknown): InputSpec {
  if (!Array.isArray(spec)) return ['*'];
  const [type, options] = spec as unknown[];
  if (typeof type !== 'string' && !Array.isArray(type)) return ['*'];
  // Both parts have just been looked at; what they hold is JSON because the catalogue is.
  return isRecord(options) ? [type, options as JsonObject] : [type];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
