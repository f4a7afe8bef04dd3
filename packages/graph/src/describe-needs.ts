import type { GraphNodes } from './graph-nodes.ts';

/** A file that loaders of ComfyUI load. */
const MODEL_FILE = /\.(safetensors|sft|ckpt|pt|pth|bin|gguf|onnx)$/i;

/** What a worker must have to run a graph, as far as the graph itself says it. */
export interface GraphNeeds {
  /** Names of its classes, each once, sorted. */
  readonly classes: string[];
  /** Model files that it names, each once, sorted. */
  readonly models: string[];
}

/** Reads what a worker must have to run a graph. */
export function describeNeeds(nodes: GraphNodes): GraphNeeds {
  const classes = new Set<string>();
  const models = new Set<string>();
  for (const { classType, values } of nodes.values()) {
    classes.add(classType);
    for (const [, value] of values) {
      if (typeof value === 'string' && MODEL_FILE.test(value)) models.add(value);
    }
  }
  return { classes: [...classes].sort(), models: [...models].sort() };
}
