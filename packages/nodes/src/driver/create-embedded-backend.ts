import { listNeeded } from '@tiercel/graph';
import type { AttemptRequest, Backend, Support } from '@tiercel/routing';
import { sketchClasses } from '../builtins/create-builtin-nodes.ts';
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
    supports: (request) => findObstacle(request, options),
    async run(request, context) {
      const result = await runInExecutor(request, context, options);
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

function findObstacle(request: AttemptRequest, options: EmbeddedBackendOptions): Support {
  for (const id of listNeeded(request.graph, request.outputIds)) {
    const name = request.graph[id]?.class_type ?? '';
    const node = { nodeId: id, classType: name };
    if (options.registry.get(name) === undefined) {
      return { ok: false, reason: `node ${id} has the unknown class ${name}`, node };
    }
    if (!options.sketches && sketchClasses.has(name)) {
      return { ok: false, reason: `node ${id} (${name}) wants a model`, node };
    }
  }
  return { ok: true };
}
