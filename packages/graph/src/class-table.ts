import type { InputSpec, JsonObject, JsonValue, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import {
  inputSpecs,
  isJudgedByServer,
  specOptions,
  uploadKind,
  type DeclaredInput,
} from './input-specs.ts';
import { isList } from './python-text.ts';

/** An input with everything that checking a value needs, worked out once. */
export interface CompiledInput {
  readonly name: string;
  readonly required: boolean;
  /** A type name, or the choices of a combo. */
  readonly type: InputSpec[0];
  /** ComfyUI's `input_config`: the pair `[type, options]`. */
  readonly config: readonly [InputSpec[0], JsonObject];
  readonly min: JsonValue | undefined;
  readonly max: JsonValue | undefined;
  readonly choices: Choices | undefined;
  /** What kind of file the input names; undefined when it names none. */
  readonly upload: string | undefined;
}

export interface Choices {
  readonly values: readonly JsonValue[];
  /** The string values again, for lists of thousands of model files. */
  readonly names: ReadonlySet<JsonValue>;
  /** A list of choices may be given, each checked by itself. */
  readonly several: boolean;
}

export interface CompiledClass {
  readonly inputs: readonly CompiledInput[];
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
  const isJudged = isJudgedByServer(info);
  return {
    inputs: inputSpecs(info).map((input) => compileInput(input, isJudged)),
    // Catalogues of foreign backends may lack the list.
    outputs: isList(info.output) ? info.output : [],
    isOutput: info.output_node,
  };
}

function compileInput({ name, spec, section }: DeclaredInput, isJudged: boolean): CompiledInput {
  const type = spec[0];
  const options = specOptions(spec);
  const upload = uploadKind(spec);
  // ComfyUI skips these checks for an input that the class's own VALIDATE_INPUTS takes, as LoadImage does.
  const checked = upload === undefined && !isJudged;
  return {
    name,
    type,
    required: section === 'required',
    config: [type, options],
    min: checked ? readBound(options, 'min', type) : undefined,
    max: checked ? readBound(options, 'max', type) : undefined,
    choices: checked ? readChoices(type, options) : undefined,
    upload,
  };
}

function readChoices(type: InputSpec[0], options: JsonObject): Choices | undefined {
  let values: JsonValue | undefined;
  if (isList(type)) values = type;
  else if (type === 'COMBO') values = options.options ?? [];
  else return undefined;
  // The frontend fetches the choices of a remote combo by itself; the catalogue does not know them.
  if (!isList(type) && options.remote !== undefined && !Object.hasOwn(options, 'options'))
    return undefined;
  const list = isList(values) ? values : [];
  return { values: list, names: new Set(list), several: options.multiselect === true };
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
