import type { JsonValue } from '@tiercel/contracts';
import type { GraphNodes } from './graph-nodes.ts';

/** How much a graph asks for, before anything is known of how long it takes. */
export interface Work {
  /** Names of its classes, each once, sorted. */
  readonly classes: readonly string[];
  /** Steps x megapixels x pictures; at least one of each. */
  readonly amount: number;
}

/**
 * Reads how much a graph asks for from the values that its nodes are given: the steps of all samplings, the largest
 * picture, the largest batch. What comes through a link counts as one.
 */
export function describeWork(nodes: GraphNodes): Work {
  const classes = new Set<string>();
  let steps = 0;
  let pixels = 0;
  let pictures = 1;
  for (const { classType, inputs } of nodes.values()) {
    classes.add(classType);
    steps += countOf(inputs.steps);
    pixels = Math.max(pixels, countOf(inputs.width) * countOf(inputs.height));
    pictures = Math.max(pictures, countOf(inputs.batch_size));
  }
  return {
    classes: [...classes].sort(),
    amount: Math.max(1, steps) * (pixels === 0 ? 1 : pixels / 1_000_000) * pictures,
  };
}

/** A whole number that counts something; 0 for anything else. */
function countOf(value: JsonValue | undefined): number {
  return typeof value === 'number' && value >= 1 && value <= 1_000_000 ? value : 0;
}
