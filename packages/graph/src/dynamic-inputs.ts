import { isJsonObject, type InputSpec, type JsonObject, type JsonValue } from '@tiercel/contracts';
import { isList, pythonEquals } from './python-text.ts';

/** Which of a class's two lists an input stands in. */
export type InputSection = 'required' | 'optional';

/** What a dynamic input makes of the values that a node has. */
interface Expansion {
  /** The node's values; a key says that an input is there, `images.image0` that one of a group is. */
  readonly given: JsonObject;
  /** Called for each input that results, in the order of the declaration. */
  add(name: string, spec: InputSpec, section: InputSection): void;
}

/** A dynamic input that refuses its values as a whole (ComfyUI's `invalid_dynamic_input`). */
export class DynamicInputError extends Error {
  readonly inputName: string;

  constructor(inputName: string, message: string) {
    super(message);
    this.name = 'DynamicInputError';
    this.inputName = inputName;
  }
}

type Expand = (name: string, spec: InputSpec, section: InputSection, into: Expansion) => void;

/** ComfyUI's own limits: names of a group that grows, rows of a group that repeats. */
const MAX_NAMES = 100;
const MAX_ROWS = 20;

/**
 * Inputs whose members depend on the node's values, as ComfyUI 0.33 expands them before it validates
 * (`get_finalized_class_inputs`). What cannot make a difference, an optional member without a value, is
 * left out.
 */
const EXPANDERS: ReadonlyMap<JsonValue, Expand> = new Map([
  ['COMFY_AUTOGROW_V3', expandAutogrow],
  ['COMFY_DYNAMICCOMBO_V3', expandCombo],
  ['COMFY_DYNAMICSLOT_V3', expandSlot],
  ['COMFY_DYNAMICGROUP_V3', expandGroup],
]);

/** Whether the input stands for others, which only a node's values tell. */
export function isDynamic(spec: InputSpec): boolean {
  return EXPANDERS.has(spec[0]);
}

/**
 * Adds an input, or what a dynamic one stands for with these values, nested ones too.
 * @param name with the names of what it is nested in (`model.images.image_1`)
 * @throws DynamicInputError
 */
export function expandInput(
  name: string,
  spec: InputSpec,
  section: InputSection,
  into: Expansion,
): void {
  const expand = EXPANDERS.get(spec[0]);
  if (expand === undefined) into.add(name, spec, section);
  else expand(name, spec, section, into);
}

/** A group of equal inputs, of which the first `min` must be there; the group itself is no input. */
function expandAutogrow(name: string, spec: InputSpec, _: InputSection, into: Expansion): void {
  const template = optionsOf(spec).template;
  if (!isJsonObject(template)) return;
  const member = firstMember(template.input);
  if (member === undefined) return;
  const min = readCount(template.min, 0);
  for (const [index, part] of memberNames(template).entries()) {
    const full = `${name}.${part}`;
    const isRequired = member.section === 'required' && index < min;
    if (!isRequired && !Object.hasOwn(into.given, full)) continue;
    into.add(full, member.spec, isRequired ? 'required' : 'optional');
  }
}

/** The names that the members of a group may have, without that of the group. */
export function memberNames({ names, prefix, max }: JsonObject): readonly string[] {
  if (isList(names)) return names.filter((part) => typeof part === 'string').slice(0, MAX_NAMES);
  if (typeof prefix !== 'string') return [];
  const count = Math.min(readCount(max, 0), MAX_NAMES);
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

/** Its first one counts, and where it stands decides whether members can be required. */
export function firstMember(
  input: JsonValue | undefined,
): { readonly section: InputSection; readonly spec: InputSpec } | undefined {
  for (const [section, , spec] of listSpecs(input)) return { section, spec };
  return undefined;
}

/**
 * The chosen option's own inputs, then the choice itself. Without a choice, or with one that is no option,
 * it is no input at all: ComfyUI then says nothing either.
 */
function expandCombo(name: string, spec: InputSpec, section: InputSection, into: Expansion): void {
  if (!Object.hasOwn(into.given, name)) return;
  const { options } = optionsOf(spec);
  const key = into.given[name] ?? null;
  const chosen = isList(options)
    ? options.find((option) => isJsonObject(option) && pythonEquals(option.key ?? null, key))
    : undefined;
  if (!isJsonObject(chosen)) return;
  expandMembers(name, chosen.inputs, into);
  into.add(name, spec, section);
}

/** Inputs that are there only while something is linked to a slot, then the slot itself. */
function expandSlot(name: string, spec: InputSpec, section: InputSection, into: Expansion): void {
  if (!Object.hasOwn(into.given, name)) return;
  expandMembers(name, optionsOf(spec).inputs, into);
  into.add(name, spec, section);
}

function expandMembers(name: string, lists: JsonValue | undefined, into: Expansion): void {
  for (const [section, part, spec] of listSpecs(lists)) {
    expandInput(`${name}.${part}`, spec, section, into);
  }
}

/** Rows of the same widgets, named `<group>.<row>.<widget>`: each row that has a value has them all. */
function expandGroup(name: string, spec: InputSpec, _: InputSection, into: Expansion): void {
  const { template, min, max } = optionsOf(spec);
  const fields = [...listSpecs(template)];
  const maxRows = Math.min(readCount(max, MAX_ROWS), MAX_ROWS);
  const rows = new Set<number>();
  for (const key of Object.keys(into.given)) {
    if (!key.startsWith(`${name}.`)) continue;
    const [, index, field] = /^(0|[1-9]\d*)\.(.*)$/s.exec(key.slice(name.length + 1)) ?? [];
    if (index === undefined || !fields.some(([, part]) => part === field)) {
      const wanted = `expected '${name}.<index>.<template field>'`;
      throw new DynamicInputError(key, `Invalid DynamicGroup input key '${key}'; ${wanted}.`);
    }
    if (Number(index) >= maxRows) {
      const limit = `the index limit of ${maxRows - 1} (max=${maxRows})`;
      throw new DynamicInputError(key, `DynamicGroup input '${key}' exceeds ${limit}.`);
    }
    rows.add(Number(index));
  }
  const minRows = readCount(min, 0);
  if (rows.size < minRows) {
    const counts = `${rows.size} rows; expected between ${minRows} and ${maxRows}`;
    throw new DynamicInputError(name, `DynamicGroup input '${name}' received ${counts}.`);
  }
  for (const row of [...rows].sort((a, b) => a - b)) {
    for (const [section, part, field] of fields) into.add(`${name}.${row}.${part}`, field, section);
  }
}

/** The inputs of nested lists, in their order. Tolerates what is none: catalogues come from others. */
function* listSpecs(
  lists: JsonValue | undefined,
): Iterable<readonly [section: InputSection, name: string, spec: InputSpec]> {
  if (!isJsonObject(lists)) return;
  for (const section of Object.keys(lists)) {
    const members = lists[section];
    if (!isSection(section) || !isJsonObject(members)) continue;
    for (const [name, spec] of Object.entries(members)) yield [section, name, readSpec(spec)];
  }
}

function isSection(name: string): name is InputSection {
  return name === 'required' || name === 'optional';
}

/** The spec itself, always the same object; any value for what is no spec. */
export function readSpec(spec: unknown): InputSpec {
  if (!Array.isArray(spec)) return ['*'];
  const [type, options] = spec as unknown[];
  if (typeof type !== 'string' && !Array.isArray(type)) return ['*'];
  const isRecord = typeof options === 'object' && options !== null && !Array.isArray(options);
  // Both parts have just been looked at; what they hold is JSON because the catalogue is.
  return isRecord || options === undefined ? (spec as unknown as InputSpec) : [type];
}

function optionsOf(spec: InputSpec): JsonObject {
  return spec[1] ?? {};
}

function readCount(value: JsonValue | undefined, missing: number): number {
  return typeof value === 'number' && value >= 0 ? Math.floor(value) : missing;
}
