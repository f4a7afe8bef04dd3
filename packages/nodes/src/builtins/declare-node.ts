import { parseJson, type JsonValue, type NodeInfo, type ObjectInfo } from '@tiercel/contracts';
import { imageClasses } from '@tiercel/graph';
import type { HiddenInput, NodeDefinition } from '../node-definition.ts';
import { BUILTIN_CLASSES_JSON } from './builtin-classes-data.ts';

// The text is a part of ComfyUI's own catalogue.
const builtinClasses = parseJson(BUILTIN_CLASSES_JSON) as unknown as ObjectInfo;

/** Members of an object_info entry that a definition hands on as they are. */
const HANDED_ON = ['deprecated', 'experimental', 'api_node', 'output_matchtypes'];

/** A node whose declaration a catalogue has: only what it does is written here. */
export function declareNode(
  classType: string,
  run: NodeDefinition['run'],
  more: Pick<NodeDefinition, 'needs' | 'takesAllInputs' | 'fingerprint'> = {},
): NodeDefinition {
  const info = findClass(classType);
  if (info === undefined) throw new TypeError(`The catalogue has no class ${classType}.`);
  const { required, optional } = moveLaterInputs(classType, info.input);
  const hidden = readHidden(info);
  const { output, output_name, display_name, category, python_module } = info;
  return {
    class_type: classType,
    input: {
      ...(required && { required }),
      ...(optional && { optional }),
      ...(hidden && { hidden }),
    },
    output: output.filter((type) => typeof type === 'string'),
    output_node: info.output_node,
    ...(info.output_is_list?.includes(true) && { output_is_list: info.output_is_list }),
    ...(info.is_input_list && { is_input_list: true }),
    ...(output_name && { output_name }),
    ...(category !== undefined && { category }),
    ...(python_module !== undefined && { python_module }),
    // ComfyUI gives some classes no name to display.
    info: { display_name: display_name ?? null, ...readMore(info) },
    ...more,
    run,
  };
}

/**
 * Inputs that a class has had since it was in use already. ComfyUI requires them now; graphs of before, which do not
 * have them, run here all the same, with the default that did what the class did then.
 */
const LATER_INPUTS: Readonly<Record<string, readonly string[]>> = {
  ImageScaleToTotalPixels: ['resolution_steps'],
  ChromaRadianceOptions: ['force_sequential_txt_ids'],
};

function moveLaterInputs(
  classType: string,
  { required, optional }: NodeInfo['input'],
): Pick<NodeInfo['input'], 'required' | 'optional'> {
  const later = LATER_INPUTS[classType];
  if (later === undefined || required === undefined) {
    return { ...(required && { required }), ...(optional && { optional }) };
  }
  const pick = (isLater: boolean) =>
    Object.fromEntries(
      Object.entries(required).filter(([name]) => later.includes(name) === isLater),
    );
  return { required: pick(false), optional: { ...optional, ...pick(true) } };
}

/** What the catalogues say of a class. */
export function findClass(classType: string): NodeInfo | undefined {
  const catalogue = [imageClasses, builtinClasses].find((c) => Object.hasOwn(c, classType));
  return catalogue?.[classType];
}

/** Newer classes list their hidden inputs as `["PROMPT"]`. */
function readHidden({ input }: NodeInfo): Record<string, HiddenInput> | undefined {
  if (input.hidden === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(input.hidden).map(([name, kind]): [string, HiddenInput] => [
      name,
      (Array.isArray(kind) ? kind[0] : kind) as HiddenInput, // those of the built-in classes
    ]),
  );
}

function readMore(info: NodeInfo): Record<string, JsonValue> {
  const members = HANDED_ON.filter((name) => Object.hasOwn(info, name));
  // The catalogue is JSON.
  return Object.fromEntries(members.map((name) => [name, info[name] as JsonValue]));
}
