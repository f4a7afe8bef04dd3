import type { InputSpec } from '@tiercel/contracts';
import { coerceInput, CoercionError } from '../coerce-input.ts';
import { getOwn, type GraphNode } from '../graph-nodes.ts';
import { inputSpecs } from '../input-specs.ts';
import {
  isModelSide,
  unsizedPixels,
  type Conditioning,
  type GraphValue,
  type Pixels,
  type Scalar,
} from './graph-value.ts';
import { imageClasses } from './image-classes.ts';
import type { Obstacle } from './lowering.ts';
import { nameNode, type NodeName, type ObstacleList } from './obstacle-list.ts';
import type { TextBudget } from './prompt-texts.ts';

/** What readers of one graph share. */
export interface ReaderContext {
  /** What a link carries; undefined when its source is not (yet) known. */
  readonly resolve: (from: string, slot: number) => GraphValue | undefined;
  readonly obstacles: ObstacleList;
  readonly texts: TextBudget;
  /** Told of an input that the run will not look at. */
  readonly ignore: (nodeId: string, input: string) => void;
}

/** Types of values that the embedded executor has, too. */
const PLAIN_TYPES: ReadonlySet<string> = new Set([
  ...['IMAGE', 'MASK', 'LATENT', 'INT', 'FLOAT', 'STRING', 'BOOLEAN', 'COMBO', '*'],
]);
const NO_SPECS: ReadonlyMap<string, InputSpec> = new Map();
const NO_TEXT: Conditioning = { kind: 'conditioning', text: '', guidance: undefined };

/**
 * Reads the inputs of one node, widget values coerced as the executor would. What cannot be read becomes
 * an obstacle, and undefined or the nearest thing to nothing.
 */
export class NodeReader implements NodeName {
  readonly nodeId: string;
  readonly classType: string;
  readonly texts: TextBudget;
  readonly #node: GraphNode;
  readonly #context: ReaderContext;

  constructor(node: GraphNode, context: ReaderContext) {
    this.nodeId = node.nodeId;
    this.classType = node.classType;
    this.texts = context.texts;
    this.#node = node;
    this.#context = context;
  }

  /** Whether the input is there, as a value or as a link. */
  has(input: string): boolean {
    return Object.hasOwn(this.#node.inputs, input);
  }

  /** Whether a group of inputs (`images.image_1`) has a member. */
  hasMember(group: string): boolean {
    return Object.keys(this.#node.inputs).some((input) => input.startsWith(`${group}.`));
  }

  /** Undefined for an input that is missing or that no node can take. */
  read(input: string): GraphValue | undefined {
    const link = this.#node.links.find((candidate) => candidate.input === input);
    if (link !== undefined) return this.#context.resolve(link.from, link.slot);
    const raw = getOwn(this.#node.inputs, input);
    if (raw === undefined) return undefined;
    const spec = specsOf(this.classType).get(input);
    try {
      const value = spec ? coerceInput(spec, raw) : raw;
      return value === null || typeof value === 'object' ? undefined : { kind: 'scalar', value };
    } catch (error) {
      if (error instanceof CoercionError) return undefined;
      throw error;
    }
  }

  /** What every link carries, in the order of the inputs. */
  *linked(): Iterable<GraphValue> {
    for (const { from, slot } of this.#node.links) {
      const value = this.#context.resolve(from, slot);
      if (value !== undefined) yield value;
    }
  }

  /** Nodes that are not looked into, linked to inputs that take what only a model has. */
  *foreignModels(): Iterable<NodeName> {
    for (const { input, from, slot } of this.#node.links) {
      const type = specsOf(this.classType).get(input)?.[0];
      if (typeof type !== 'string' || PLAIN_TYPES.has(type)) continue;
      const value = this.#context.resolve(from, slot);
      if (value?.kind === 'unknown') yield value;
    }
  }

  text(input: string): string | undefined {
    return this.#scalar(input, (value) => typeof value === 'string');
  }

  boolean(input: string): boolean | undefined {
    return this.#scalar(input, (value) => typeof value === 'boolean');
  }

  number(input: string): number | undefined {
    const value = this.integer(input);
    return value === undefined ? undefined : Number(value);
  }

  /** A number as it is: an INT of 64 bits keeps its digits. */
  integer(input: string): number | bigint | undefined {
    return this.#scalar(input, isNumeric);
  }

  /** Undefined, without an obstacle, when only the run can tell. */
  knownNumber(input: string): number | undefined {
    const value = this.read(input);
    return value?.kind === 'scalar' && isNumeric(value.value) ? Number(value.value) : undefined;
  }

  /** A value of the model's side: MODEL, CONDITIONING, SIGMAS and the like. */
  value<K extends GraphValue['kind']>(
    input: string,
    kind: K,
  ): Extract<GraphValue, { readonly kind: K }> | undefined {
    const value = this.read(input);
    if (value?.kind === kind) {
      return value as Extract<GraphValue, { readonly kind: K }>; // the tag was checked
    }
    if (value?.kind === 'unknown') this.#context.obstacles.addCustom(value);
    else if (value?.kind !== 'broken') this.#refuse(input);
    return undefined;
  }

  conditioning(input: string): Conditioning {
    return this.value(input, 'conditioning') ?? NO_TEXT;
  }

  checkpoint(input: string): string | undefined {
    return this.value(input, 'model')?.checkpoint;
  }

  /** A LATENT or an IMAGE; of one that only the run makes, no size. */
  pixels(input: string): Pixels {
    const value = this.read(input);
    if (value?.kind === 'pixels') return value;
    const origin = value?.kind === 'unknown' ? value.origin : 'image';
    if (value === undefined || isModelSide(value)) this.#refuse(input);
    return unsizedPixels(origin);
  }

  /** The run leaves this input alone: what it is linked to need not be made for it. */
  ignore(input: string): void {
    this.#context.ignore(this.nodeId, input);
  }

  /** @param what see ObstacleList.add */
  object(kind: Obstacle['kind'], what: string): void {
    this.#context.obstacles.add(this, kind, what);
  }

  #scalar<T extends Scalar>(input: string, isWanted: (value: Scalar) => value is T): T | undefined {
    const value = this.read(input);
    if (value?.kind === 'scalar' && isWanted(value.value)) return value.value;
    if (value?.kind === 'unknown') {
      const what = `makes the "${input}" of ${nameNode(this)} only when it runs`;
      this.#context.obstacles.add(value, 'shape', what);
    } else if (value?.kind !== 'broken') {
      this.#refuse(input);
    }
    return undefined;
  }

  #refuse(input: string): void {
    this.object('shape', `has no usable "${input}"`);
  }
}

function isNumeric(value: Scalar): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

const specsByClass = new Map<string, ReadonlyMap<string, InputSpec>>();

/** The declared inputs of a class; none for a class that is not ours. */
function specsOf(classType: string): ReadonlyMap<string, InputSpec> {
  const known = specsByClass.get(classType);
  if (known !== undefined) return known;
  const info = getOwn(imageClasses, classType);
  // Unknown classes are not remembered: callers can make up any number of them.
  if (info === undefined) return NO_SPECS;
  const specs = new Map(inputSpecs(info).map(({ name, spec }) => [name, spec]));
  specsByClass.set(classType, specs);
  return specs;
}
