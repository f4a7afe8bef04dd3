import type { InputSpec, JsonObject, JsonValue, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { takesAnyFile } from './combo-choices.ts';
import {
  checkedFileKind,
  expandInputs,
  hasDynamicInputs,
  inputSpecs,
  isJudgedByServer,
  specOptions,
  type DeclaredInput,
} from './input-specs.ts';
import { isList } from './python-text.ts';

/** An input with everything that checking a value needs, worked out once. */
export interface CompiledInput {
  readonly name: string;
  /** What ComfyUI calls it when it is missing: of a class with dynamic inputs only the last part. */
  readonly shownName: string;
  readonly required: boolean;
  /** A type name, or the choices of a combo. */
  readonly type: InputSpec[0];
  /** ComfyUI's `input_config`: the pair `[type, options]`. */
  readonly config: readonly [InputSpec[0], JsonObject];
  readonly min: JsonValue | undefined;
  readonly max: JsonValue | undefined;
  readonly choices: Choices | undefined;
  /** The kind of file that must exist under this name; undefined when the input names none. */
  readonly file: CheckedFile | undefined;
}

interface CheckedFile {
  readonly kind: string;
  /** The files that the catalogue lists for the input; undefined when only the server knows them. */
  readonly listed: readonly JsonValue[] | undefined;
}

export interface Choices {
  readonly values: readonly JsonValue[];
  /** The string values again, for lists of thousands of model files. */
  readonly names: ReadonlySet<JsonValue>;
  /** A list of choices may be given, each checked by itself. */
  readonly several: boolean;
  /** Any text is a choice. */
  readonly anyText: boolean;
}

export interface CompiledClass {
  /**
   * The inputs of a node with these values.
   * @throws DynamicInputError
   */
  inputsOf(given: JsonObject): readonly CompiledInput[];
  /** Output types by slot. */
  readonly outputs: readonly JsonValue[];
  readonly isOutput: boolean;
}

type FindClass = (classType: string) => CompiledClass | undefined;

const finders = new WeakMap<ObjectInfo, FindClass>();

/** Looks classes up in a catalogue; each is compiled on first use and kept as long as the catalogue lives. */
export function classFinder(objectInfo: ObjectInfo): FindClass {
  let find = finders.get(objectInfo);
  if (find === undefined) {
    find = createFinder(objectInfo);
    finders.set(objectInfo, find);
  }
  return find;
}

function createFinder(objectInfo: ObjectInfo): FindClass {
  const compiled = new Map<string, CompiledClass>();
  return (classType) => {
    const known = compiled.get(classType);
    if (known !== undefined) return known;
    // Own entries only: "constructor" is not a node.
    const info = Object.hasOwn(objectInfo, classType) ? objectInfo[classType] : undefined;
    if (info === undefined) return undefined;
    const fresh = compileClass(info);
    compiled.set(classType, fresh);
    return fresh;
  };
}

function compileClass(info: NodeInfo): CompiledClass {
  return {
    inputsOf: hasDynamicInputs(info) ? compilePerNode(info) : compileOnce(info),
    // Catalogues of foreign backends may lack the list.
    outputs: isList(info.output) ? info.output : [],
    isOutput: info.output_node,
  };
}

function compileOnce(info: NodeInfo): CompiledClass['inputsOf'] {
  const inputs = inputSpecs(info).map((input) => compileInput(input, info));
  return () => inputs;
}

/** Members of dynamic inputs share their specs: what a spec needs for checking is worked out once. */
function compilePerNode(info: NodeInfo): CompiledClass['inputsOf'] {
  const compiled = new WeakMap<InputSpec, CompiledInput>();
  return (given) =>
    expandInputs(info, given).map((input) => {
      const known = compiled.get(input.spec) ?? compileInput(input, info);
      compiled.set(input.spec, known);
      const { name, section } = input;
      const shownName = name.slice(name.lastIndexOf('.') + 1);
      return { ...known, name, shownName, required: section === 'required' };
    });
}

function compileInput(input: DeclaredInput, info: NodeInfo): CompiledInput {
  const { name, spec, section } = input;
  const type = spec[0];
  const options = specOptions(spec);
  const isJudged = isJudgedByServer(info, input);
  const kind = isJudged ? undefined : checkedFileKind(info, input);
  const choices = readChoices(type, options);
  // ComfyUI skips these checks for an input that the class's own VALIDATE_INPUTS takes, as LoadImage does.
  const checked = kind === undefined && !isJudged;
  return {
    name,
    shownName: name,
    type,
    required: section === 'required',
    config: [type, options],
    min: checked ? readBound(options, 'min', type) : undefined,
    max: checked ? readBound(options, 'max', type) : undefined,
    choices: checked && choices ? { ...choices, anyText: takesAnyFile(spec) } : undefined,
    file: kind === undefined ? undefined : { kind, listed: choices?.values },
  };
}

function readChoices(
  type: InputSpec[0],
  options: JsonObject,
): Omit<Choices, 'anyText'> | undefined {
  let values: JsonValue | undefined;
  if (isList(type)) values = type;
  else if (type === 'COMBO') values = options.options ?? [];
  else return undefined;
  // The frontend fetches the choices of a remote combo by itself; the catalogue does not know them.
  const isRemote = options.remote !== undefined && !Object.hasOwn(options, 'options');
  if (!isList(type) && (isRemote || isSet(options.remote_combo))) return undefined;
  const list = isList(values) ? values : [];
  return { values: list, names: new Set(list), several: options.multiselect === true };
}

function isSet(option: JsonValue | undefined): boolean {
  return option !== undefined && option !== null && option !== false;
}

/** The two places where a double cannot hold what the catalogue said: 2^63 and 2^64, less one. */
const ROUNDED_BOUNDS: ReadonlyMap<JsonValue, bigint> = new Map(
  [63n, 64n].flatMap((bits): [number, bigint][] => {
    const bound = 2n ** bits - 1n;
    return [
      [Number(bound), bound],
      [-Number(bound), -bound],
    ];
  }),
);

function readBound(
  options: JsonObject,
  name: 'min' | 'max',
  type: InputSpec[0],
): JsonValue | undefined {
  if (!Object.hasOwn(options, name)) return undefined;
  const bound = options[name];
  if (type !== 'INT' || bound === undefined) return bound;
  return ROUNDED_BOUNDS.get(bound) ?? bound;
}
