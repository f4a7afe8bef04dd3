import { randomUUID } from 'node:crypto';
import type { Device, JsonObject, ObjectInfo } from '@tiercel/contracts';
import type { NodeFiles } from '@tiercel/nodes';
import type { Clock, Logger, Redis } from '@tiercel/runtime';
import type { AttemptContext, AttemptRequest, AttemptResult, Backend } from '../backend.ts';
import { AttemptError, AttemptStopped, JobError } from '../failures.ts';
import { chooseServers } from './choose-server.ts';
import { createComfyClient } from './comfy-client.ts';
import { ComfyRequestError } from './comfy-errors.ts';
import { ComfySocket } from './comfy-socket.ts';
import {
  describe,
  describeOffer,
  extraOf,
  isServerLost,
  isThere,
  readNote,
  rejectionError,
  supports,
  type Note,
} from './pool.ts';
import { PoolServer } from './pool-server.ts';
import { PromptRun, type RunOptions } from './prompt-run.ts';
import { pushInputs } from './push-inputs.ts';
import { modelsKey } from './requirements.ts';
import { ServerSlots, type Slot } from './slots.ts';

export interface ComfyUiBackendOptions {
  readonly name: string;
  readonly urls: readonly string[];
  readonly timeoutMs: number;
  /** Unique per worker process: frames come to this client id. */
  readonly clientId: string;
  readonly files: Pick<NodeFiles, 'saveOutput' | 'readInput'>;
  readonly redis: Redis;
  readonly prefix: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly run: RunOptions;
  /** How long a job waits for a server that can run it when none is up. */
  readonly unavailableMs: number;
}

/** What the pool offers, for the worker's announcement. */
export interface PoolOffer {
  readonly objectInfo: ObjectInfo;
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly embeddings: readonly string[];
  readonly extensions: readonly string[];
  readonly devices: readonly (Device & { readonly server: string })[];
  readonly servers: readonly { readonly url: string; readonly healthy: boolean }[];
}

export interface ComfyUiBackend extends Backend {
  offer(): PoolOffer;
  /** Passes POST /free on to every server. */
  free(body: JsonObject): Promise<void>;
  /** Resolves when every server has been asked once what it can do. */
  ready(): Promise<void>;
  /** Servers come and go while jobs run: a removed one keeps what it has and gets nothing more. */
  setServers(urls: readonly string[]): void;
  close(): void;
}

const REQUEST_TIMEOUT_MS = 15_000;
/** Of one file, up or down: a long video on a slow line. */
const TRANSFER_TIMEOUT_MS = 300_000;
const PING_MS = 5_000;
const SILENCE_MS = 15_000;
const SLOT_POLL_MS = 25;
/** Servers of the pool that one attempt may lose before the tier gives up. */
const MAX_SERVERS = 3;

/**
 * A server whose output folder was tidied up still names the files of nodes that it has cached. Models stay
 * loaded.
 */
const FORGET_RESULTS = { unload_models: false, free_memory: true };

/** A pool of ComfyUI servers as one tier. */
export function createComfyUiBackend(options: ComfyUiBackendOptions): ComfyUiBackend {
  const pool: PoolServer[] = options.urls.map((url) => openServer(url, options));
  /** Taken off the pool, with prompts of ours still on them. */
  const leaving = new Set<PoolServer>();
  const slots = new ServerSlots(options.redis, options.prefix, options.clock);
  const find = (url: string) => [...pool, ...leaving].find((server) => server.url === url);

  const run = async (request: AttemptRequest, context: AttemptContext): Promise<AttemptResult> => {
    let note = readNote(request.note);
    for (let lost = 0; ; lost += 1) {
      const noted = note === undefined ? undefined : find(note.server);
      const lease = randomUUID();
      const place =
        noted === undefined
          ? await takePlace(request, context, lease)
          : { server: noted, slot: await slots.acquireOver(noted.url, lease) };
      try {
        return await runOn(place.server, request, context, noted === undefined ? undefined : note);
      } catch (error) {
        if (!(error instanceof AttemptError) || context.signal.aborted) throw error;
        if (error.class === 'network' || error.class === 'timeout') place.server.noteTrouble();
        if (lost + 1 >= MAX_SERVERS || !isServerLost(error)) throw error;
        if (isFileGone(error))
          await place.server.client.free(FORGET_RESULTS).catch(() => undefined);
        note = undefined;
      } finally {
        await place.slot.release().catch(() => undefined);
      }
    }
  };

  const takePlace = async (
    request: AttemptRequest,
    { signal }: AttemptContext,
    lease: string,
  ): Promise<{ server: PoolServer; slot: Slot }> => {
    const models = modelsKey(request.graph);
    let nobodySince: number | undefined;
    for (;;) {
      if (signal.aborted) throw new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
      const { able, obstacles } = chooseServers(request.graph, models, pool.map(describe));
      const taken = able.length === 0 ? undefined : await slots.acquire(able, lease);
      const server = taken === undefined ? undefined : find(taken.url);
      if (taken !== undefined && server !== undefined) {
        server.lastModels = models;
        return { server, slot: taken.slot };
      }
      if (able.length === 0) {
        nobodySince ??= options.clock.now();
        if (options.clock.now() - nobodySince > options.unavailableMs) {
          const why = obstacles[0] ?? 'no server answers';
          throw new AttemptError('network', `no server of ${options.name} can run it: ${why}`);
        }
      } else {
        nobodySince = undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, SLOT_POLL_MS));
    }
  };

  const runOn = async (
    server: PoolServer,
    request: AttemptRequest,
    context: AttemptContext,
    found: Note | undefined,
  ): Promise<AttemptResult> => {
    const upstreamId = found?.id ?? randomUUID();
    const { client } = server;
    const promptRun = new PromptRun({
      upstreamId,
      promptId: request.promptId,
      server: {
        readHistory: (id) => client.readHistory(id),
        readQueue: () => client.readQueue(),
        interrupt: (id) => client.interrupt(id),
        deletePending: (id) => client.deletePending(id),
        deleteHistory: (id) => client.deleteHistory(id),
        renewSocket: () => {
          server.renewSocket();
        },
      },
      context,
      harvester: {
        download: async (file) =>
          (await client.download(file, context.signal, TRANSFER_TIMEOUT_MS)).bytes,
        saveOutput: (output) => options.files.saveOutput(output),
      },
      options: options.run,
    });
    server.attach(upstreamId, promptRun);
    try {
      if (found === undefined) {
        await submit(server, upstreamId, request, context);
      } else if (!(await isThere(server, upstreamId))) {
        throw new AttemptError('server', 'the prompt of the earlier attempt is gone');
      } else {
        promptRun.onGap();
      }
      return await promptRun.finish();
    } finally {
      server.detach(upstreamId);
      if (leaving.has(server) && !server.isBusy) {
        leaving.delete(server);
        server.stop();
      }
    }
  };

  const submit = async (
    server: PoolServer,
    upstreamId: string,
    request: AttemptRequest,
    context: AttemptContext,
  ): Promise<void> => {
    const { client, abilities } = server;
    const promptText = await pushInputs(
      request.graph,
      request.promptText,
      abilities?.objectInfo ?? {},
      {
        readInput: (name) => options.files.readInput(name),
        push: ({ name, subfolder, bytes }) =>
          // Without the job's signal: other jobs may be waiting for the same transfer.
          server.pushOnce(`${subfolder}/${name}`, async () => {
            // Over what a transfer that broke off may have left under this name.
            const file = { name, subfolder, bytes, overwrite: true };
            await client.upload(file, undefined, TRANSFER_TIMEOUT_MS);
          }),
      },
    );
    // Noted first: whoever takes over looks the prompt up instead of sending it again.
    await context.remember(JSON.stringify({ server: server.url, id: upstreamId } satisfies Note));
    try {
      const answer = await client.submit(
        {
          promptId: upstreamId,
          promptText,
          clientId: options.clientId,
          extraDataText: extraOf(request),
        },
        context.signal,
      );
      if (answer.kind === 'rejected') throw rejectionError(answer.rejection);
      if (answer.promptId !== upstreamId) {
        throw new AttemptError('bad_output', 'the server does not keep the prompt_id it was given');
      }
    } catch (error) {
      if (error instanceof JobError || context.signal.aborted) throw error;
      // It may have arrived although the answer did not: looked up, never sent twice.
      if (!(await isThere(server, upstreamId).catch(() => false))) throw error;
    }
  };

  return {
    name: options.name,
    driver: 'comfyui',
    timeoutMs: options.timeoutMs,
    supports: (request) => supports(request, pool),
    run,
    offer: () => describeOffer(pool),
    free: async (body) => {
      await Promise.allSettled(pool.map((server) => server.client.free(body)));
    },
    ready: async () => {
      await Promise.all(pool.map((server) => server.refresh()));
    },
    setServers: (urls) => {
      const gone = pool.filter(({ url }) => !urls.includes(url));
      const added = urls.filter((url) => !pool.some((server) => server.url === url));
      const kept = pool.filter(({ url }) => urls.includes(url));
      pool.splice(0, pool.length, ...kept, ...added.map((url) => openServer(url, options)));
      for (const server of gone) {
        if (server.isBusy) leaving.add(server);
        else server.stop();
      }
    },
    close: () => {
      for (const server of [...pool, ...leaving]) server.stop();
    },
  };
}

function isFileGone(error: AttemptError): boolean {
  return error instanceof ComfyRequestError && error.class === 'bad_output' && error.status === 404;
}

function openServer(url: string, options: ComfyUiBackendOptions): PoolServer {
  const { log, clientId } = options;
  const client = createComfyClient({ baseUrl: url, timeoutMs: REQUEST_TIMEOUT_MS });
  const server = new PoolServer({ url, client, log });
  server.start(
    new ComfySocket({
      baseUrl: url,
      clientId,
      log,
      pingIntervalMs: PING_MS,
      silenceMs: SILENCE_MS,
      listener: {
        onOpen: () => {
          server.onOpen();
        },
        onGap: () => {
          server.onGap();
        },
        onMessage: ({ type, data }) => {
          if (typeof data === 'object' && data !== null) server.onFrame(type, data);
        },
        onPreview: ({ node, promptId, mediaType, bytes }) => {
          const nodeId = node?.node_id;
          if (nodeId === undefined) return;
          server.runOf(promptId)?.onPreview(nodeId, { mediaType, bytes });
        },
        onText: ({ nodeId, text }) => {
          server.runOf(undefined)?.onText(nodeId, text);
        },
      },
    }),
  );
  return server;
}
