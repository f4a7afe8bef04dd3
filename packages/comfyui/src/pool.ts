import { isJsonObject, mergeModelLists, parseJson, type PromptRejection } from '@tiercel/contracts';
import { mergeObjectInfo } from '@tiercel/graph';
import { type AttemptRequest, JobError, serviceError, type Support } from '@tiercel/routing';
import { rememberLast } from '@tiercel/runtime';
import type { Candidate } from './choose-server.ts';
import type { PoolOffer } from './create-comfyui-backend.ts';
import { findPrompt } from './find-prompt.ts';
import type { PoolServer } from './pool-server.ts';
import { findObstacle } from './requirements.ts';

/** Where an attempt's prompt is: written on the job before it is sent. */
export interface Note {
  readonly server: string;
  readonly id: string;
  /** Where its frames go; undefined in a note of an earlier version. */
  readonly clientId: string | undefined;
}

export function readNote(text: string | undefined): Note | undefined {
  if (text === undefined) return undefined;
  const note = parseJson(text);
  if (!isJsonObject(note)) return undefined;
  const { server, id, clientId } = note;
  if (typeof server !== 'string' || typeof id !== 'string') return undefined;
  return { server, id, clientId: typeof clientId === 'string' ? clientId : undefined };
}

export function describe(server: PoolServer): Candidate {
  const { url, isHealthy, abilities, lastModels } = server;
  return { url, isHealthy, abilities, lastModels };
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

/** Whether the server has the prompt: running, waiting, or ended. */
export async function isThere(server: PoolServer, id: string): Promise<boolean> {
  return (await findPrompt(server.client, id)).kind !== 'nowhere';
}

/** What only the server could know: the prompt is at fault, and no other tier is asked. */
export function rejectionError(rejection: PromptRejection): JobError {
  const [nodeId, first] = Object.entries(rejection.node_errors)[0] ?? [];
  const reasons = Object.entries(rejection.node_errors).flatMap(([id, { errors }]) =>
    errors.map(({ message, details }) => `node ${id}: ${message}: ${details}`),
  );
  const message = [rejection.error.message, ...reasons].join('\n');
  return new JobError('node_failed', {
    ...serviceError('node_failed', `${message}\n`).details,
    node_id: nodeId ?? '',
    node_type: first?.class_type ?? '',
    exception_type: rejection.error.type,
    node_errors: rejection.node_errors,
  });
}

/**
 * What a pool offers. Classes and models of a server that is away stay on offer: its jobs wait for it or for
 * another. The catalogue is merged anew only when that of a server has changed.
 */
export function createOfferDescriber(): (pool: readonly PoolServer[]) => PoolOffer {
  const merge = rememberLast(mergeObjectInfo);
  return (pool) => {
    const known = pool.flatMap((server) =>
      server.abilities === undefined
        ? []
        : [{ url: server.url, isHealthy: server.isHealthy, ...server.abilities }],
    );
    const up = known.filter(({ isHealthy }) => isHealthy);
    return {
      objectInfo: merge(known.map(({ objectInfo }) => objectInfo)),
      models: mergeModelLists(known.map(({ models }) => models)),
      embeddings: union(known.map(({ embeddings }) => embeddings)),
      extensions: union(known.map(({ extensions }) => extensions)),
      devices: up.flatMap(({ url, devices }) =>
        devices.map((device) => ({ ...device, server: url })),
      ),
      servers: pool.map(({ url, address, isHealthy }) => ({ url, address, healthy: isHealthy })),
      systems: up.map(({ system }) => system),
      features: up.map(({ features }) => features),
      nodeReplacements: known.map(({ nodeReplacements }) => nodeReplacements),
    };
  };
}

function union(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort();
}
