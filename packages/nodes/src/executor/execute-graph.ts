import { sliceMembers } from '@tiercel/contracts';
import { createPacer } from '@tiercel/pictures';
import { raceAbort } from '@tiercel/runtime';
import { computeCacheKeys } from './cache-keys.ts';
import { type CachedResult, findCachedResults } from './node-cache.ts';
import { ExecutionInterrupted, type GraphResult } from './execution-errors.ts';
import type { ExecutionRequest } from './execution-request.ts';
import { openRunMemory } from './run-memory.ts';
import { listNeeds, runNode } from './run-node.ts';
import { createRunState } from './run-state.ts';
import { checkGraph, equipNodes, type RunnableNodes } from './runnable-nodes.ts';
import { createSchedule } from './schedule.ts';

/**
 * Runs a prompt graph with the registry's nodes; order, caching and reports as ComfyUI 0.3.64.
 * @throws GraphError when the graph cannot be run (nothing was reported then)
 * @throws NodeExecutionError when a node fails
 * @throws ExecutionInterrupted when the signal is aborted; a node that does not heed it is abandoned
 */
export async function executeGraph(request: ExecutionRequest): Promise<GraphResult> {
  const { graph, outputs, cache, listener } = request;
  const { registry, nodeOverrides } = request;
  const nodes = equipNodes(
    graph,
    registry,
    (id, classType) => nodeOverrides?.get(id) ?? registry.get(classType),
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
