import type { ObjectInfo } from '@tiercel/contracts';
import {
  choicesOf,
  type GraphAnalysis,
  inputSpecs,
  isJudgedByServer,
  isUploadInput,
} from '@tiercel/graph';
import type { AttemptRequest, BlamedNode, Support } from '@tiercel/routing';
import type { PoolServer } from './pool-server.ts';
import type { ServerAbilities } from './server-catalogue.ts';
import type { ServerCandidate } from './slots.ts';

/** Inputs whose value names a model file; which one is loaded decides where a job is quickest. */
const MODEL_INPUT = /_name$|^(ckpt|unet|vae|clip|lora|model)/;

/** What the choice needs to know of a server. */
export interface Candidate {
  readonly url: string;
  readonly isHealthy: boolean;
  readonly abilities: ServerAbilities | undefined;
  readonly lastModels: string;
}

export interface ServerChoice {
  /** Servers that are up and can run the graph; when none surely can, those that perhaps can. */
  readonly able: readonly ServerCandidate[];
  /** Why others that are up cannot. */
  readonly obstacles: readonly string[];
}

/**
 * Which servers a graph can go to. Who has least to do is decided when a slot is taken; among equals
 * one that holds the graph's models already is better. Pure.
 */
export function chooseServers(
  graph: GraphAnalysis,
  models: string,
  candidates: readonly Candidate[],
): ServerChoice {
  const able: ServerCandidate[] = [];
  const perhaps: ServerCandidate[] = [];
  const obstacles: string[] = [];
  for (const { url, isHealthy, abilities, lastModels } of candidates) {
    if (!isHealthy || abilities === undefined) continue;
    const obstacle = graph.once(findObstacle, abilities.objectInfo);
    const candidate = { url, penalty: models !== '' && lastModels === models ? 0 : 1 };
    if (obstacle === undefined) able.push(candidate);
    else if (obstacle.isCertain) obstacles.push(obstacle.reason);
    else perhaps.push(candidate);
  }
  return { able: able.length > 0 ? able : perhaps, obstacles };
}

/**
 * Whether some server can run the graph. While none has ever answered this is not known, and the job may
 * wait for one.
 */
export function supports(request: AttemptRequest, pool: readonly PoolServer[]): Support {
  const known = pool.flatMap(({ abilities }) => (abilities === undefined ? [] : [abilities]));
  if (known.length === 0) return { ok: true };
  const obstacles = known.map(({ objectInfo }) => request.analysis.once(findObstacle, objectInfo));
  const [first] = obstacles;
  if (first === undefined || !obstacles.every((obstacle) => obstacle?.isCertain === true)) {
    return { ok: true };
  }
  return { ok: false, reason: first.reason, node: first.node };
}

interface ServerObstacle {
  readonly reason: string;
  readonly node: BlamedNode;
  /** False when the server may take the choice all the same: its extension decides, not its catalogue. */
  readonly isCertain: boolean;
}

/**
 * Why a server cannot run a graph, or undefined when it can: it must have every class, and offer every
 * choice that the graph makes (checkpoints, LoRAs, samplers). Uploaded files are brought to it.
 */
function findObstacle(
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
