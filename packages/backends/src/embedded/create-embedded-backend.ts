import { listNeeded } from '@tiercel/graph';
import {
  executeGraph,
  sketchClasses,
  type NodeCache,
  type NodeFiles,
  type NodeRegistry,
} from '@tiercel/nodes';
import type { AttemptRequest, Backend, Support } from '../backend.ts';
import { translateExecution } from './translate-execution.ts';

export interface EmbeddedBackendOptions {
  readonly name: string;
  readonly timeoutMs: number;
  readonly registry: NodeRegistry;
  readonly cache: NodeCache;
  readonly files: NodeFiles;
  /** Most pixels a node may load or make. */
  readonly maxPixels: number;
  /** False beside a tier with real models: then nodes that would be sketched are left to it. */
  readonly sketches: boolean;
}

const SKETCH_MODEL = 'tiercel-sketch';

/** The tier inside the worker: built-in nodes and plug-ins, and the sketch generator for sampling. */
export function createEmbeddedBackend(options: EmbeddedBackendOptions): Backend {
  const { name, timeoutMs, registry, cache, files, maxPixels } = options;
  return {
    name,
    driver: 'embedded',
    timeoutMs,
    isLocal: true,
    supports: (request) => findObstacle(request, options),
    async run(request, { signal, listener }) {
      try {
        const result = await executeGraph({
          promptId: request.promptId,
          graph: request.graph,
          promptText: request.promptText,
          extraPnginfo: request.extraPnginfoText,
          outputs: request.outputIds,
          registry,
          cache,
          files,
          signal,
          maxPixels,
          listener,
        });
        return {
          outputs: result.outputs,
          meta: result.meta,
          model: result.sketch ? SKETCH_MODEL : null,
          droppedParams: [],
          sketch: result.sketch,
        };
      } catch (error) {
        throw translateExecution(error);
      }
    },
  };
}

function findObstacle(request: AttemptRequest, options: EmbeddedBackendOptions): Support {
  for (const id of listNeeded(request.graph, request.outputIds)) {
    const name = request.graph[id]?.class_type ?? '';
    if (options.registry.get(name) === undefined) {
      return { ok: false, reason: `node ${id} has the unknown class ${name}` };
    }
    if (!options.sketches && sketchClasses.has(name)) {
      return { ok: false, reason: `node ${id} (${name}) wants a model` };
    }
  }
  return { ok: true };
}
