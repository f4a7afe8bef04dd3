import {
  plainNode,
  type JobEvent,
  type NodeProgress,
  type ServiceReport,
  type UiOutput,
  type WireEvent,
} from '@tiercel/contracts';
import type { AttemptListener, PreviewPicture } from '@tiercel/backends';
import type { EventPublisher, EventScope } from '@tiercel/events';
import type { Clock, Logger } from '@tiercel/runtime';

/**
 * `progress_state` repeats every node seen so far. Past this many the oldest finished ones are left
 * out: a chain of 10,000 nodes would otherwise send gigabytes.
 */
const MAX_NODES_SHOWN = 64;
/**
 * Events wait so long for others, to leave in one command: a backend's frames come in many small pieces, and a
 * command costs Redis, the API and each socket more than the frames in it. Nobody sees it; ends, previews and
 * whatever somebody waits for never wait.
 */
const COLLECT_MS = 3;
/** Events collected before they are sent all the same. */
const MAX_BATCH = 256;

/**
 * Turns what a backend reports into ComfyUI's frames, in the recorded order (transcripts 01 to 07):
 * `progress_state` before `executing` and before `progress`, one accumulated state per job.
 * Events that come close together leave in one command.
 */
export class JobReporter implements AttemptListener {
  readonly #scope: EventScope;
  readonly #publisher: EventPublisher;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onVoid: () => void;
  readonly #states = new Map<string, NodeProgress>();
  #batch: WireEvent[] = [];
  #scheduled: NodeJS.Timeout | undefined;
  readonly #messages: [type: string, data: object][] = [];
  #closed = false;

  constructor(dependencies: {
    scope: EventScope;
    publisher: EventPublisher;
    clock: Clock;
    log: Logger;
    /** The run's claim is void: nothing of it is published any more. */
    onVoid: () => void;
  }) {
    this.#scope = dependencies.scope;
    this.#publisher = dependencies.publisher;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
    this.#onVoid = dependencies.onVoid;
  }

  /** `execution_start` and `execution_cached` as history keeps them. */
  get messages(): readonly (readonly [type: string, data: object])[] {
    return this.#messages;
  }

  start(timestamp: number): void {
    const data = { prompt_id: this.#scope.promptId, timestamp };
    this.#messages.push(['execution_start', data]);
    this.#add({ type: 'execution_start', data });
  }

  cached(nodeIds: readonly string[]): void {
    const data = {
      nodes: nodeIds,
      prompt_id: this.#scope.promptId,
      timestamp: this.#clock.now(),
    };
    this.#messages.push(['execution_cached', data]);
    this.#add({ type: 'execution_cached', data });
  }

  nodeStarted(nodeId: string): void {
    this.#set(nodeId, { value: 0, max: 1, state: 'running' });
    this.#add({
      type: 'executing',
      data: { node: nodeId, display_node: nodeId, prompt_id: this.#scope.promptId },
    });
  }

  progress(
    nodeId: string,
    value: number,
    max: number,
    preview?: PreviewPicture,
    isEstimated = false,
  ): void {
    if (this.#closed) return;
    if (preview !== undefined) this.#sendPreview(nodeId, preview);
    const mark = isEstimated ? ({ estimated: true } as const) : {};
    this.#set(nodeId, { value, max, state: 'running', ...mark });
    this.#add({
      type: 'progress',
      data: { value, max, prompt_id: this.#scope.promptId, node: nodeId, ...mark },
    });
    // The preview and its progress leave together: a socket orders the two by what its client announced.
    if (preview !== undefined) this.flush();
  }

  executed(nodeId: string, output: UiOutput | null): void {
    this.#add({
      type: 'executed',
      data: { node: nodeId, display_node: nodeId, output, prompt_id: this.#scope.promptId },
    });
  }

  nodeFinished(nodeId: string): void {
    const max = this.#states.get(nodeId)?.max ?? 1;
    this.#set(nodeId, { value: max, max, state: 'finished' });
  }

  relay(events: readonly WireEvent[], preview?: { nodeId: string; picture: PreviewPicture }): void {
    if (this.#closed) return;
    if (preview !== undefined) this.#sendPreview(preview.nodeId, preview.picture);
    for (const event of events) this.#push(event);
    if (preview !== undefined) this.flush();
  }

  text(nodeId: string, text: string): void {
    if (this.#closed) return;
    this.flush();
    this.#send(
      this.#publisher.publishPreview(this.#scope, {
        promptId: this.#scope.promptId,
        node: plainNode(nodeId),
        mediaType: 'text/plain',
        bytes: Buffer.from(text, 'utf8'),
      }),
    );
  }

  /** What served the job, ahead of its end. */
  served(report: ServiceReport): void {
    this.#add({ type: 'tiercel_report', data: { prompt_id: this.#scope.promptId, ...report } });
  }

  /** Nothing that a stray node says after the end is sent. */
  close(): void {
    this.flush();
    this.#closed = true;
  }

  flush(): void {
    clearTimeout(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#batch.length === 0) return;
    const events = this.#batch;
    this.#batch = [];
    const published = this.#publisher.publish(this.#scope, events);
    this.#send(
      published.then((isValid) => {
        if (!isValid) this.#onVoid();
      }),
    );
  }

  #sendPreview(nodeId: string, picture: PreviewPicture): void {
    this.flush();
    this.#send(
      this.#publisher.publishPreview(this.#scope, {
        promptId: this.#scope.promptId,
        node: plainNode(nodeId),
        ...picture,
      }),
    );
  }

  #set(
    nodeId: string,
    progress: Pick<NodeProgress, 'value' | 'max' | 'state' | 'estimated'>,
  ): void {
    this.#states.set(nodeId, {
      ...progress,
      prompt_id: this.#scope.promptId,
      ...plainNode(nodeId),
    });
    if (this.#states.size > MAX_NODES_SHOWN) this.#forgetOldest(nodeId);
    this.#add({
      type: 'progress_state',
      data: { prompt_id: this.#scope.promptId, nodes: Object.fromEntries(this.#states) },
    });
  }

  #forgetOldest(except: string): void {
    for (const [nodeId, state] of this.#states) {
      if (nodeId === except || state.state !== 'finished') continue;
      this.#states.delete(nodeId);
      return;
    }
  }

  #add(event: JobEvent): void {
    this.#push(event);
  }

  #push(event: WireEvent): void {
    if (this.#closed) return;
    this.#batch.push(event);
    if (this.#batch.length >= MAX_BATCH) this.flush();
    else
      this.#scheduled ??= setTimeout(() => {
        this.flush();
      }, COLLECT_MS);
  }

  #send(sent: Promise<unknown>): void {
    sent.catch((error: unknown) => {
      this.#log.warn({ err: error }, 'events were not published');
    });
  }
}
