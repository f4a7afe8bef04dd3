import {
  isJsonObject,
  type InputSpec,
  type JsonObject,
  type JsonValue,
  type NodeInfo,
} from '@tiercel/contracts';
import { choicesOf } from '../combo-choices.ts';
import { readSpec, type InputSection } from '../dynamic-inputs.ts';
import { getOwn } from '../graph-nodes.ts';
import { specOptions } from '../input-specs.ts';
import { isList } from '../python-text.ts';

/** Types that the editor gives a widget, so that a node holds their value itself. */
const WIDGET_TYPES: ReadonlySet<JsonValue> = new Set([
  'INT',
  'FLOAT',
  'BOOLEAN',
  'STRING',
  'COMBO',
  'COLOR',
  'COLORS',
  'MARKDOWN',
  'TEXTAREA',
  'BOUNDING_BOX',
  'BOUNDING_BOXES',
  'CURVE',
  'RANGE',
  'IMAGECOMPARE',
  'PAINTER',
  'COMPOSITOR',
  'VIDEO_EDIT',
  'COMFY_DYNAMICCOMBO_V3',
  'COMFY_DYNAMICGROUP_V3',
  'LOAD_3D',
  'WEBCAM',
  'AUDIO_RECORD',
]);

/** Those whose value a browser makes when the prompt is queued: a rendered scene, a camera, a microphone. */
const BROWSER_TYPES: ReadonlySet<JsonValue> = new Set(['LOAD_3D', 'WEBCAM', 'AUDIO_RECORD']);

/** Flags of a combo that brings a button for uploads, which has a place among the saved values. */
const UPLOAD_OPTIONS = ['image_upload', 'animated_image_upload', 'video_upload', 'audio_upload'];

/** One input of a class, in the order of the editor. */
export interface OrderedInput {
  readonly name: string;
  readonly spec: InputSpec;
  readonly section: InputSection;
}

/** As `input_order` says, required before optional, then what it leaves out. Hidden inputs do not exist there. */
export function orderInputs(info: NodeInfo): readonly OrderedInput[] {
  const ordered: OrderedInput[] = [];
  for (const section of ['required', 'optional'] as const) {
    // The catalogue comes from other programs; its type is a hope.
    const members: unknown = info.input[section];
    if (!isRecord(members)) continue;
    const order: unknown = info.input_order?.[section];
    const named = Array.isArray(order)
      ? order.filter((name) => Object.hasOwn(members, String(name)))
      : [];
    for (const name of new Set([...named.map(String), ...Object.keys(members)])) {
      ordered.push({ name, spec: readSpec(members[name]), section });
    }
  }
  return ordered;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The type by which the editor chooses a widget. */
export function widgetType(spec: InputSpec): JsonValue {
  if (isList(spec[0])) return 'COMBO';
  return getOwn(specOptions(spec), 'widgetType') ?? spec[0];
}

export function isWidget(spec: InputSpec): boolean {
  return WIDGET_TYPES.has(widgetType(spec)) && !isForced(spec);
}

/** Of an input that could be a widget, but takes links only. */
export function isForced(spec: InputSpec): boolean {
  return isTrue(specOptions(spec).forceInput);
}

export function isSocketless(spec: InputSpec): boolean {
  return isTrue(specOptions(spec).socketless);
}

export function isMadeByBrowser(spec: InputSpec): boolean {
  return BROWSER_TYPES.has(widgetType(spec));
}

export function isMultiline(spec: InputSpec): boolean {
  return widgetType(spec) === 'STRING' && isTrue(specOptions(spec).multiline);
}

/** How many widgets follow that say what becomes of the value after a run: a control, for combos a filter too. */
export function controlNames(name: string, spec: InputSpec): readonly string[] {
  const type = widgetType(spec);
  if (type !== 'INT' && type !== 'FLOAT' && type !== 'COMBO') return [];
  const isSeed = type === 'INT' && (name === 'seed' || name === 'noise_seed');
  if (!isSeed && !isTrue(specOptions(spec).control_after_generate)) return [];
  return type === 'COMBO'
    ? ['control_after_generate', 'control_filter_list']
    : ['control_after_generate'];
}

export function hasUploadButton(spec: InputSpec): boolean {
  const options = specOptions(spec);
  return (
    widgetType(spec) === 'COMBO' && UPLOAD_OPTIONS.some((name) => isTrue(getOwn(options, name)))
  );
}

/** What a fresh node has; undefined for a combo without choices. */
export function defaultValue(spec: InputSpec): JsonValue | undefined {
  const given = getOwn(specOptions(spec), 'default');
  if (given !== undefined && given !== null) return given;
  switch (widgetType(spec)) {
    case 'INT':
    case 'FLOAT':
      return 0;
    case 'BOOLEAN':
      return false;
    case 'STRING':
    case 'MARKDOWN':
    case 'TEXTAREA':
    case 'PAINTER':
      return '';
    case 'COMBO':
      return choicesOf(spec)?.[0];
    case 'COMFY_DYNAMICCOMBO_V3':
      return dynamicOptions(spec)[0]?.key;
    default:
      return undefined;
  }
}

/** One choice of a dynamic combo with the inputs that come with it. */
export interface DynamicOption {
  readonly key: JsonValue | undefined;
  readonly inputs: readonly OrderedInput[];
}

export function dynamicOptions(spec: InputSpec): readonly DynamicOption[] {
  const options = getOwn(specOptions(spec), 'options');
  if (!isList(options)) return [];
  return options.filter(isJsonObject).map((option) => ({
    key: getOwn(option, 'key'),
    inputs: listOptionInputs(getOwn(option, 'inputs')),
  }));
}

function listOptionInputs(lists: JsonValue | undefined): readonly OrderedInput[] {
  if (!isJsonObject(lists)) return [];
  return (['required', 'optional'] as const).flatMap((section) => {
    const members = getOwn(lists, section);
    if (!isJsonObject(members)) return [];
    return Object.entries(members).map(([name, spec]) => ({ name, spec: readSpec(spec), section }));
  });
}

/** A number's limits as the editor reads them. */
export function numberOption(options: JsonObject, name: string): number | undefined {
  const value = getOwn(options, name);
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
}

export function isTrue(option: JsonValue | undefined): boolean {
  return (
    option !== undefined && option !== null && option !== false && option !== 0 && option !== ''
  );
}

/** What the text area of a browser makes of any value. */
export function showAsText(value: JsonValue): string {
  if (value === null) return '';
  if (isList(value)) return value.map((item) => showAsText(item)).join(',');
  return isJsonObject(value) ? '[object Object]' : String(value);
}
