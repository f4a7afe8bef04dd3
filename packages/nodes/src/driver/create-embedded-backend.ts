import type { GraphAnalysis } from '@tiercel/graph';
import type { Backend, Support } from '@tiercel/routing';
import { sketchClasses } from '../builtins/create-builtin-nodes.ts';
import { countStoredPictures } from './count-stored-pictures.ts';
import { runInExecutor, type Executor } from './run-in-executor.ts';

export interface EmbeddedBackendOptions extends Executor {
  readonly name: string;
  readonly timeoutMs: number;
  /** False beside a tier with real models: then nodes that would be sketched are left to it. */
  readonly sketches: boolean;
}

const SKETCH_MODEL = 'tiercel-sketch';

/** The tier inside the worker: built-in nodes and plug-ins, and the sketch generator for sampling. */
export function createEmbeddedBackend(options: EmbeddedBackendOptions): Backend {
  const { name, timeoutMs } = options;
  return {
    name,
    driver: 'embedded',
    timeoutMs,
    isLocal: true,
    supports: ({ analysis }) => analysis.once(findObstacle, options),
    async run(request, context) {
      const { countPictures: count } = context;
      const filesOf = (tenant: string) => {
        const files = options.filesOf(tenant);
        return count === undefined ? files : countStoredPictures(files, count);
      };
      const result = await runInExecutor(request, context, { ...options, filesOf });
      return {
        outputs: result.outputs,
        meta: result.meta,
        model: result.sketch ? SKETCH_MODEL : null,
        droppedParams: [],
        sketch: result.sketch,
      };
    },
  };
}

function findObstacle({ needed }: GraphAnalysis, options: EmbeddedBackendOptions): Support {
  for (const { nodeId, classType } of needed.values()) {
    const node = { nodeId, classType };
    if (options.registry.get(classType) === undefined) {
      return { ok: false, reason: `node ${nodeId} has the unknown class ${classType}`, node };
    }
    if (!options.sketches && sketchClasses.has(classType)) {
      return { ok: false, reason: `node ${nodeId} (${classType}) wants a model`, node };
    }
  }
  return { ok: true };
}
