import type { ObjectInfo, PromptGraph } from '@tiercel/contracts';
import { choicesOf, inputSpecs, isUploadInput } from '@tiercel/graph';

/** Inputs whose value names a model file; which one is loaded decides where a job is quickest. */
const MODEL_INPUT = /_name$|^(ckpt|unet|vae|clip|lora|model)/;

/**
 * Why a server cannot run a graph, or undefined when it can: it must have every class, and offer every
 * choice that the graph makes (checkpoints, LoRAs, samplers). Uploaded files are brought to it.
 */
export function findObstacle(graph: PromptGraph, objectInfo: ObjectInfo): string | undefined {
  for (const [nodeId, node] of Object.entries(graph)) {
    const info = Object.hasOwn(objectInfo, node.class_type)
      ? objectInfo[node.class_type]
      : undefined;
    if (info === undefined) return `node ${nodeId} has the unknown class ${node.class_type}`;
    for (const { name, spec } of inputSpecs(info)) {
      const value = node.inputs[name];
      const choices = choicesOf(spec);
      if (choices === undefined || isUploadInput(spec) || typeof value !== 'string') continue;
      if (!choices.includes(value)) return `node ${nodeId} asks for ${name} ${value}`;
    }
  }
  return undefined;
}

/** The model files a graph names, as one key: a server that ran the same key last has them loaded. */
export function modelsKey(graph: PromptGraph): string {
  const names: string[] = [];
  for (const node of Object.values(graph)) {
    if (!/Loader/i.test(node.class_type)) continue;
    for (const [name, value] of Object.entries(node.inputs)) {
      if (typeof value === 'string' && MODEL_INPUT.test(name)) names.push(value);
    }
  }
  return names.sort().join('\n');
}
