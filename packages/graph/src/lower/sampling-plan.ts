import type { SampleWish, SamplingDraft } from './graph-value.ts';
import type { SampleStage } from './lowering.ts';
import type { ObstacleList } from './obstacle-list.ts';

export interface SamplingPlan {
  readonly stages: readonly SampleStage[];
  /** Samplers whose work is part of a later stage: id -> the input whose latent they pass on. */
  readonly merged: ReadonlyMap<string, string>;
}

/**
 * Makes stages of samplers. Samplers that share one schedule (a base that leaves noise, a refiner that
 * goes on) are one stage of the last one, with the request of the first and the steps of all, unless the
 * picture in between is used as well.
 * @param drafts in the order they run
 */
export function planStages(
  drafts: readonly SamplingDraft[],
  obstacles: ObstacleList,
): SamplingPlan {
  const stages: SampleStage[] = [];
  const merged = new Map<string, string>();
  const parts = new Map<SamplingDraft, { wish: SampleWish; init: SampleStage['init'] }>();
  for (const draft of drafts) {
    const { nodeId, classType, latentInput, start } = draft;
    const before = draft.goesOnFrom && parts.get(draft.goesOnFrom);
    const wish = before ? addSteps(before.wish, draft.wish.steps) : draft.wish;
    const init = before ? before.init : draft.goesOnFrom ? 'stage' : start.origin;
    if (draft.leavesNoise && draft.isContinued && !draft.isPictured) {
      parts.set(draft, { wish, init });
      merged.set(nodeId, latentInput);
      continue;
    }
    if (draft.leavesNoise && draft.isShown && !draft.isContinued) {
      obstacles.add(draft, 'shape', 'leaves noise in its picture, which image services cannot');
    }
    const { width, height, batch, masked } = start;
    const request = { ...wish, width, height, batch };
    stages.push({ nodeId, classType, latentInput, request, init, masked });
  }
  return { stages, merged };
}

function addSteps(wish: SampleWish, more: number | undefined): SampleWish {
  const isKnown = wish.steps !== undefined && more !== undefined;
  return { ...wish, steps: isKnown ? wish.steps + more : undefined };
}
