import { randomUUID } from 'node:crypto';
import type { JsonObject, RefreshScope, WireEvent } from '@tiercel/contracts';
import { pictureKind } from '@tiercel/graph';
import {
  AttemptError,
  type AttemptRequest,
  type AttemptResult,
  type Backend,
  goesOnElsewhere,
  isClaimLost,
  mayTryNextTier,
  type TierAttemptContext,
} from '@tiercel/routing';
import type { Clock, Logger, Redis } from '@tiercel/runtime';
import { acquireServerSlot, type ServerSlot } from './acquire-server-slot.ts';
import { supports } from './choose-server.ts';
import { ComfyRequestError } from './comfy-request.ts';
import type { OutputTransfer } from './download-outputs.ts';
import { CallerNames, type InputFiles, recallNames } from './input-files.ts';
import { createCapabilitiesDescriber, type PoolCapabilities, PoolServer } from './pool-server.ts';
import { forgetPrompt } from './prompt-control.ts';
import { PromptRun, type RunOptions } from './prompt-run.ts';
import { toPublicUrl } from './server-address.ts';
import { FrameSubscription } from './server-sockets.ts';
import { ServerSlots } from './slots.ts';
import {
  readResumeToken,
  type ResumeToken,
  submitPrompt,
  TRANSFER_TIMEOUT_MS,
} from './submit-prompt.ts';

export interface ComfyUiBackendOptions {
  readonly name: string;
  /** May hold logins. */
  readonly urls: readonly string[];
  readonly timeoutMs: number;
  /** Unique per worker process: frames come to this client id, or to one that begins with it. */
  readonly clientId: string;
  /** Of the installation: names servers whose URLs hold a login. */
  readonly secretKey: Uint8Array;
  /** The file space of a tenant. */
  readonly filesOf: (tenant: string) => Pick<OutputTransfer, 'saveOutput'> & InputFiles;
  readonly redis: Redis;
  readonly prefix: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly run: RunOptions;
  /** How long a job waits for a server that can run it when none is up. */
  readonly unavailableMs: number;
}

export interface ComfyUiBackend extends Backend {
  capabilities(): PoolCapabilities;
  /** @param listener called when what the pool offers has changed */
  onCapabilitiesChange(listener: () => void): void;
  /** @param listener called with what a server says to everybody, in one of the workers that hear it */
  onMessage(listener: (event: WireEvent) => void): void;
  /** Refreshes what is known of the servers. Resolves when each has been asked from now on, or does not answer. */
  refresh(scope: RefreshScope): Promise<void>;
  /** Passes POST /free on to every server. */
  free(body: JsonObject): Promise<void>;
  /** Resolves when every server has been asked once what it can do. */
  ready(): Promise<void>;
  /** Servers come and go while jobs run: a removed one keeps what it has and gets nothing more. */
  setServers(urls: readonly string[]): void;
  close(): void;
}

/** Servers of the pool that one attempt may lose before the tier gives up. */
const MAX_SERVERS = 3;

/**
 * A server whose output folder was tidied up still names the files of nodes that it has cached. Models stay
 * loaded.
 */
const FORGET_RESULTS = { unload_models: false, free_memory: true };

/** A pool of ComfyUI servers as one tier. */
export function createComfyUiBackend(options: ComfyUiBackendOptions): ComfyUiBackend {
  let notifyCapabilities = (): void => undefined;
  let emitMessage: (event: WireEvent) => void = () => undefined;
  const open = (address: string): PoolServer =>
    new PoolServer(address, {
      ...options,
      onChange: () => {
        notifyCapabilities();
        slots.chooseAgain();
      },
      onUsability: () => {
        slots.chooseAgain();
      },
      onMessage: (event) => {
        emitMessage(event);
      },
    });
  const slots = new ServerSlots(options.redis, options.prefix);
  const pool: PoolServer[] = options.urls.map(open);
  const describeCapabilities = createCapabilitiesDescriber();
  /** Taken off the pool, with prompts of ours still on them. */
  const leaving = new Set<PoolServer>();
  const nameOf = (url: string) => toPublicUrl(url, options.secretKey);
  // A token of an earlier version names the server by its address.
  const find = (server: string) => [...pool, ...leaving].find(({ url }) => url === nameOf(server));

  const run = async (
    request: AttemptRequest,
    context: TierAttemptContext,
  ): Promise<AttemptResult> => {
    let token = readResumeToken(request.resumeToken);
    const tried = new Map<string, AttemptError>();
    for (let lost = 0; ; lost += 1) {
      if (lost > 0) context.listener.runBegins();
      const former = token === undefined ? undefined : find(token.server);
      const held =
        former === undefined
          ? await acquireServerSlot(pool, slots, {
              graph: request.analysis,
              signal: context.signal,
              tried,
              // Another tier serves the job sooner than a server that is away.
              unavailableMs: context.hasAlternative ? 0 : options.unavailableMs,
              tier: options.name,
              clock: options.clock,
            })
          : {
              server: former,
              slot: await slots.acquireOver(former.url, randomUUID(), context.signal),
            };
      try {
        const resumed = former === undefined ? undefined : token;
        const result = await runOn(held, request, context, resumed);
        held.server.noteSuccess();
        return result;
      } catch (error) {
        noteFailure(held.server, error, context.signal);
        if (!(error instanceof AttemptError) || context.signal.aborted) throw error;
        if (lost + 1 >= MAX_SERVERS || !mayTryNextTier(error.class)) throw error;
        if (isFileGone(error)) {
          await held.server.client.free(FORGET_RESULTS).catch(() => undefined);
        } else {
          tried.set(held.server.url, error);
        }
        token = undefined;
      } finally {
        held.slot.release().catch(() => undefined);
      }
    }
  };

  const runOn = async (
    { server, slot }: ServerSlot,
    request: AttemptRequest,
    context: TierAttemptContext,
    resumed: ResumeToken | undefined,
  ): Promise<AttemptResult> => {
    const upstreamId = resumed?.id ?? randomUUID();
    const files = options.filesOf(request.tenant);
    const { client, frames, sockets } = server;
    // This worker had it before: whoever had it since has listened under the client id that it was sent with.
    if (resumed !== undefined) sockets.leaveClientId(resumed.clientId);
    const ownId = sockets.clientId;
    /** Where the prompt's frames go; undefined when a token of an earlier version does not say. */
    const clientId = resumed === undefined ? ownId : resumed.clientId;
    const callerNames =
      resumed === undefined
        ? new CallerNames(request.tenant)
        : await recallNames(request, server.abilities?.objectInfo ?? {}, files);
    const subscription = new FrameSubscription(sockets, clientId);
    const promptRun = new PromptRun({
      ...{ upstreamId, promptId: request.promptId, server, subscription, context },
      onLeft: () => {
        slot.release().catch(() => undefined);
      },
      transfer: {
        download: (file, use) =>
          client.download(
            file,
            ({ bytes }) => use(callerNames.restoreIn(bytes)),
            context.signal,
            TRANSFER_TIMEOUT_MS,
          ),
        // A name is no secret's place either, and the file would not be found under another one.
        saveOutput: (output) =>
          files.saveOutput({ ...output, prefix: context.mask.text(output.prefix) }),
      },
      kindOf: (nodeId, { mediaType }) => {
        const classType = request.graph[nodeId]?.class_type ?? '';
        const info = server.abilities?.objectInfo[classType];
        // A node that the server made while it ran, of a class that nobody can tell: samplers draw JPEGs.
        if (info === undefined) return mediaType === 'image/png' ? 'result' : 'sampling';
        return pictureKind(info);
      },
      options: options.run,
    });
    frames.attach(upstreamId, promptRun);
    const unmask = frames.masks.add(context.mask);
    let isInHistory = false;
    let isOver = true;
    try {
      if (resumed === undefined) {
        const submission = { upstreamId, request, context, clientId: ownId, files, callerNames };
        await submitPrompt(server, submission);
      } else {
        promptRun.onGap();
      }
      const result = await promptRun.finish();
      isInHistory = true;
      return result;
    } catch (error) {
      isOver = !(error instanceof AttemptError);
      // Whatever it still does with the prompt is of no use to anybody.
      if (!isOver && !context.signal.aborted) server.abandon(upstreamId);
      throw error;
    } finally {
      frames.detach(upstreamId, promptRun);
      unmask();
      subscription.close();
      if (isClaimLost(context.signal)) sockets.leaveClientId(clientId);
      if (!goesOnElsewhere(context.signal)) {
        // Not before the job's end is on record: should this worker die now, the next one reads it there.
        void (isOver ? context.recorded : Promise.resolve()).then(() =>
          forgetPrompt(server, upstreamId, isInHistory),
        );
      }
      if (leaving.has(server) && !frames.hasRuns) {
        leaving.delete(server);
        server.stop();
      }
    }
  };

  return {
    name: options.name,
    driver: 'comfyui',
    timeoutMs: options.timeoutMs,
    supports: (request) => supports(request, pool),
    hasOtherServer: () => pool.some((server) => server.isHealthy && !server.isSuspect),
    run,
    capabilities: () => describeCapabilities(pool),
    onCapabilitiesChange: (listener) => {
      notifyCapabilities = listener;
    },
    onMessage: (listener) => {
      emitMessage = listener;
    },
    refresh: async (scope) => {
      await Promise.all(pool.map((server) => server.refresh(scope)));
    },
    free: async (body) => {
      await Promise.allSettled(pool.map((server) => server.client.free(body)));
    },
    ready: async () => {
      await Promise.all(pool.map((server) => server.ready()));
    },
    setServers: (urls) => {
      const gone = pool.filter(({ address }) => !urls.includes(address));
      const added = urls.filter((url) => !pool.some(({ address }) => address === url));
      const kept = pool.filter(({ address }) => urls.includes(address));
      pool.splice(0, pool.length, ...kept, ...added.map(open));
      for (const server of gone) {
        if (server.frames.hasRuns) leaving.add(server);
        else server.stop();
      }
      notifyCapabilities();
      slots.chooseAgain();
    },
    close: () => {
      for (const server of [...pool, ...leaving]) server.stop();
    },
  };
}

/** What is the server's fault: also that the attempt on it ran out of time, not that it was stopped. */
function noteFailure(server: PoolServer, error: unknown, signal: AbortSignal): void {
  const failure: unknown = signal.aborted ? signal.reason : error;
  if (!(failure instanceof AttemptError) || isFileGone(failure)) return;
  if (mayTryNextTier(failure.class)) server.noteFailure(failure);
}

function isFileGone(error: AttemptError): boolean {
  return error instanceof ComfyRequestError && error.class === 'bad_output' && error.status === 404;
}
