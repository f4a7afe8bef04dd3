import { isJsonObject, type JsonObject, type PromptRejection } from '@tiercel/contracts';
import {
  AttemptError,
  AttemptStopped,
  JobError,
  type PartialResult,
  serviceError,
} from '@tiercel/routing';

/** How a prompt on a server came to its end. */
export type Ending =
  { readonly kind: 'success' } | { readonly kind: 'failed'; readonly error: Error };

export function failedWith(error: unknown): Ending {
  return { kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
}

/** Out of memory on a GPU is the server's trouble, not the prompt's. */
const OUT_OF_MEMORY = /OutOfMemory/;

/** The server answers, and knows nothing of the prompt: it was restarted. */
export class LostPrompt extends AttemptError {
  constructor() {
    super('server', 'the server no longer knows the prompt');
  }
}

/** An error that is an end of the prompt; any other only means that the server did not answer. */
export function isFinal(error: unknown): boolean {
  return (
    error instanceof JobError || error instanceof LostPrompt || error instanceof AttemptStopped
  );
}

/**
 * An item of the server's history as an end. `partial` is what the prompt has shown so far.
 * @throws JobError, AttemptError or AttemptStopped when it did not succeed
 */
export function checkSucceeded(item: JsonObject, partial: PartialResult): void {
  const status = item.status;
  if (!isJsonObject(status) || status.status_str === 'success') return;
  const messages = Array.isArray(status.messages) ? status.messages : [];
  const last: unknown = messages.at(-1);
  if (Array.isArray(last) && typeof last[0] === 'string') {
    const data: unknown = last[1];
    throw toEndingError(last[0], (data ?? {}) as Record<string, unknown>, partial);
  }
  throw new AttemptError('bad_output', 'the server kept no reason for a failed prompt');
}

/**
 * Whether an `execution_error` only tells that a branch is blocked (a node gave an ExecutionBlocker with a
 * message): the prompt goes on with its other branches and may well succeed. Raised exceptions have this type
 * only with their module before it.
 */
export function isBlockedBranch(type: string, data: object): boolean {
  if (type !== 'execution_error') return false;
  return 'exception_type' in data && data.exception_type === 'ExecutionBlocked';
}

/** What `execution_error` or `execution_interrupted` of a server means for the job. */
export function toEndingError(
  type: string,
  data: Readonly<Record<string, unknown>>,
  partial: PartialResult,
): Error {
  const at = {
    node_id: textOf(data.node_id),
    node_type: textOf(data.node_type),
    executed: listOf(data.executed),
  };
  if (type === 'execution_interrupted') {
    const { node_id: nodeId, node_type: nodeType, executed } = at;
    return new AttemptStopped({ nodeId, nodeType, executed, partial });
  }
  const exceptionType = textOf(data.exception_type);
  if (OUT_OF_MEMORY.test(exceptionType)) {
    return new AttemptError('capacity', `out of memory at node ${at.node_id}`);
  }
  return new JobError(
    'node_failed',
    {
      ...at,
      exception_message: textOf(data.exception_message),
      exception_type: exceptionType,
      traceback: listOf(data.traceback),
      current_inputs: (data.current_inputs ?? {}) as Record<string, unknown>,
      current_outputs: listOf(data.current_outputs),
    },
    { partial },
  );
}

/** What only the server could know: the prompt is at fault, and no other tier is asked. */
export function rejectionError(rejection: PromptRejection): JobError {
  const [nodeId, first] = Object.entries(rejection.node_errors)[0] ?? [];
  const reasons = Object.entries(rejection.node_errors).flatMap(([id, { errors }]) =>
    errors.map(({ message, details }) => `node ${id}: ${message}: ${details}`),
  );
  const message = [rejection.error.message, ...reasons].join('\n');
  return new JobError('node_failed', {
    ...serviceError('node_failed', `${message}\n`).details,
    node_id: nodeId ?? '',
    node_type: first?.class_type ?? '',
    exception_type: rejection.error.type,
    node_errors: rejection.node_errors,
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
