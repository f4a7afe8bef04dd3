import { plainNode, type NodeProgress } from '@tiercel/contracts';
import type { EmittedBefore } from '@tiercel/events';

/**
 * `progress_state` repeats every node seen so far. Past this many the oldest finished ones are left
 * out: a chain of 10,000 nodes would otherwise send gigabytes.
 */
const MAX_NODES_SHOWN = 64;

type Progress = Pick<NodeProgress, 'value' | 'max' | 'state' | 'estimated'>;

interface EmittedNode {
  readonly progress: NodeProgress;
  /** The run of the job that emitted it: see `beginRun`. */
  readonly run: number;
}

/** What is to be said of a node that starts. */
export interface Start {
  /** Clients already take this node for the one that executes. */
  readonly isEmitted: boolean;
  /** Where an earlier run had brought it; undefined when no run has emitted any progress. */
  readonly from: { readonly value: number; readonly max: number } | undefined;
}

/**
 * How far clients believe a job to be, over all its runs: attempts on several tiers, servers, and workers.
 * A run begins at nothing; what clients see never goes back:
 * - a node that an earlier run has finished is finished;
 * - a node that an earlier run had brought to 12 of 20 stays there until the present run has passed it,
 *   and is emitted on the scale of its first run;
 * - a node that an earlier run was at, and the present one is not at yet, is `pending`.
 */
export class EmittedProgress {
  readonly #promptId: string;
  readonly #nodes = new Map<string, EmittedNode>();
  /** Finished nodes, also those that are not shown any more, and the run that finished each. */
  readonly #finished = new Map<string, number>();
  #executing: { readonly nodeId: string; readonly run: number } | undefined;
  #run = 0;

  constructor(promptId: string) {
    this.#promptId = promptId;
  }

  /** What runs of other workers emitted. */
  resume(before: EmittedBefore): void {
    for (const [nodeId, progress] of before.nodes) {
      this.#nodes.set(nodeId, { progress, run: this.#run });
      if (progress.state === 'finished') this.#finished.set(nodeId, this.#run);
    }
    if (before.executing !== undefined) {
      this.#executing = { nodeId: before.executing, run: this.#run };
    }
    this.beginRun();
  }

  /** What follows is emitted by another run, from its beginning. */
  beginRun(): void {
    this.#run += 1;
    for (const [nodeId, { progress, run }] of this.#nodes) {
      if (progress.state !== 'running') continue;
      this.#nodes.set(nodeId, { progress: { ...progress, state: 'pending' }, run });
    }
  }

  /** The nodes of a `progress_state`. */
  get nodes(): Readonly<Record<string, NodeProgress>> {
    return Object.fromEntries([...this.#nodes].map(([id, { progress }]) => [id, progress]));
  }

  /** Whether an earlier run has finished it: nothing that this run says of it is emitted. */
  isFinishedBefore(nodeId: string): boolean {
    return (this.#finished.get(nodeId) ?? this.#run) < this.#run;
  }

  /** @returns undefined when nothing is to be said */
  start(nodeId: string): Start | undefined {
    if (this.isFinishedBefore(nodeId)) return undefined;
    const emitted = this.#nodes.get(nodeId);
    const isEmitted = this.#executing?.nodeId === nodeId && this.#executing.run < this.#run;
    this.#executing = { nodeId, run: this.#run };
    if (emitted?.run === this.#run) return { isEmitted, from: undefined };
    if (emitted === undefined || emitted.progress.value <= 0) {
      this.#set(nodeId, { value: 0, max: 1, state: 'running' }, this.#run);
      return { isEmitted, from: undefined };
    }
    // Emitted by an earlier run until this one has passed it.
    this.#set(nodeId, { ...emitted.progress, state: 'running' }, emitted.run);
    const { value, max } = emitted.progress;
    return { isEmitted, from: { value, max } };
  }

  /**
   * @param mayGoBack what a ComfyUI server says of a node of its own: a tile upscaler has a bar for each
   *        tile. It still does not fall below what an earlier run emitted.
   * @returns what is emitted; undefined when more was emitted before
   */
  advance(
    nodeId: string,
    step: { readonly value: number; readonly max: number; readonly isEstimated: boolean },
    { mayGoBack }: { mayGoBack: boolean },
  ): Progress | undefined {
    if (this.isFinishedBefore(nodeId)) return undefined;
    const emitted = this.#nodes.get(nodeId);
    const mark = step.isEstimated ? ({ estimated: true } as const) : {};
    const isOfEarlierRun = emitted !== undefined && emitted.run < this.#run;
    if (emitted === undefined || emitted.progress.value <= 0 || (mayGoBack && !isOfEarlierRun)) {
      const { value, max } = step;
      return this.#set(nodeId, { value, max, state: 'running', ...mark }, this.#run);
    }
    const { max } = emitted.progress;
    const value = max === step.max ? step.value : Math.floor((step.value / step.max) * max);
    if (!(value >= emitted.progress.value)) return undefined; // also when it is no number
    // On another scale the server's own way back would be none on this one.
    const run = mayGoBack && max !== step.max ? emitted.run : this.#run;
    return this.#set(nodeId, { value, max, state: 'running', ...mark }, run);
  }

  /** What was emitted last of a node. */
  progressOf(nodeId: string): NodeProgress | undefined {
    return this.#nodes.get(nodeId)?.progress;
  }

  /** @returns false when nothing is to be said */
  finish(nodeId: string): boolean {
    if (this.isFinishedBefore(nodeId)) return false;
    this.#finished.set(nodeId, this.#run);
    const max = this.#nodes.get(nodeId)?.progress.max ?? 1;
    this.#set(nodeId, { value: max, max, state: 'finished' }, this.#run);
    return true;
  }

  /**
   * A server's `progress_state`: its nodes as it wrote them where they are ahead of what was emitted, and
   * those of earlier runs that it does not know.
   */
  merge(nodes: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const merged = new Map<string, unknown>();
    for (const [nodeId, given] of Object.entries(nodes)) {
      merged.set(nodeId, isProgress(given) ? this.#mergeNode(nodeId, given) : given);
    }
    for (const [nodeId, { progress, run }] of this.#nodes) {
      if (run < this.#run && !merged.has(nodeId)) merged.set(nodeId, progress);
    }
    return Object.fromEntries(merged);
  }

  #mergeNode(nodeId: string, given: NodeProgress): NodeProgress {
    if (this.isFinishedBefore(nodeId)) {
      const { max } = given;
      return this.#nodes.get(nodeId)?.progress ?? { ...given, value: max, state: 'finished' };
    }
    if (given.state === 'finished') this.#finished.set(nodeId, this.#run);
    const emitted = this.#nodes.get(nodeId);
    const isBehindEarlier =
      emitted !== undefined && emitted.run < this.#run && given.state !== 'finished';
    if (!isBehindEarlier) {
      this.#nodes.set(nodeId, { progress: given, run: this.#run });
      this.#forgetOldest(nodeId);
      return given;
    }
    const { value, max } = given;
    this.advance(nodeId, { value, max, isEstimated: false }, { mayGoBack: true });
    const { progress, run } = this.#nodes.get(nodeId) ?? emitted;
    const shown = { ...given, value: progress.value, max: progress.max };
    this.#nodes.set(nodeId, { progress: shown, run });
    return shown;
  }

  #set(nodeId: string, progress: Progress, run: number): Progress {
    const identity = this.#nodes.get(nodeId)?.progress ?? {
      prompt_id: this.#promptId,
      ...plainNode(nodeId),
    };
    // A guess that has come true is none any more.
    const { node_id, prompt_id, display_node_id, parent_node_id, real_node_id } = identity;
    this.#nodes.set(nodeId, {
      progress: {
        ...progress,
        ...{ prompt_id, node_id, display_node_id, parent_node_id, real_node_id },
      },
      run,
    });
    this.#forgetOldest(nodeId);
    return progress;
  }

  #forgetOldest(except: string): void {
    if (this.#nodes.size <= MAX_NODES_SHOWN) return;
    for (const [nodeId, { progress }] of this.#nodes) {
      if (nodeId === except || progress.state !== 'finished') continue;
      this.#nodes.delete(nodeId);
      return;
    }
  }
}

function isProgress(value: unknown): value is NodeProgress {
  if (typeof value !== 'object' || value === null) return false;
  const { value: done, max, state } = value as Partial<Record<keyof NodeProgress, unknown>>;
  return typeof done === 'number' && typeof max === 'number' && typeof state === 'string';
}
