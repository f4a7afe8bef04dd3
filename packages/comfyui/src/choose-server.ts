import type { GraphAnalysis } from '@tiercel/graph';
import type { ServerAbilities } from './server-catalogue.ts';
import { findObstacle } from './requirements.ts';
import type { SlotWish } from './slots.ts';

export interface Candidate {
  readonly url: string;
  readonly isHealthy: boolean;
  readonly abilities: ServerAbilities | undefined;
  readonly lastModels: string;
}

export interface ServerChoice {
  /** Servers that are up and can run the graph; when none surely can, those that perhaps can. */
  readonly able: readonly SlotWish[];
  /** Why others that are up cannot. */
  readonly obstacles: readonly string[];
}

/**
 * Which servers a graph can go to. Who has least to do is decided when a place is taken; among equals
 * one that holds the graph's models already is better. Pure.
 */
export function chooseServers(
  graph: GraphAnalysis,
  models: string,
  candidates: readonly Candidate[],
): ServerChoice {
  const able: SlotWish[] = [];
  const perhaps: SlotWish[] = [];
  const obstacles: string[] = [];
  for (const { url, isHealthy, abilities, lastModels } of candidates) {
    if (!isHealthy || abilities === undefined) continue;
    const obstacle = graph.once(findObstacle, abilities.objectInfo);
    const wish = { url, penalty: models !== '' && lastModels === models ? 0 : 1 };
    if (obstacle === undefined) able.push(wish);
    else if (obstacle.isCertain) obstacles.push(obstacle.reason);
    else perhaps.push(wish);
  }
  return { able: able.length > 0 ? able : perhaps, obstacles };
}
