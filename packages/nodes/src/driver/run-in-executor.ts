import { isAppError, sliceMembers } from '@tiercel/contracts';
import {
  type AttemptContext,
  AttemptError,
  type AttemptRequest,
  AttemptStopped,
  JobError,
  serviceError,
} from '@tiercel/routing';
import { executeGraph } from '../executor/execute-graph.ts';
import {
  ExecutionInterrupted,
  GraphError,
  NodeExecutionError,
  type GraphResult,
} from '../executor/execution-errors.ts';
import type { ExecutionRequest, NodeFiles } from '../executor/execution-request.ts';
import type { NodeCache } from '../executor/node-cache.ts';

/** What the executor of a process runs with; the same for every job. */
export interface Executor extends Pick<ExecutionRequest, 'registry' | 'maxPixels' | 'memory'> {
  readonly cache: NodeCache;
  readonly filesOf: (tenant: string) => NodeFiles;
}

/**
 * Runs a job's graph here.
 * @param nodeOverrides what runs in place of some of its nodes, by node id
 * @throws JobError, AttemptStopped, AttemptError of a service behind a node, or an error of ours
 */
export async function runInExecutor(
  request: AttemptRequest,
  { signal, listener }: Pick<AttemptContext, 'signal' | 'listener'>,
  { registry, cache, filesOf, maxPixels, memory }: Executor,
  nodeOverrides?: ExecutionRequest['nodeOverrides'],
): Promise<GraphResult> {
  try {
    return await executeGraph({
      promptId: request.promptId,
      graph: request.analysis.nodes,
      promptText: request.promptText,
      extraPnginfo: sliceMembers(request.extraDataText).get('extra_pnginfo'),
      outputs: request.outputIds,
      ...(nodeOverrides === undefined ? {} : { nodeOverrides }),
      cache: cache.of(request.tenant),
      files: filesOf(request.tenant),
      ...{ registry, maxPixels, memory, signal, listener },
    });
  } catch (error) {
    throw translateExecution(error);
  }
}

function isStorageFailure(error: unknown): boolean {
  return isAppError(error) && error.code === 'storage_unavailable';
}

/** The executor's errors in the words of the tiers; anything else is an error of ours. */
function translateExecution(error: unknown): unknown {
  if (error instanceof ExecutionInterrupted) {
    const { nodeId, nodeType, executed, partial } = error;
    return new AttemptStopped({ nodeId, nodeType, executed, partial });
  }
  if (error instanceof NodeExecutionError) {
    // A service behind a node is in trouble: not the node's fault.
    if (error.cause instanceof AttemptError) return error.cause;
    if (error.cause instanceof AttemptStopped) return error.cause;
    return new JobError(
      // Whatever the node does, its files cannot be kept now: not its fault.
      isStorageFailure(error.cause) ? 'storage_unavailable' : 'node_failed',
      {
        node_id: error.nodeId,
        node_type: error.nodeType,
        executed: error.executed,
        exception_message: error.exceptionMessage,
        exception_type: error.exceptionType,
        traceback: error.traceback,
        current_inputs: error.currentInputs,
        current_outputs: error.currentOutputs,
      },
      { cause: error, partial: error.partial },
    );
  }
  if (error instanceof GraphError) {
    return serviceError('graph_invalid', `${error.message}\n`, { cause: error });
  }
  return error;
}
