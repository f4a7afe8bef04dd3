import type { InputSpec, JsonObject, NodeInfo } from '@tiercel/contracts';
import { choicesOf } from './combo-choices.ts';
import {
  DynamicInputError,
  expandInput,
  isDynamic,
  readSpec,
  type InputSection,
} from './dynamic-inputs.ts';

/** One declared input that a prompt may set. */
export interface DeclaredInput {
  /** Of a member of a dynamic input with all that it is nested in: `images.image0`. */
  readonly name: string;
  readonly spec: InputSpec;
  readonly section: InputSection;
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
 * @param given a node's values: dynamic inputs stand for what they come to with these. Without them they
 *        stand for nothing, and so they do when they refuse these values.
 */
export function inputSpecs(info: NodeInfo, given: JsonObject = {}): readonly DeclaredInput[] {
  try {
    return expandInputs(info, given);
  } catch (error) {
    if (!(error instanceof DynamicInputError)) throw error;
    return [...listDeclared(info)].filter(({ spec }) => !isDynamic(spec));
  }
}

/**
 * The same, told why dynamic inputs refuse a node's values.
 * @throws DynamicInputError
 */
export function expandInputs(info: NodeInfo, given: JsonObject): readonly DeclaredInput[] {
  const declared = new Map<string, DeclaredInput>();
  const add = (name: string, spec: InputSpec, section: InputSection) => {
    const known = declared.get(name);
    if (known === undefined || (known.section === 'optional' && section === 'required')) {
      declared.set(name, { name, section, spec });
    }
  };
  for (const { name, spec, section } of listDeclared(info)) {
    expandInput(name, spec, section, { given, add });
  }
  const inputs = [...declared.values()];
  const isRequired = ({ section }: DeclaredInput) => section === 'required';
  return [...inputs.filter(isRequired), ...inputs.filter((input) => !isRequired(input))];
}

/** Whether the values of a node of this class say which inputs it has. */
export function hasDynamicInputs(info: NodeInfo): boolean {
  return [...listDeclared(info)].some(({ spec }) => isDynamic(spec));
}

/** The inputs as the catalogue lists them, dynamic ones as one each. */
function* listDeclared(info: NodeInfo): Iterable<DeclaredInput> {
  // The catalogue comes from other programs; its type is a hope.
  const input: unknown = info.input;
  if (!isRecord(input)) return;
  for (const section of ['required', 'optional'] as const) {
    const members = Object.hasOwn(input, section) ? input[section] : undefined;
    if (!isRecord(members)) continue;
    for (const [name, spec] of Object.entries(members)) {
      yield { name, section, spec: readSpec(spec) };
    }
  }
}

/** Where plug-ins of ours stand among the modules of /object_info; ComfyUI's extensions have `custom_nodes.*`. */
export const PLUGIN_MODULE = 'custom_nodes.tiercel';

/**
 * Inputs of ComfyUI's own classes that the class judges itself, as of 0.33: any choice of its own, a device
 * of another machine, an empty 3D scene, a camera that moves far. /object_info does not tell.
 */
const SELF_JUDGED: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['CustomCombo', new Set(['choice', 'index'])],
  ['SelectModelDevice', new Set(['device'])],
  ['SelectCLIPDevice', new Set(['device'])],
  ['SelectVAEDevice', new Set(['device'])],
  [
    'KlingCameraControls',
    new Set(['horizontal_movement', 'vertical_movement', 'pan', 'tilt', 'roll', 'zoom']),
  ],
]);

/**
 * Whether the value of an input is its server's to judge. A class's own VALIDATE_INPUTS replaces ComfyUI's
 * checks of ranges and choices (execution.py, validate_inputs), and /object_info does not tell which classes
 * have one: refusing what the catalogue does not list would refuse prompts that ComfyUI runs.
 */
export function isJudgedByServer(info: NodeInfo, { name, spec }: DeclaredInput): boolean {
  const { python_module: from = '' } = info;
  if (from.startsWith('custom_nodes.') && !from.startsWith(`${PLUGIN_MODULE}.`)) return true;
  // 3D models: "none" is a choice, and the files lie in folders of their own.
  if (specOptions(spec).file_upload === true) return true;
  return SELF_JUDGED.get(info.name)?.has(name) ?? false;
}

/** The options of a spec; `{}` when it has none. */
export function specOptions(spec: InputSpec): JsonObject {
  return spec[1] ?? {};
}

/** Whether the input names an uploaded file (LoadImage's `image`): it is brought to whoever runs the node. */
export function isUploadInput(spec: InputSpec): boolean {
  return uploadKind(spec) !== undefined;
}

/** `image`, `audio`, `video` or `file` for an upload input, else undefined. */
function uploadKind(spec: InputSpec): string | undefined {
  const options = specOptions(spec);
  return UPLOAD_FLAGS.find(([flag]) => Object.hasOwn(options, flag) && options[flag] === true)?.[1];
}

/**
 * The kind of file whose existence decides about the input's value, in place of its list: `image`, `audio`,
 * `video`, `latent`; undefined for any other input. A text that a widget uploads (Painter's) may be empty.
 */
export function checkedFileKind(info: NodeInfo, { name, spec }: DeclaredInput): string | undefined {
  const isCombo = choicesOf(spec) !== undefined || spec[0] === 'COMBO';
  if (!isCombo) return undefined;
  return info.name === 'LoadLatent' && name === 'latent' ? 'latent' : uploadKind(spec);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
