import type { Logger } from '@tiercel/runtime';
import { createComfyClient } from './comfy-client.ts';
import type { ComfySocketListener } from './comfy-listener.ts';
import { ComfySocket } from './comfy-socket.ts';
import { InheritedSockets } from './inherited-sockets.ts';
import { PoolServer } from './pool-server.ts';
import { toPublicUrl } from './public-url.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const PING_MS = 5_000;
const SILENCE_MS = 15_000;

export interface OpenServerOptions {
  /** Unique per worker process: frames come to this client id. */
  readonly clientId: string;
  readonly log: Logger;
  /** Of the installation. */
  readonly secretKey: Uint8Array;
}

/** Connects to a server for as long as it is in the pool. */
export function openServer(
  address: string,
  { log, clientId, secretKey }: OpenServerOptions,
): PoolServer {
  const client = createComfyClient({ baseUrl: address, timeoutMs: REQUEST_TIMEOUT_MS });
  const server = new PoolServer({ url: toPublicUrl(address, secretKey), address, client, log });
  const connect = (id: string, told: Pick<ComfySocketListener, 'onOpen' | 'onGap'>): ComfySocket =>
    new ComfySocket({
      ...{ baseUrl: address, clientId: id, log, pingIntervalMs: PING_MS, silenceMs: SILENCE_MS },
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
  const own = connect(clientId, {
    onOpen: () => {
      server.onOpen();
    },
    onGap: () => {
      server.onGap();
    },
  });
  const checkRuns = (): void => {
    server.checkRuns();
  };
  const inherited = new InheritedSockets((id) =>
    connect(id, { onOpen: checkRuns, onGap: checkRuns }),
  );
  server.start(own, inherited);
  return server;
}
