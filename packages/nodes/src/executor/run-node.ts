import { isAppError, stringifyJson } from '@tiercel/contracts';
import { pictureKind } from '@tiercel/graph';
import { MemoryLimitError, PictureError } from '@tiercel/pictures';
import { raceAbort } from '@tiercel/runtime';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeValue, isSketch } from '../values.ts';
import {
  type NodeContext,
  NodeError,
  type NodeInputs,
  type NodeResult,
} from '../node-definition.ts';
import { ExecutionInterrupted, NodeExecutionError } from './execution-errors.ts';
import type { ExecutionRequest } from './execution-request.ts';
import type { CachedResult } from './node-cache.ts';
import type { RunMemory } from './run-memory.ts';
import type { RunState } from './run-state.ts';
import type { RunnableNode } from './runnable-nodes.ts';
import { joinResults, listValues, splitCalls } from './value-lists.ts';

/** Where pictures lie that nodes send to sockets. */
const SENT_PICTURES = 'sent/picture';

/** What the platform's timers can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The run that a node belongs to. */
export interface NodeRun {
  readonly request: ExecutionRequest;
  readonly state: RunState;
  readonly memory: RunMemory;
}

/**
 * Runs one node.
 * @throws NodeExecutionError whatever the node throws or returns wrongly
 * @throws ExecutionInterrupted as soon as the run is aborted, even if the node goes on
 */
export async function runNode(node: RunnableNode, run: NodeRun): Promise<CachedResult> {
  const { request, state, memory } = run;
  const { signal } = request;
  const isAborted = () => signal.aborted; // asked again after each await
  if (isAborted()) throw new ExecutionInterrupted(node, state.result());
  const call = createContext(node, run);
  let inputs: NodeInputs = {};
  const work = async () => {
    inputs = gatherInputs(node, request, state);
    if (isLazy(node)) askNeeds(node, inputs); // one that cannot say what it needs has failed
    const results: NodeResult[] = [];
    for (const given of splitCalls(inputs, node.definition)) {
      const validity = await node.definition.validate?.(given);
      if (validity !== undefined && validity !== true) {
        throw new NodeError(`Custom validation failed: ${validity}`, {
          exceptionType: 'ValueError',
        });
      }
      results.push(checkResult(await node.definition.run(given, call.context), node));
    }
    return joinResults(results, node);
  };
  try {
    const running = work();
    memory.follow(running);
    const { outputs, ui } = await raceAbort(running, signal);
    const sketch = state.takesSketch(node) || outputs.some(isSketch);
    const result = { outputs, ui: ui && Object.keys(ui).length > 0 ? ui : undefined, sketch };
    // What a node has made counts even if it did not ask.
    await memory.settle(state.heldBytesWith(result));
    return result;
  } catch (error) {
    if (isAborted()) throw new ExecutionInterrupted(node, state.result());
    throw describeFailure(error, { node, inputs, state });
  } finally {
    call.close();
  }
}

/** Ids of nodes whose results this one turns out to need, of those that it is linked to lazily. */
export function listNeeds(
  node: RunnableNode,
  request: ExecutionRequest,
  state: RunState,
): readonly string[] {
  if (!isLazy(node)) return [];
  try {
    const needed = askNeeds(node, readInputs(node, request, state));
    return node.links
      .filter(({ lazy, input }) => lazy && needed.has(input))
      .map(({ from }) => from);
  } catch {
    return []; // its run meets the same trouble, and reports it
  }
}

function isLazy({ links }: RunnableNode): boolean {
  return links.some(({ lazy }) => lazy);
}

function askNeeds({ definition }: RunnableNode, inputs: NodeInputs): ReadonlySet<string> {
  const calls = splitCalls(inputs, definition);
  return new Set(calls.flatMap((given) => definition.needs?.(given) ?? []));
}

function gatherInputs(node: RunnableNode, request: ExecutionRequest, state: RunState): NodeInputs {
  const inputs = readInputs(node, request, state);
  const lazy = new Set(node.links.filter((link) => link.lazy).map(({ input }) => input));
  for (const name of listRequired(node, request)) {
    if (Object.hasOwn(inputs, name) || lazy.has(name)) continue;
    throw new NodeError(`Required input is missing: ${name}`, { exceptionType: 'TypeError' });
  }
  return inputs;
}

/** What the node is given: values, results of nodes that have run, hidden inputs. */
function readInputs(node: RunnableNode, request: ExecutionRequest, state: RunState): NodeInputs {
  if (node.problem) throw node.problem;
  const { input, takesAllInputs = false } = node.definition;
  const { hidden = {} } = input;
  const inputs = new Map<string, unknown>();
  // Values that the class does not declare (frontends send `upload: "image"`) are not given to it.
  for (const [name, value] of node.values) {
    if (takesAllInputs || node.declared.has(name)) inputs.set(name, value);
  }
  for (const link of node.links) {
    if (!link.lazy || state.isMade(link.from)) inputs.set(link.input, state.follow(link));
  }
  for (const [name, kind] of Object.entries(hidden)) {
    if (kind === 'UNIQUE_ID') inputs.set(name, node.id);
    else inputs.set(name, kind === 'PROMPT' ? request.promptText : (request.extraPnginfo ?? null));
  }
  return Object.fromEntries(inputs);
}

/** What runs in the place of a node wants no more than it says. */
function listRequired(
  { classType, definition, declared }: RunnableNode,
  request: ExecutionRequest,
) {
  if (definition !== request.registry.get(classType)) {
    return Object.keys(definition.input.required ?? {});
  }
  const inputs = [...declared.values()];
  return inputs.filter(({ section }) => section === 'required').map(({ name }) => name);
}

/** A plug-in may return anything. */
function checkResult(result: unknown, node: RunnableNode): NodeResult {
  const isResult =
    typeof result === 'object' &&
    result !== null &&
    'outputs' in result &&
    Array.isArray(result.outputs);
  if (!isResult) {
    throw new NodeError(`${node.classType} must return { outputs: [...] }.`, {
      exceptionType: 'TypeError',
    });
  }
  const { ui } = result as { ui?: unknown };
  if (ui !== undefined && ui !== null && !isUi(ui)) {
    throw new NodeError(`${node.classType} must show lists of JSON values by name (ui).`, {
      exceptionType: 'TypeError',
    });
  }
  return result as NodeResult; // `outputs` and `ui` were checked
}

/** `{name: [...]}`, and writable as JSON: it goes into frames and into history. */
function isUi(ui: unknown): boolean {
  if (typeof ui !== 'object' || ui === null || !Object.values(ui).every(Array.isArray))
    return false;
  try {
    stringifyJson(ui);
    return true;
  } catch {
    return false;
  }
}

/** The node's context, and a switch that ends its use: an abandoned node must not report or store any more. */
function createContext(
  node: RunnableNode,
  { request, state, memory }: NodeRun,
): { context: NodeContext; close: () => void } {
  const { signal, files, listener } = request;
  let closed = false;
  const check = () => {
    if (closed || signal.aborted) throw new ExecutionInterrupted(node, state.result());
  };
  const reserveMemory = async (bytes: number) => {
    check();
    await memory.reserve(bytes);
  };
  const context: NodeContext = {
    nodeId: node.id,
    promptId: request.promptId,
    signal,
    promptText: request.promptText,
    extraPnginfo: request.extraPnginfo,
    maxPixels: request.maxPixels,
    progress(value, max, preview) {
      if (closed && !signal.aborted) return; // a straggler of a node that has already returned
      check();
      const isOwn = preview !== undefined && pictureKind(node.definition) !== 'sampling';
      listener.progress(node.id, value, max, preview && { ...preview, isOwn });
    },
    async sendPicture({ mediaType, bytes }) {
      check();
      const extension = mediaType === 'image/png' ? '.png' : '.jpg';
      const file = await files.saveOutput({
        ...{ type: 'temp', prefix: SENT_PICTURES, extension, bytes },
      });
      check();
      listener.picture(node.id, { mediaType, file });
    },
    saveOutput(output) {
      check();
      return files.saveOutput(output);
    },
    reserveMemory,
    readInput: (name) => files.readInput(name, reserveMemory),
    async sleep(durationMs) {
      check();
      // No job runs so long (queue.jobTimeoutMs); over it the timer would fire at once.
      const boundedMs = Math.min(durationMs, LONGEST_TIMER_MS);
      await sleep(boundedMs, undefined, { signal });
    },
  };
  return {
    context,
    close: () => {
      closed = true;
    },
  };
}

function describeFailure(
  error: unknown,
  run: { node: RunnableNode; inputs: NodeInputs; state: RunState },
): NodeExecutionError {
  const { node, inputs, state } = run;
  const shown = Object.entries(inputs).map(
    ([name, value]) => [name, listValues(value).map(describeValue)] as const,
  );
  return new NodeExecutionError({
    nodeId: node.id,
    nodeType: node.classType,
    exceptionMessage: error instanceof Error ? error.message : String(error),
    exceptionType: isAppError(error)
      ? error.code
      : error instanceof Error
        ? error.name
        : 'Exception',
    isSentence: error instanceof PictureError || error instanceof MemoryLimitError,
    currentInputs: Object.fromEntries(shown),
    currentOutputs: state.nodeIds,
    partial: state.result(),
    cause: error,
  });
}
