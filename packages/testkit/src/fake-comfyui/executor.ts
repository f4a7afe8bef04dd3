import { setTimeout as sleep } from 'node:timers/promises';
import { isLink, type JsonObject, type JsonValue, type UiOutput } from '@tiercel/contracts';
import type { Catalogue } from './catalogue.ts';
import { ExecutionOrder } from './execution-order.ts';
import type { Faults } from './faults.ts';
import type { FakeFiles } from './files.ts';
import { encodeProgressText } from './frames-out.ts';
import type { Journal } from './journal.ts';
import { NodeCache } from './node-cache.ts';
import {
  isOfKind,
  NodeFailure,
  type NodeContext,
  type NodeInputs,
  type NodeResult,
  type NodeValue,
} from './node-class.ts';
import type { FakeSettings } from './options.ts';
import { RunProgress } from './progress.ts';
import { str } from './python-text.ts';
import { Interrupted, Run, Vanished, type QueueItem, type RunResult } from './run.ts';
import type { FakeSockets } from './sockets.ts';

export interface ExecutorWorld {
  readonly settings: FakeSettings;
  readonly files: FakeFiles;
  readonly sockets: FakeSockets;
  readonly faults: Faults;
  readonly journal: Journal;
  readonly catalogue: Catalogue;
  /** Ends the server as kill -9 would. */
  readonly die: () => void;
}

const OUT_OF_MEMORY =
  'Allocation on device 0 would exceed allowed memory. (out of memory)\n' +
  'This error means you ran out of memory on your GPU.\n\n' +
  'TIPS: If the workflow worked before you might have accidentally set the batch_size to a large number.';

/** Runs prompts one at a time and tells of it as ComfyUI 0.3.64 (wire 5). */
export class Executor {
  readonly #world: ExecutorWorld;
  readonly #cache = new NodeCache();
  #run: Run | undefined;
  #checkpointInUse: string | undefined;
  /** The node a returning client is told of. */
  #currentNode: string | undefined;

  constructor(world: ExecutorWorld) {
    this.#world = world;
  }

  currentNode(sid: string): string | undefined {
    return this.#run?.sid === sid ? this.#currentNode : undefined;
  }

  interrupt(): void {
    this.#run?.interrupt();
  }

  /** The run ends without a word to anyone. */
  forget(): void {
    this.#run?.vanish();
    this.#cache.clear();
  }

  freeMemory(): void {
    this.#cache.clear();
    this.#checkpointInUse = undefined;
  }

  /** @throws Vanished when the run was forgotten */
  async execute(item: QueueItem): Promise<RunResult> {
    const { files, catalogue, journal } = this.#world;
    const run = new Run(item, this.#world);
    this.#run = run;
    try {
      const { prompt, promptId } = item;
      journal.record({ kind: 'run', promptId });
      run.emitFrame('execution_start', { prompt_id: promptId });
      this.#cache.prepare(prompt, (nodeId) => {
        const { class_type: name = '', inputs = {} } = prompt[nodeId] ?? {};
        const info = catalogue.find(name);
        const named = Object.entries(inputs).filter(([, value]) => typeof value === 'string');
        const content = name.startsWith('Load')
          ? named.map(([, value]) => files.fingerprint(value as string)) // strings, by the filter
          : [];
        return `${info?.input.hidden?.unique_id === undefined ? '' : nodeId} ${content.join()}`;
      });
      const cached = Object.keys(prompt).filter((id) => this.#cache.get(id) !== undefined);
      run.emitFrame('execution_cached', { nodes: cached, prompt_id: promptId });
      run.dieIfDue();
      const isDone = await this.#runNodes(run);
      return this.#conclude(run, isDone);
    } finally {
      this.#run = undefined;
      this.#currentNode = undefined;
    }
  }

  /** @returns whether all went well */
  async #runNodes(run: Run): Promise<boolean> {
    const { prompt, promptId, outputs } = run.item;
    const { sockets, catalogue } = this.#world;
    const classOf = (nodeId: string): string => prompt[nodeId]?.class_type ?? '';
    const order = new ExecutionOrder(prompt, outputs, {
      isOutput: (nodeId) => catalogue.find(classOf(nodeId))?.output_node === true,
      isCached: (nodeId) => this.#cache.get(nodeId) !== undefined,
    });
    const progress = new RunProgress(sockets, promptId, run.sid);
    const executed: string[] = [];
    for (let nodeId = order.next(); nodeId !== undefined; nodeId = order.next()) {
      const inputs = this.#resolveInputs(run, nodeId);
      try {
        await this.#runNode(run, nodeId, inputs, progress);
      } catch (error) {
        if (error instanceof Vanished) throw error;
        const node = { prompt_id: promptId, node_id: nodeId, node_type: classOf(nodeId), executed };
        if (error instanceof Interrupted) run.emitFrame('execution_interrupted', node, true);
        else
          run.emitFrame('execution_error', { ...node, ...describeFailure(error, inputs, prompt) });
        return false;
      }
      executed.push(nodeId);
      order.complete(nodeId);
    }
    run.dieIfDue(true);
    run.emitFrame('execution_success', { prompt_id: promptId });
    return true;
  }

  async #runNode(
    run: Run,
    nodeId: string,
    inputs: NodeInputs,
    progress: RunProgress,
  ): Promise<void> {
    const { promptId, prompt } = run.item;
    const sendExecuted = (output: UiOutput | null): void => {
      run.send('executed', { node: nodeId, display_node: nodeId, output, prompt_id: promptId });
    };
    const cached = this.#cache.get(nodeId);
    if (cached !== undefined) {
      sendExecuted(cached.ui ?? null);
      progress.finish(nodeId);
      return;
    }
    this.#currentNode = nodeId;
    progress.start(nodeId);
    run.send('executing', { node: nodeId, display_node: nodeId, prompt_id: promptId });
    await run.checkpoint();
    if (this.#world.faults.takeOutOfMemory(nodeId)) {
      throw new NodeFailure('torch.OutOfMemoryError', OUT_OF_MEMORY);
    }
    this.#world.journal.record({ kind: 'node', promptId, nodeId });
    const runner = this.#world.catalogue.runner(prompt[nodeId]?.class_type ?? '');
    const blocker = Object.values(inputs).find((value) => isOfKind(value, 'blocked'));
    const result: NodeResult =
      blocker === undefined
        ? await runner(inputs, this.#makeContext(run, nodeId, progress))
        : this.#block(run, nodeId, blocker.message);
    this.#cache.set(nodeId, { outputs: result.outputs ?? [], ui: result.ui });
    if (result.ui !== undefined) sendExecuted(result.ui);
    progress.finish(nodeId);
  }

  /** A node that gets a blocker does not run; the first one after it tells its message, and the prompt goes on. */
  #block(run: Run, nodeId: string, message: string | null): NodeResult {
    const { promptId, prompt } = run.item;
    const classType = prompt[nodeId]?.class_type ?? '';
    if (message !== null) {
      // Without a timestamp, and to everybody when the prompt has no client.
      const about = { prompt_id: promptId, node_id: nodeId, node_type: classType, executed: [] };
      const nothing = { traceback: [], current_inputs: [], current_outputs: [] };
      const exception = {
        exception_message: `Execution Blocked: ${message}`,
        exception_type: 'ExecutionBlocked',
      };
      this.#world.sockets.send('execution_error', { ...about, ...exception, ...nothing }, run.sid);
    }
    const outputs = this.#world.catalogue.find(classType)?.output ?? [];
    return { outputs: outputs.map(() => ({ kind: 'blocked', message: null })) };
  }

  #makeContext(run: Run, nodeId: string, progress: RunProgress): NodeContext {
    const { files, settings, sockets } = this.#world;
    const { promptId, prompt, extraData } = run.item;
    return {
      ...{ nodeId, promptId, prompt, extraData, files, settings },
      sleep: async (ms) => {
        if (ms > 0) await sleep(ms);
      },
      checkpoint: () => run.checkpoint(),
      progress: async (value, max, preview) => {
        await run.checkpoint();
        progress.update(nodeId, value, max, preview);
        run.countStep();
      },
      sendText: (text) => {
        sockets.sendFrame(encodeProgressText(nodeId, text));
      },
      sendMessage: (type, data, to) => {
        if (to === 'all') sockets.send(type, data);
        else run.send(type, data);
      },
      useCheckpoint: (name) => {
        const isLoaded = this.#checkpointInUse === name;
        this.#checkpointInUse = name;
        return isLoaded;
      },
    };
  }

  #resolveInputs(run: Run, nodeId: string): NodeInputs {
    const { prompt } = run.item;
    const info = this.#world.catalogue.find(prompt[nodeId]?.class_type ?? '');
    const inputs = Object.entries(prompt[nodeId]?.inputs ?? {}).map(
      ([name, value]): [string, NodeValue | undefined] =>
        isLink(value) ? [name, this.#cache.get(value[0])?.outputs[value[1]]] : [name, value],
    );
    const known: Readonly<Record<string, JsonValue | undefined>> = {
      UNIQUE_ID: nodeId,
      AUTH_TOKEN_COMFY_ORG: run.item.extraData.auth_token_comfy_org ?? null,
      API_KEY_COMFY_ORG: run.item.extraData.api_key_comfy_org ?? null,
    };
    const hidden = Object.entries(info?.input.hidden ?? {}).flatMap(([name, kind]) =>
      typeof kind === 'string' && known[kind] !== undefined ? [[name, known[kind]]] : [],
    );
    return Object.fromEntries([...inputs, ...hidden]) as NodeInputs; // pairs of such names and values
  }

  #conclude(run: Run, isDone: boolean): RunResult {
    const shown = Object.keys(run.item.prompt).flatMap((nodeId) => {
      const ui = this.#cache.get(nodeId)?.ui;
      return ui === undefined ? [] : [[nodeId, ui] as const];
    });
    const meta = shown.map(([nodeId]) => [
      nodeId,
      { node_id: nodeId, display_node: nodeId, parent_node: null, real_node_id: nodeId },
    ]);
    return {
      outputs: Object.fromEntries(shown),
      meta: Object.fromEntries(meta) as JsonObject,
      status: {
        status_str: isDone ? 'success' : 'error',
        completed: isDone,
        messages: run.messages,
      },
    };
  }
}

/** The part of an `execution_error` that tells of the exception (wire 3.9). */
function describeFailure(error: unknown, inputs: NodeInputs, prompt: object): JsonObject {
  const type = error instanceof NodeFailure ? error.type : 'RuntimeError';
  const message = error instanceof Error ? error.message : String(error);
  return {
    exception_message: `${message}\n`,
    exception_type: type,
    traceback: [
      '  File "/opt/ComfyUI/execution.py", line 496, in execute\n    output_data = await get_output_data()\n',
      `  File "/opt/ComfyUI/nodes.py", line 1, in run\n    raise ${type}\n`,
    ],
    current_inputs: Object.fromEntries(
      Object.entries(inputs).map(([name, value]) => [name, [formatInput(value)]]),
    ),
    current_outputs: Object.keys(prompt),
  };
}

function formatInput(value: NodeValue | undefined): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'object') return value;
  return 'kind' in value ? `<${str(value.kind)}>` : JSON.stringify(value);
}
