import type { JsonValue } from '@tiercel/contracts';
import type { GraphNodes } from './graph-nodes.ts';

/** What a prompt asks for, as plans limit it. */
export interface Demand {
  /** Each class that it names, and the first node of that class. */
  readonly classes: readonly { readonly name: string; readonly nodeId: string }[];
  /** Of the largest picture that a node is told to make. */
  readonly pixels: number;
  /** Pictures at once: the largest batch, times the most that a batch is repeated. */
  readonly pictures: number;
}

/** A link is followed through so many nodes that only hold a value. */
const MAX_LINKS = 16;

/**
 * Reads what a prompt asks for from the values in it. Texts count as the numbers that ComfyUI makes of them, links as
 * the value of the node that they come from when that only holds one (PrimitiveInt and its kin). What nodes work out
 * while they run is not known here.
 */
export function describeDemand(nodes: GraphNodes): Demand {
  const classes = new Map<string, string>();
  let pixels = 0;
  let batch = 1;
  let repeats = 1;
  for (const { nodeId, classType, inputs } of nodes.values()) {
    if (!classes.has(classType)) classes.set(classType, nodeId);
    const read = (input: string): number => readNumber(inputs[input], nodes);
    pixels = Math.max(pixels, read('width') * read('height'), read('megapixels') * 1024 * 1024);
    batch = Math.max(batch, read('batch_size'));
    if (classType.startsWith('Repeat')) repeats = Math.max(repeats, read('amount'));
  }
  return {
    classes: [...classes].map(([name, nodeId]) => ({ name, nodeId })),
    ...{ pixels, pictures: batch * repeats },
  };
}

/** 0 for what is no number, or not known before it runs. */
function readNumber(given: JsonValue | undefined, nodes: GraphNodes): number {
  let value = given;
  for (let links = 0; Array.isArray(value) && links < MAX_LINKS; links += 1) {
    value = nodes.get(String(value[0]))?.inputs.value;
  }
  const isNumeric =
    typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string';
  const number = isNumeric ? Number(value) : 0;
  return number > 0 ? number : 0;
}
