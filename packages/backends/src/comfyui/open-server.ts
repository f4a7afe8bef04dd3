import type { Logger } from '@tiercel/runtime';
import { createComfyClient } from './comfy-client.ts';
import type { ComfySocketListener } from './comfy-listener.ts';
import { ComfySocket } from './comfy-socket.ts';
import { InheritedSockets } from './inherited-sockets.ts';
import { PoolServer } from './pool-server.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const PING_MS = 5_000;
const SILENCE_MS = 15_000;

export interface OpenServerOptions {
  /** Unique per worker process: frames come to this client id, or to one that begins with it. */
  readonly clientId: string;
  readonly log: Logger;
}

/** Connects to a server for as long as it is in the pool. */
export function openServer(url: string, { log, clientId }: OpenServerOptions): PoolServer {
  const client = createComfyClient({ baseUrl: url, timeoutMs: REQUEST_TIMEOUT_MS });
  const server = new PoolServer({ url, client, clientId, log });
  const connect = (id: string, told: Pick<ComfySocketListener, 'onOpen' | 'onGap'>): ComfySocket =>
    new ComfySocket({
      ...{ baseUrl: url, clientId: id, log, pingIntervalMs: PING_MS, silenceMs: SILENCE_MS },
      listener: {
        ...told,
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
    });
  const checkRuns = (): void => {
    server.checkRuns();
  };
  const connectOwn = (id: string): ComfySocket =>
    connect(id, {
      onOpen: () => {
        server.onOpen();
      },
      onGap: () => {
        // Of an id that was left, it says nothing of the server.
        if (id === server.clientId) server.onGap();
        else server.checkRuns();
      },
    });
  const inherited = new InheritedSockets((id) =>
    connect(id, { onOpen: checkRuns, onGap: checkRuns }),
  );
  server.start(connectOwn, inherited);
  return server;
}
