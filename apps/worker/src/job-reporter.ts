import {
  isJsonObject,
  type JobEvent,
  type JsonValue,
  PICTURE_TYPE,
  plainNode,
  type ServiceReport,
  type UiOutput,
  type WireEvent,
} from '@tiercel/contracts';
import type { EventPublisher, EventScope, EmittedBefore } from '@tiercel/events';
import type { AttemptListener, PreviewPicture, StoredPicture } from '@tiercel/routing';
import type { Clock, Logger } from '@tiercel/runtime';
import { EmittedProgress } from './emitted-progress.ts';
import { ProgressGate } from './progress-gate.ts';

/**
 * Events wait so long for others, to leave in one command: a backend's frames come in many small pieces, and a
 * command costs Redis, the API and each socket more than the frames in it. Nobody sees it; ends, previews and
 * whatever somebody waits for never wait.
 */
const COLLECT_MS = 3;
/** Events collected before they are sent all the same. */
const MAX_BATCH = 256;

/**
 * Who is sent what a sampler previews: every socket of the client (it asked for them), only those that
 * announced their features, or nobody.
 */
export type PreviewAudience = 'all' | 'announced' | 'nobody';

/** How often previews and progress of one job may be sent, in ms; 0: as they come. It changes while jobs run. */
export interface ReporterPace {
  readonly previewIntervalMs: number;
  readonly progressIntervalMs: number;
}

/**
 * Turns what backends report into ComfyUI's frames, in the recorded order (wire 5):
 * `progress_state` before `executing` and before `progress`, one accumulated state per job, which never
 * goes back (EmittedProgress). Events that come close together leave in one command.
 */
export class JobReporter implements AttemptListener {
  readonly #scope: EventScope;
  readonly #publisher: EventPublisher;
  readonly #previews: PreviewAudience;
  readonly #pace: ReporterPace;
  readonly #onWithheld: (what: 'preview' | 'progress') => void;
  readonly #progressGate: ProgressGate;
  #previewSentAt = -Infinity;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onVoid: () => void;
  readonly #progress: EmittedProgress;
  #cachedEmitted: ReadonlySet<string> | undefined;
  /** Result pictures that were emitted, and those of the present run, by node. */
  readonly #picturesEmitted = new Map<string, number>();
  readonly #pictures = new Map<string, number>();
  #batch: WireEvent[] = [];
  #scheduled: NodeJS.Timeout | undefined;
  readonly #messages: [type: string, data: object][] = [];
  #closed = false;

  constructor(dependencies: {
    scope: EventScope;
    publisher: EventPublisher;
    previews: PreviewAudience;
    pace: ReporterPace;
    onWithheld: (what: 'preview' | 'progress') => void;
    clock: Clock;
    log: Logger;
    /** The run's claim is void: nothing of it is published any more. */
    onVoid: () => void;
  }) {
    this.#scope = dependencies.scope;
    this.#publisher = dependencies.publisher;
    this.#previews = dependencies.previews;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
    this.#onVoid = dependencies.onVoid;
    this.#pace = dependencies.pace;
    this.#onWithheld = dependencies.onWithheld;
    this.#progressGate = new ProgressGate({
      intervalMs: () => this.#pace.progressIntervalMs,
      togetherMs: COLLECT_MS,
      pass: (event) => {
        this.#collect(event);
      },
      onWithheld: () => {
        this.#onWithheld('progress');
      },
    });
    this.#progress = new EmittedProgress(dependencies.scope.promptId);
  }

  /** `execution_start` and `execution_cached` as history keeps them. */
  get messages(): readonly (readonly [type: string, data: object])[] {
    return this.#messages;
  }

  /** @param before what was emitted by a worker that died, or that handed the job back */
  start(timestamp: number, before?: EmittedBefore): void {
    if (before !== undefined) {
      this.#cachedEmitted = before.cached === undefined ? undefined : new Set(before.cached);
      this.#progress.resume(before);
      for (const [nodeId, count] of before.pictures) this.#picturesEmitted.set(nodeId, count);
    }
    const data = { prompt_id: this.#scope.promptId, timestamp };
    this.#messages.push(['execution_start', data]);
    this.#add({ type: 'execution_start', data });
  }

  runBegins(): void {
    this.#progress.beginRun();
    this.#pictures.clear();
  }

  cached(nodeIds: readonly string[]): void {
    const data = {
      nodes: nodeIds,
      prompt_id: this.#scope.promptId,
      timestamp: this.#clock.now(),
    };
    if (!this.#messages.some(([type]) => type === 'execution_cached')) {
      this.#messages.push(['execution_cached', data]);
    }
    const emitted = this.#cachedEmitted;
    if (emitted !== undefined && nodeIds.every((nodeId) => emitted.has(nodeId))) return;
    this.#cachedEmitted = new Set([...(emitted ?? []), ...nodeIds]);
    this.#add({ type: 'execution_cached', data });
  }

  nodeStarted(nodeId: string): void {
    const start = this.#progress.start(nodeId);
    if (start === undefined) return;
    this.#addState();
    const { promptId: prompt_id } = this.#scope;
    if (!start.isEmitted) {
      this.#add({ type: 'executing', data: { node: nodeId, display_node: nodeId, prompt_id } });
    }
    // Who receives `executing` empties the bar: it is filled again as far as it was.
    if (start.from !== undefined) {
      this.#add({ type: 'progress', data: { ...start.from, prompt_id, node: nodeId } });
    }
  }

  progress(
    nodeId: string,
    value: number,
    max: number,
    preview?: PreviewPicture,
    isEstimated = false,
  ): void {
    if (this.#closed || this.#progress.isFinishedBefore(nodeId)) return;
    const step = this.#progress.advance(nodeId, { value, max, isEstimated }, { mayGoBack: false });
    // A preview goes with a step: with the last one that was emitted, when this one is behind it.
    const shown = step ?? (preview === undefined ? undefined : this.#progress.progressOf(nodeId));
    if (shown === undefined) return;
    if (preview !== undefined) this.#sendPreview(nodeId, preview);
    this.#addState();
    this.#add({
      type: 'progress',
      data: {
        ...{ value: shown.value, max: shown.max },
        ...{ prompt_id: this.#scope.promptId, node: nodeId },
        ...(shown.estimated === true ? { estimated: true } : {}),
      },
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
    if (this.#progress.finish(nodeId)) this.#addState();
  }

  relay(events: readonly WireEvent[], preview?: { nodeId: string; picture: PreviewPicture }): void {
    if (this.#closed) return;
    if (preview !== undefined) this.#sendPreview(preview.nodeId, preview.picture);
    for (const event of events) this.#relayOne(event);
    if (preview !== undefined) this.flush();
  }

  /** A frame of a ComfyUI server, as it is unless it would take back what was emitted to clients. */
  #relayOne(event: WireEvent): void {
    // Its data came as JSON.
    const data = event.data as Readonly<Record<string, JsonValue>>;
    const { node, nodes } = data;
    if (event.type === 'progress_state' && isJsonObject(nodes)) {
      this.#push({ type: event.type, data: { ...data, nodes: this.#progress.merge(nodes) } });
    } else if (event.type === 'progress' && typeof node === 'string') {
      this.#relayProgress(event, node, data);
    } else if (event.type === 'executing' && typeof node === 'string') {
      this.#relayExecuting(event, node);
    } else {
      this.#push(event);
    }
  }

  #relayProgress(
    event: WireEvent,
    node: string,
    { value, max }: Readonly<Record<string, JsonValue>>,
  ): void {
    if (typeof value !== 'number' || typeof max !== 'number') {
      this.#push(event);
      return;
    }
    const step = this.#progress.advance(
      node,
      { value, max, isEstimated: false },
      { mayGoBack: true },
    );
    if (step === undefined) return;
    const { value: emitted, max: of } = step;
    const isAsItIs = emitted === value && of === max;
    this.#push(isAsItIs ? event : { ...event, data: { ...event.data, value: emitted, max: of } });
  }

  #relayExecuting(event: WireEvent, node: string): void {
    const start = this.#progress.start(node);
    if (start === undefined) return;
    if (!start.isEmitted) this.#push(event);
    if (start.from === undefined) return;
    this.#add({
      type: 'progress',
      data: { ...start.from, prompt_id: this.#scope.promptId, node },
    });
  }

  picture(nodeId: string, { mediaType, file }: StoredPicture): void {
    const index = this.#pictures.get(nodeId) ?? 0;
    this.#pictures.set(nodeId, index + 1);
    // An earlier run has sent it.
    if (index < (this.#picturesEmitted.get(nodeId) ?? 0)) return;
    this.#picturesEmitted.set(nodeId, index + 1);
    const { promptId: prompt_id } = this.#scope;
    const node = plainNode(nodeId);
    this.#add({
      type: PICTURE_TYPE,
      data: { prompt_id, index, node, image_type: mediaType, file },
    });
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
        forAll: true,
      }),
    );
  }

  /** What served the job, ahead of its end. */
  served(report: ServiceReport): void {
    this.#add({ type: 'tiercel_report', data: { prompt_id: this.#scope.promptId, ...report } });
  }

  /** The job goes back into the queue, to make room for another one. */
  requeued(): void {
    const data = {
      prompt_id: this.#scope.promptId,
      reason: 'preempted',
      timestamp: this.#clock.now(),
    } as const;
    this.#add({ type: 'tiercel_requeued', data });
  }

  /** Nothing that a stray node says after the end is sent. */
  close(): void {
    this.#progressGate.release();
    this.flush();
    this.#closed = true;
  }

  flush(): void {
    clearTimeout(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#batch.length === 0) return;
    const events = this.#batch;
    this.#batch = [];
    this.#send(this.#publisher.publish(this.#scope, events));
  }

  #sendPreview(nodeId: string, { mediaType, bytes, isOwn = false }: PreviewPicture): void {
    if (this.#previews === 'nobody' && !isOwn) return;
    const { previewIntervalMs } = this.#pace;
    const now = performance.now();
    // What a node shows by itself is no preview of what it will show later.
    if (!isOwn && previewIntervalMs > 0 && now - this.#previewSentAt < previewIntervalMs) {
      this.#onWithheld('preview');
      return;
    }
    this.#previewSentAt = now;
    // A socket gets it with the progress that comes with it.
    this.#progressGate.open();
    this.flush();
    this.#send(
      this.#publisher.publishPreview(this.#scope, {
        ...{ promptId: this.#scope.promptId, node: plainNode(nodeId), mediaType, bytes },
        forAll: isOwn || this.#previews === 'all',
      }),
    );
  }

  #addState(): void {
    this.#add({
      type: 'progress_state',
      data: { prompt_id: this.#scope.promptId, nodes: this.#progress.nodes },
    });
  }

  #add(event: JobEvent): void {
    this.#push(event);
  }

  #push(event: WireEvent): void {
    if (!this.#closed) this.#progressGate.push(event);
  }

  #collect(event: WireEvent): void {
    this.#batch.push(event);
    if (this.#batch.length >= MAX_BATCH) this.flush();
    else
      this.#scheduled ??= setTimeout(() => {
        this.flush();
      }, COLLECT_MS);
  }

  #send(sent: Promise<boolean>): void {
    sent.then(
      (isValid) => {
        if (!isValid) this.#onVoid();
      },
      (error: unknown) => {
        this.#log.warn({ err: error }, 'events were not published');
      },
    );
  }
}
