import { AppError, type JsonObject, type NodeInfo, type ObjectInfo } from '@tiercel/contracts';
import { hasDynamicInputs, inputSpecs, type DeclaredInput } from '@tiercel/graph';
import type { NodeDefinition } from './node-definition.ts';

/** The node classes a process can run. */
export interface NodeRegistry {
  /** The catalogue as /object_info serves it. */
  objectInfo(): ObjectInfo;
  get(classType: string): NodeDefinition | undefined;
  /**
   * The declared inputs that a prompt may set, by name; dynamic ones as these values make them. Empty for
   * an unknown class.
   */
  inputsOf(classType: string, given: JsonObject): DeclaredInputs;
}

export type DeclaredInputs = ReadonlyMap<string, DeclaredInput>;

const NO_INPUTS: DeclaredInputs = new Map();

/** @throws AppError node_plugin_invalid when two definitions have the same class_type */
export function createRegistry(definitions: readonly NodeDefinition[]): NodeRegistry {
  const classes = new Map<string, RegisteredClass>();
  const catalogue: [string, NodeInfo][] = [];
  for (const definition of definitions) {
    const { class_type } = definition;
    if (classes.has(class_type)) {
      throw new AppError('node_plugin_invalid', `The node class ${class_type} is defined twice.`);
    }
    const info = toNodeInfo(definition);
    classes.set(class_type, { definition, inputsOf: createReader(info) });
    catalogue.push([class_type, info]);
  }
  const objectInfo = Object.fromEntries(catalogue);
  return {
    objectInfo: () => objectInfo,
    get: (classType) => classes.get(classType)?.definition,
    inputsOf: (classType, given) => classes.get(classType)?.inputsOf(given) ?? NO_INPUTS,
  };
}

interface RegisteredClass {
  readonly definition: NodeDefinition;
  inputsOf(given: JsonObject): DeclaredInputs;
}

function createReader(info: NodeInfo): RegisteredClass['inputsOf'] {
  const read = (given: JsonObject) =>
    new Map(inputSpecs(info, given).map((input) => [input.name, input]));
  if (hasDynamicInputs(info)) return read;
  const inputs = read({});
  return () => inputs;
}

/** An object_info entry, members in ComfyUI's order (wire 10.2). */
function toNodeInfo(definition: NodeDefinition): NodeInfo {
  const { class_type, input, output } = definition;
  return {
    input,
    input_order: Object.fromEntries(
      Object.entries(input).map(([section, specs]) => [section, Object.keys(specs)]),
    ),
    output,
    output_is_list: definition.output_is_list ?? output.map(() => false),
    output_name: definition.output_name ?? output,
    name: class_type,
    display_name: definition.display_name ?? class_type,
    description: definition.description ?? '',
    python_module: definition.python_module ?? 'nodes',
    category: definition.category ?? 'sd',
    output_node: definition.output_node ?? false,
    ...(definition.is_input_list && { is_input_list: true }),
    ...definition.info,
  };
}
