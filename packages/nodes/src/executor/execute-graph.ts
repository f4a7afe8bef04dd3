import { sliceMembers, type NewOutput, type OutputRef, type UiOutput } from '@tiercel/contracts';
import type { GraphNodes } from '@tiercel/graph';
import { createPacer, type MemoryBudget } from '@tiercel/pictures';
import { raceAbort } from '@tiercel/runtime';
import type { NodeDefinition, ReportedPreview } from '../node-definition.ts';
import type { NodeRegistry } from '../registry.ts';
import { computeCacheKeys } from './cache-keys.ts';
import { findCachedResults } from './cached-results.ts';
import { ExecutionInterrupted, type GraphResult } from './execution-errors.ts';
import type { CachedResult, NodeCache } from './node-cache.ts';
import { openRunMemory } from './run-memory.ts';
import { listNeeds, runNode } from './run-node.ts';
import { createRunState } from './run-state.ts';
import { checkGraph, equipNodes, type RunnableNodes } from './runnable-nodes.ts';
import { createSchedule } from './schedule.ts';

/** Told what happens, in order. Composing ComfyUI's frames from it is the caller's part. */
export interface ExecutorListener {
  /** Once, before anything else: every node of the prompt whose result is in the cache. */
  cached(nodeIds: readonly string[]): void;
  nodeStarted(nodeId: string): void;
  progress(nodeId: string, value: number, max: number, preview?: ReportedPreview): void;
  /** A node sent a picture as its result; it is stored. */
  picture(nodeId: string, picture: StoredNodePicture): void;
  /** A node showed something. From the cache, `ui` may be null and nodeStarted was not called. */
  executed(nodeId: string, ui: UiOutput | null, fromCache: boolean): void;
  nodeFinished(nodeId: string): void;
}

export interface StoredNodePicture {
  readonly mediaType: 'image/jpeg' | 'image/png';
  readonly file: OutputRef;
}

/** The only way to files. Names are annotated as in ComfyUI: `name.png [input]`. */
export interface NodeFiles {
  saveOutput(output: NewOutput): Promise<OutputRef>;
  /** @param beforeRead told the size in bytes of the file; it is read when that resolves */
  readInput(
    annotatedName: string,
    beforeRead?: (sizeBytes: number) => Promise<void>,
  ): Promise<Uint8Array>;
  /** A cache key for an input file; rejects when it does not exist. */
  fingerprint(annotatedName: string): Promise<string>;
  outputExists(output: OutputRef): Promise<boolean>;
}

export interface ExecutionRequest {
  readonly promptId: string;
  /** Read from what contracts' parseJson gives, so that 64-bit integers are bigints. */
  readonly graph: GraphNodes;
  /** The same graph as the caller wrote it. */
  readonly promptText: string;
  readonly extraPnginfo: string | undefined;
  /** Ids of the output nodes to execute. */
  readonly outputs: readonly string[];
  readonly registry: NodeRegistry;
  /** Run in place of what the registry has, by node id. */
  readonly standIns?: ReadonlyMap<string, NodeDefinition>;
  readonly cache: NodeCache;
  readonly files: NodeFiles;
  readonly signal: AbortSignal;
  readonly maxPixels: number;
  /** What all jobs of the process may take for their pictures. */
  readonly memory: MemoryBudget;
  readonly listener: ExecutorListener;
}

/**
 * Runs a prompt graph with the registry's nodes; order, caching and reports as ComfyUI 0.3.64.
 * @throws GraphError when the graph cannot be run (nothing was reported then)
 * @throws NodeExecutionError when a node fails
 * @throws ExecutionInterrupted when the signal is aborted; a node that does not heed it is abandoned
 */
export async function executeGraph(request: ExecutionRequest): Promise<GraphResult> {
  const { graph, outputs, cache, listener } = request;
  const { registry, standIns } = request;
  const nodes = equipNodes(
    graph,
    registry,
    (id, classType) => standIns?.get(id) ?? registry.get(classType),
  );
  checkGraph(graph, nodes, outputs);
  const { keys, cached } = await prepare(request, nodes);
  listener.cached([...cached.keys()]);

  const memory = openRunMemory(request.memory, request.signal);
  try {
    const state = createRunState(nodes, outputs, cached);
    const schedule = createSchedule(nodes, outputs, (id) => cached.has(id));
    const pace = createPacer();
    for (let id = schedule.next(); id !== undefined; id = schedule.next()) {
      const node = nodes.get(id);
      if (!node) break; // checkGraph has seen every scheduled node
      const key = keys.get(id);
      // Looked up again: an equal node of this prompt, or another job, may have run meanwhile.
      const known = cached.get(id) ?? (key === undefined ? undefined : cache.get(key));
      if (known) {
        listener.executed(id, known.ui ?? null, true);
        state.record(node, known, 'cached');
      } else if (schedule.defer(id, listNeeds(node, request, state))) {
        continue;
      } else {
        listener.nodeStarted(id);
        const result = await runNode(node, { request, state, memory });
        if (key !== undefined) cache.set(key, result);
        state.markExecuted(id);
        if (result.ui) listener.executed(id, result.ui, false);
        state.record(node, result, 'made');
      }
      await memory.settle(state.heldBytes);
      listener.nodeFinished(id);
      schedule.finish(id);
      const pause = pace();
      if (pause) await pause;
    }
    return state.result();
  } finally {
    memory.close();
  }
}

/** Cache keys and cached results; plug-ins take part (fingerprint), so this too ends at an abort. */
async function prepare(
  request: ExecutionRequest,
  nodes: RunnableNodes,
): Promise<{ keys: Map<string, string>; cached: Map<string, CachedResult> }> {
  const { files, promptText, cache, signal } = request;
  const work = async () => {
    const keys = await computeCacheKeys(nodes, {
      promptText,
      fingerprintInput: (name) => files.fingerprint(name),
    });
    // In the order the caller wrote the nodes: a JavaScript object would sort numeric ids.
    const ids = [...sliceMembers(promptText).keys()].filter((id) => nodes.has(id));
    const cached = await findCachedResults(ids, keys, cache, (output) =>
      files.outputExists(output),
    );
    return { keys, cached };
  };
  try {
    return await raceAbort(work(), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new ExecutionInterrupted(null, { outputs: {}, meta: {}, executed: [], sketch: false });
  }
}
