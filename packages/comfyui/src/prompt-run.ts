import { isJsonObject, type JsonObject, type NodeMeta, type UiOutput } from '@tiercel/contracts';
import type { PictureKind } from '@tiercel/graph';
import {
  type AttemptContext,
  type AttemptResult,
  AttemptStopped,
  type PartialResult,
  type PreviewPicture,
} from '@tiercel/routing';
import { downloadOutputs, type OutputTransfer } from './download-outputs.ts';
import { findPrompt, IdleWatchdog, type PromptServer, stopPrompt } from './prompt-control.ts';
import {
  checkSucceeded,
  failedWith,
  isBlockedBranch,
  isFinal,
  LostPrompt,
  toEndingError,
  type Ending,
} from './prompt-ending.ts';
import { FrameRelay, mapPromptId, ShownNodes } from './prompt-frames.ts';
import type { FrameSubscription } from './server-sockets.ts';

export interface RunOptions {
  /** Silence after which the server is asked whether it still has the prompt. */
  readonly checkMs: number;
  /** A server that does not answer for this long has lost the prompt. */
  readonly lostAfterMs: number;
}

/** Where pictures lie that nodes send to sockets; the same folder as for nodes of our own. */
const SENT_PICTURES = 'sent/picture';

/**
 * One prompt on one server, from its submit (or from finding it there) to its end: relays its frames,
 * brings its outputs home, and believes /queue and /history more than the socket.
 */
export class PromptRun {
  readonly #upstreamId: string;
  readonly #promptId: string;
  readonly #server: PromptServer;
  readonly #subscription: FrameSubscription;
  readonly #onLeft: () => void;
  readonly #context: AttemptContext;
  readonly #transfer: OutputTransfer;
  readonly #kindOf: (nodeId: string, picture: PreviewPicture) => PictureKind;
  readonly #options: RunOptions;
  readonly #relay: FrameRelay;
  readonly #shown = new ShownNodes();
  #executed: string[] = [];
  #current: string | undefined;
  #hasSucceeded = false;
  #history: Promise<JsonObject | undefined> | undefined;
  /** Frames may be missing: history tells what was shown. */
  #isInDoubt = false;
  readonly #watchdog: IdleWatchdog;
  #work: Promise<void> = Promise.resolve();
  #end: (ending: Ending) => void = () => undefined;
  readonly #ended: Promise<Ending>;

  constructor(dependencies: {
    upstreamId: string;
    promptId: string;
    server: PromptServer;
    subscription: FrameSubscription;
    /** Called when the prompt neither runs nor waits on the server any more: its slot is free. */
    onLeft: () => void;
    context: AttemptContext;
    transfer: OutputTransfer;
    /** What a picture is that a node sends. */
    kindOf: (nodeId: string, picture: PreviewPicture) => PictureKind;
    options: RunOptions;
  }) {
    this.#upstreamId = dependencies.upstreamId;
    this.#promptId = dependencies.promptId;
    this.#server = dependencies.server;
    this.#subscription = dependencies.subscription;
    this.#onLeft = dependencies.onLeft;
    this.#context = dependencies.context;
    this.#transfer = dependencies.transfer;
    this.#kindOf = dependencies.kindOf;
    this.#options = dependencies.options;
    this.#watchdog = new IdleWatchdog(dependencies.options.checkMs);
    this.#relay = new FrameRelay(dependencies.context.listener);
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /**
   * A text frame that belongs to this prompt. Frames are handled one after the other.
   * @param isOurs whether it does, when that is not known yet
   */
  onFrame(type: string, data: object, isOurs?: Promise<boolean>): void {
    if (isOurs !== undefined) {
      this.#then(async () => {
        if (await isOurs) await this.#handle(type, data);
      });
      return;
    }
    if (type === 'execution_success') this.#hasSucceeded = true;
    if (type === 'executing' && 'node' in data && data.node === null) this.#onDone();
    this.#then(() => this.#handle(type, data));
  }

  /** The last frame: history has the prompt now, and not yet at `execution_success` (wire 5.9). */
  #onDone(): void {
    this.#onLeft();
    if (!this.#hasSucceeded || !this.#isInDoubt) return;
    // While the outputs are still on their way; asked again in the end if nothing comes of it.
    this.#history ??= this.#server.client.readHistory(this.#upstreamId).catch(() => undefined);
  }

  onPreview(nodeId: string, picture: PreviewPicture): void {
    const kind = this.#kindOf(nodeId, picture);
    this.#then(async () => {
      if (kind === 'result') await this.#keepPicture(nodeId, picture);
      else this.#relay.addPreview(nodeId, { ...picture, isOwn: kind === 'own' });
    });
  }

  /** The server stores it nowhere. */
  async #keepPicture(nodeId: string, { mediaType, bytes }: PreviewPicture): Promise<void> {
    this.#relay.flush();
    const extension = mediaType === 'image/png' ? '.png' : '.jpg';
    const file = await this.#transfer.saveOutput({
      ...{ type: 'temp', prefix: SENT_PICTURES, extension, bytes },
    });
    this.#context.listener.picture(nodeId, { mediaType, file });
  }

  onText(nodeId: string, text: string): void {
    this.#then(() => {
      this.#relay.flush();
      this.#context.listener.text(nodeId, text);
    });
  }

  /** One step after the other, in the order of the server; the first that fails ends the run. */
  #then(step: () => void | Promise<void>): void {
    this.#watchdog.touch();
    this.#work = this.#work.then(step);
    this.#work.catch((error: unknown) => {
      this.#end(failedWith(error));
    });
  }

  /** Frames may have been missed: the server is asked at once. */
  onGap(): void {
    this.#isInDoubt = true;
    this.#watchdog.wake();
  }

  /** A frame could not be read, perhaps one of this prompt. */
  onGarbage(): void {
    this.#isInDoubt = true;
  }

  /**
   * Waits for the end and brings everything home.
   * @throws JobError (the prompt failed), AttemptError (the server did), AttemptStopped
   */
  async finish(): Promise<AttemptResult> {
    const { signal } = this.#context;
    const stopped = new Promise<'stopped'>((resolve) => {
      if (signal.aborted) resolve('stopped');
      signal.addEventListener('abort', () => {
        resolve('stopped');
      });
    });
    let firstSilence: number | undefined;
    for (;;) {
      const result = await Promise.race([this.#ended, stopped, this.#watchdog.idle()]);
      if (result === 'stopped') return await this.#stop();
      if (typeof result === 'object') {
        if (result.kind === 'failed') throw result.error;
        return await this.#conclude();
      }
      try {
        if (await this.#lookAfter()) {
          // History knew it before the socket did.
          this.#isInDoubt = true;
          this.#subscription.noteMissedEnd();
          return await this.#conclude();
        }
        if (result === 'idle') this.#subscription.noteSilence();
        firstSilence = undefined;
      } catch (error) {
        if (isFinal(error)) throw error;
        firstSilence ??= Date.now();
        if (Date.now() - firstSilence > this.#options.lostAfterMs) throw error;
      }
    }
  }

  /**
   * Asks the server for the truth.
   * @returns true when the prompt has succeeded there; false when it is still under way
   * @throws LostPrompt when it is nowhere; what it ended with, when it failed
   */
  async #lookAfter(): Promise<boolean> {
    await this.#work;
    const place = await findPrompt(this.#server.client, this.#upstreamId);
    if (place.kind === 'queued') return false;
    if (place.kind === 'nowhere') throw new LostPrompt();
    checkSucceeded(place.item, this.#shown.read());
    return true;
  }

  async #handle(type: string, data: object): Promise<void> {
    const source = data as Record<string, unknown>;
    switch (type) {
      case 'status':
      case 'feature_flags':
      case 'execution_start':
        return;
      case 'execution_cached':
        this.#relay.flush();
        this.#context.listener.cached(Array.isArray(source.nodes) ? source.nodes.map(String) : []);
        return;
      case 'executing':
        if (source.node === null && this.#hasSucceeded) this.#end({ kind: 'success' });
        if (typeof source.node !== 'string') return;
        this.#current = source.node;
        this.#relayMapped(type, data);
        return;
      case 'executed':
        this.#relay.flush();
        await this.#download(String(source.node), source);
        return;
      case 'execution_success':
        this.#relay.flush();
        return;
      case 'execution_error':
      case 'execution_interrupted':
        this.#relay.flush();
        if (isBlockedBranch(type, data)) {
          this.#relayMapped(type, data);
          return;
        }
        this.#end(failedWith(toEndingError(type, source, this.#shown.read())));
        return;
      case 'progress_state':
        this.#shown.noteStates(source.nodes);
        this.#relayMapped(type, data);
        return;
      default:
        this.#relayMapped(type, data);
    }
  }

  #relayMapped(type: string, data: object): void {
    this.#relay.add({ type, data: mapPromptId(data, this.#upstreamId, this.#promptId) });
  }

  async #download(nodeId: string, frame: Record<string, unknown>): Promise<void> {
    const { output } = frame;
    const stored =
      typeof output === 'object' && output !== null
        ? await downloadOutputs(output as UiOutput, this.#transfer)
        : null;
    if (stored !== null) this.#shown.add(nodeId, stored);
    this.#executed.push(nodeId);
    this.#relayMapped('executed', { ...frame, output: stored });
  }

  /** The end: what the socket may not have received is read from history. */
  async #conclude(): Promise<AttemptResult> {
    await this.#work;
    const { outputs, meta } = this.#hasEveryFrame()
      ? this.#shown.read()
      : await this.#readWhatWasShown();
    this.#relay.flush();
    return {
      ...{ outputs, meta },
      model: null,
      droppedParams: [],
      sketch: false,
    };
  }

  /** A socket that was there all the time has received every output: a prompt with a client id shows each to it. */
  #hasEveryFrame(): boolean {
    return !this.#isInDoubt && this.#shown.isIdentified;
  }

  async #readWhatWasShown(): Promise<PartialResult> {
    const item = (await this.#history) ?? (await this.#server.client.readHistory(this.#upstreamId));
    const outputs = isJsonObject(item?.outputs) ? item.outputs : {};
    for (const [nodeId, output] of Object.entries(outputs)) {
      if (this.#shown.has(nodeId)) continue;
      const node = { node: nodeId, display_node: nodeId };
      await this.#download(nodeId, { ...node, output, prompt_id: this.#upstreamId });
    }
    // ComfyUI writes all members of a NodeMeta.
    const meta = (isJsonObject(item?.meta) ? item.meta : {}) as unknown as Record<string, NodeMeta>;
    return { outputs: this.#shown.outputs, meta };
  }

  /** Stopped from outside. */
  async #stop(): Promise<never> {
    const { reason } = this.#context.signal as { reason: unknown };
    const at = {
      nodeId: this.#current ?? null,
      nodeType: this.#current === undefined ? null : '',
      ...{ executed: this.#executed, partial: this.#shown.read() },
    };
    const ended = this.#ended;
    const stop = await stopPrompt(this.#server, this.#upstreamId, { reason, ended });
    throw stop ?? new AttemptStopped(at);
  }
}
