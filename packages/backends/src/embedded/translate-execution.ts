import { ExecutionInterrupted, GraphError, NodeExecutionError } from '@tiercel/nodes';
import { AttemptError, AttemptStopped, JobError, serviceError } from '../failures.ts';

/** The executor's errors in the words of the tiers; anything else is an error of ours. */
export function translateExecution(error: unknown): unknown {
  if (error instanceof ExecutionInterrupted) {
    const { nodeId, nodeType, executed, partial } = error;
    return new AttemptStopped({ nodeId, nodeType, executed, partial });
  }
  if (error instanceof NodeExecutionError) {
    // A service behind a node is in trouble: not the node's fault.
    if (error.cause instanceof AttemptError) return error.cause;
    if (error.cause instanceof AttemptStopped) return error.cause;
    return new JobError(
      'node_failed',
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
