import type { Omittable } from '@tiercel/contracts';
import type { GraphAnalysis, SampleStage } from '@tiercel/graph';
import { type Executor, runInExecutor } from '@tiercel/nodes';
import type { AttemptRequest, AttemptResult, Backend, BlamedNode, Support } from '@tiercel/routing';
import type { ImageService, ImageWish } from './image-service.ts';
import { ServiceRun, takesInit } from './service-run.ts';
import { createNodeOverrides } from './node-overrides.ts';

export interface ServiceBackendOptions extends Executor {
  readonly name: string;
  readonly driver: string;
  readonly timeoutMs: number;
  readonly service: ImageService;
  /** Classes of things that may be left out when the service cannot honour them, where a job's plan says nothing else. */
  readonly mayOmit: ReadonlySet<Omittable>;
  /** What results are stored under beside the tier: all that decides what it paints; undefined for never. */
  readonly cacheModel: string | undefined;
  /** Checkpoint names this tier stands for; undefined for any. */
  readonly checkpoints: ReadonlySet<string> | undefined;
}

/** What decides whether a graph can be served. */
type ServiceSetup = Pick<ServiceBackendOptions, 'registry' | 'service' | 'mayOmit' | 'checkpoints'>;

/**
 * An image service as a tier: samplers are served by the service, everything before and behind them runs in the
 * embedded executor, so that the nodes of the graph report and store as with ComfyUI.
 */
export function createServiceBackend(options: ServiceBackendOptions): Backend {
  const { name, driver, timeoutMs, service, maxPixels } = options;
  const setups = new Map<string, ServiceSetup>();
  // What is asked `once` of a graph must be the same object for the same words of a plan.
  const setupFor = ({ mayOmit = [...options.mayOmit] }: AttemptRequest): ServiceSetup => {
    const words = [...new Set(mayOmit)].sort().join(' ');
    const setup = setups.get(words) ?? { ...options, mayOmit: new Set(mayOmit) };
    setups.set(words, setup);
    return setup;
  };
  return {
    name,
    driver,
    timeoutMs,
    ...(options.cacheModel === undefined ? {} : { cacheModel: options.cacheModel }),
    supports: (request) => request.analysis.once(findObstacle, setupFor(request)),
    hasOtherServer: () => service.hasOtherServer?.() ?? false,
    async run(request, context): Promise<AttemptResult> {
      const { lowering } = request.analysis;
      const run = new ServiceRun({
        ...{ service, lowering, context, timeoutMs, maxPixels },
        maySplit: request.fallback !== 'never',
      });
      const nodeOverrides = createNodeOverrides(lowering, (stage, latent, node) =>
        run.sample(stage, latent, node),
      );
      const result = await runInExecutor(request, context, options, nodeOverrides);
      return {
        outputs: result.outputs,
        meta: result.meta,
        ...run.facts(),
        omitted: lowering.obstacles.map(({ reason }) => reason),
        sketch: false,
      };
    },
  };
}

function findObstacle(
  { needed, lowering }: GraphAnalysis,
  { registry, service, mayOmit, checkpoints }: ServiceSetup,
): Support {
  const no = (reason: string, node?: BlamedNode): Support => ({
    ...{ ok: false, reason },
    ...(node && { node: { nodeId: node.nodeId, classType: node.classType } }),
  });
  if (lowering.stages.length === 0) return no('nothing in the graph samples a picture');
  const obstacle = lowering.obstacles.find(
    ({ kind }) => kind === 'custom' || kind === 'shape' || !mayOmit.has(kind),
  );
  if (obstacle !== undefined) return no(obstacle.reason, obstacle);
  const served = new Set([
    ...lowering.descriptive,
    ...lowering.passThrough.keys(),
    ...lowering.stages.map(({ nodeId }) => nodeId),
  ]);
  for (const node of needed.values()) {
    const { nodeId, classType } = node;
    if (!served.has(nodeId) && registry.get(classType) === undefined) {
      return no(`node ${nodeId} (${classType}) is of a class that only ComfyUI can run`, node);
    }
  }
  for (const stage of lowering.stages) {
    const { checkpoint } = stage.request;
    if (checkpoint !== undefined && checkpoints?.has(checkpoint) === false) {
      return no(`node ${stage.nodeId} wants the checkpoint ${checkpoint}`, stage);
    }
    const reason = service.findObstacle(toWish(stage));
    if (reason !== undefined)
      return no(`node ${stage.nodeId} (${stage.classType}): ${reason}`, stage);
  }
  return { ok: true };
}

function toWish(stage: SampleStage): ImageWish {
  return { ...stage.request, hasInit: takesInit(stage), hasMask: stage.masked };
}
