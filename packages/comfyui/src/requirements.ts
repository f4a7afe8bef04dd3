import type { ObjectInfo } from '@tiercel/contracts';
import {
  choicesOf,
  type GraphAnalysis,
  inputSpecs,
  isJudgedByServer,
  isUploadInput,
} from '@tiercel/graph';
import type { BlamedNode } from '@tiercel/routing';

/** Inputs whose value names a model file; which one is loaded decides where a job is quickest. */
const MODEL_INPUT = /_name$|^(ckpt|unet|vae|clip|lora|model)/;

export interface ServerObstacle {
  readonly reason: string;
  readonly node: BlamedNode;
  /** False when the server may take the choice all the same: its extension decides, not its catalogue. */
  readonly isCertain: boolean;
}

/**
 * Why a server cannot run a graph, or undefined when it can: it must have every class, and offer every
 * choice that the graph makes (checkpoints, LoRAs, samplers). Uploaded files are brought to it.
 */
export function findObstacle(
  { nodes }: GraphAnalysis,
  objectInfo: ObjectInfo,
): ServerObstacle | undefined {
  let doubt: ServerObstacle | undefined;
  for (const { nodeId, classType, inputs } of nodes.values()) {
    const blamed = { nodeId, classType };
    const info = Object.hasOwn(objectInfo, classType) ? objectInfo[classType] : undefined;
    if (info === undefined) {
      const reason = `node ${nodeId} has the unknown class ${classType}`;
      return { reason, node: blamed, isCertain: true };
    }
    for (const input of inputSpecs(info, inputs)) {
      const { name, spec } = input;
      const value = inputs[name];
      const choices = choicesOf(spec);
      if (choices === undefined || isUploadInput(spec) || typeof value !== 'string') continue;
      if (choices.includes(value)) continue;
      const isCertain = !isJudgedByServer(info, input);
      const reason = `node ${nodeId} asks for ${name} ${value}`;
      const obstacle = { reason, node: blamed, isCertain };
      if (isCertain) return obstacle;
      doubt ??= obstacle;
    }
  }
  return doubt;
}

/** The model files a graph names, as one key: a server that ran the same key last has them loaded. */
export function modelsKey({ nodes }: GraphAnalysis): string {
  const names: string[] = [];
  for (const { classType, values } of nodes.values()) {
    if (!/Loader/i.test(classType)) continue;
    for (const [name, value] of values) {
      if (typeof value === 'string' && MODEL_INPUT.test(name)) names.push(value);
    }
  }
  return names.sort().join('\n');
}
