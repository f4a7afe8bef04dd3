import {
  isJsonObject,
  type JsonValue,
  parseJson,
  SECRET_MEMBERS,
  type UiOutput,
  type WireEvent,
} from '@tiercel/contracts';
import { createSecretMask, NO_MASK, type SecretMask } from '@tiercel/runtime';
import type {
  AttemptListener,
  AttemptRequest,
  AttemptResult,
  Backend,
  PreviewPicture,
  StoredPicture,
  TierAttemptContext,
} from '../backend.ts';
import { AttemptError, AttemptStopped, JobError } from '../failures.ts';
import { hidePaths, hidePathsIn } from '../hide-paths.ts';

const MAX_CAUSES = 8;

/**
 * Runs an attempt so that what comes back from the backend can be shown: without the secrets of the job and of the
 * configuration, and without paths of the machine that it ran on. Here, once for all drivers, and before anything is
 * written down: what is told while it runs, the result, and the error, which history, events, the breaker's reason and
 * the log get from it. (A file's bytes are the caller's result and stay as they are.)
 * @param configMask takes the secrets of the configuration out of errors
 * @throws what the backend throws, so cleaned
 */
export async function runRedacted(
  backend: Backend,
  request: AttemptRequest,
  context: Omit<TierAttemptContext, 'mask'>,
  configMask: SecretMask,
): Promise<AttemptResult> {
  const own = listSecretsOf(request.secretsText);
  const jobMask = own.length === 0 ? NO_MASK : createSecretMask(own, SECRET_MEMBERS);
  const listener =
    jobMask === NO_MASK ? context.listener : new MaskedListener(context.listener, jobMask);
  try {
    return jobMask.value(await backend.run(request, { ...context, listener, mask: jobMask }));
  } catch (error) {
    // A server may also hold, and tell, a key of its own.
    throw cleanError(error, {
      text: (text) => configMask.text(jobMask.text(text)),
      value: (value) => configMask.value(jobMask.value(value)),
    });
  }
}

/** Every text and number in a job's secrets; of `Bearer abc` also what is behind the scheme. */
function listSecretsOf(secretsText: string | undefined): string[] {
  if (secretsText === undefined) return [];
  const leaves = (value: JsonValue): string[] => {
    if (Array.isArray(value)) return value.flatMap((item: JsonValue) => leaves(item));
    if (isJsonObject(value)) return Object.values(value).flatMap(leaves);
    if (typeof value === 'string') return [value];
    return typeof value === 'number' || typeof value === 'bigint' ? [String(value)] : [];
  };
  return leaves(parseJson(secretsText)).flatMap((text) => {
    const behindScheme = /^\w+ +(\S+)$/.exec(text)?.[1];
    return behindScheme === undefined ? [text] : [text, behindScheme];
  });
}

/** Everything that the listener is told goes through the mask; pictures are bytes and stay. */
class MaskedListener implements AttemptListener {
  readonly #listener: AttemptListener;
  readonly #mask: SecretMask;

  constructor(listener: AttemptListener, mask: SecretMask) {
    this.#listener = listener;
    this.#mask = mask;
  }

  runBegins(): void {
    this.#listener.runBegins();
  }

  cached(nodeIds: readonly string[]): void {
    this.#listener.cached(this.#mask.value(nodeIds));
  }

  nodeStarted(nodeId: string): void {
    this.#listener.nodeStarted(this.#mask.text(nodeId));
  }

  progress(
    nodeId: string,
    value: number,
    max: number,
    preview?: PreviewPicture,
    isEstimated?: boolean,
  ): void {
    this.#listener.progress(this.#mask.text(nodeId), value, max, preview, isEstimated);
  }

  executed(nodeId: string, output: UiOutput | null): void {
    this.#listener.executed(this.#mask.text(nodeId), this.#mask.value(output));
  }

  nodeFinished(nodeId: string): void {
    this.#listener.nodeFinished(this.#mask.text(nodeId));
  }

  relay(events: readonly WireEvent[], preview?: { nodeId: string; picture: PreviewPicture }): void {
    const shown =
      preview === undefined
        ? undefined
        : { nodeId: this.#mask.text(preview.nodeId), picture: preview.picture };
    this.#listener.relay(this.#mask.value(events), shown);
  }

  picture(nodeId: string, picture: StoredPicture): void {
    this.#listener.picture(this.#mask.text(nodeId), picture);
  }

  text(nodeId: string, text: string): void {
    this.#listener.text(this.#mask.text(nodeId), this.#mask.text(text));
  }
}

function cleanError(error: unknown, mask: SecretMask): unknown {
  if (error instanceof AttemptStopped) {
    const { nodeId, nodeType, executed, partial } = error;
    return new AttemptStopped(mask.value({ nodeId, nodeType, executed, partial }));
  }
  cleanChain(error, mask);
  // A vendor's own words, where the caller is told them.
  if (error instanceof AttemptError) error.message = hidePaths(error.message);
  if (!(error instanceof JobError)) return error;
  const { node_errors: nodeErrors } = error.details;
  // Replaced, not taken out and added: the members keep ComfyUI's order.
  const details = mask.value({
    ...error.details,
    exception_message: hidePaths(error.details.exception_message),
    traceback: error.details.traceback.map(hidePaths),
    current_inputs: hidePathValues(error.details.current_inputs),
    ...(nodeErrors === undefined ? {} : { node_errors: hidePathsIn(nodeErrors) }),
  });
  const { code, cause, partial } = error;
  return new JobError(code, details, { cause, partial: mask.value(partial) });
}

/** The messages of an error and of its causes, for the log; their class and whatever hangs on them stay. */
function cleanChain(error: unknown, mask: SecretMask): void {
  let one = error;
  for (let depth = 0; depth < MAX_CAUSES && one instanceof Error; depth += 1) {
    const { message, stack } = one;
    try {
      one.message = mask.text(message);
      if (stack !== undefined) one.stack = mask.text(stack);
    } catch {
      // A frozen error of a plug-in: it is not ours to change, and it knows no secrets.
    }
    one = one.cause;
  }
}

/** An input that is a path as a whole was made by another node; a text that mentions one is the caller's own. */
function hidePathValues(inputs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isPath = (value: unknown): boolean =>
    typeof value === 'string' && /^(?:\/|[A-Za-z]:[\\/]|\\\\)[^\n]*$/.test(value);
  const hide = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(hide);
    return isPath(value) ? hidePaths(String(value)) : value;
  };
  return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, hide(value)]));
}
