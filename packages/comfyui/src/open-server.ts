import type { WireEvent } from '@tiercel/contracts';
import type { Logger, Redis } from '@tiercel/runtime';
import { createComfyClient } from './comfy-client.ts';
import { ComfySocket, type ComfySocketListener } from './comfy-socket.ts';
import { InheritedSockets } from './inherited-sockets.ts';
import { PoolServer } from './pool-server.ts';
import { RelayLease } from './relay-lease.ts';
import { toPublicUrl } from './server-address.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const PING_MS = 5_000;
const SILENCE_MS = 15_000;

export interface OpenServerOptions {
  /** Unique per worker process: frames come to this client id, or to one that begins with it. */
  readonly clientId: string;
  readonly log: Logger;
  /** Of the installation. */
  readonly secretKey: Uint8Array;
  /** Called when what it offers, or whether it is up, has changed. */
  readonly onChange: () => void;
  /** Called with what it says to everybody, in one of the workers that hear it. */
  readonly onMessage: (event: WireEvent) => void;
  readonly redis: Redis;
  readonly prefix: string;
}

/** Connects to a server for as long as it is in the pool. */
export function openServer(
  address: string,
  { log, clientId, secretKey, redis, prefix, onChange, onMessage }: OpenServerOptions,
): PoolServer {
  const client = createComfyClient({ baseUrl: address, timeoutMs: REQUEST_TIMEOUT_MS });
  const url = toPublicUrl(address, secretKey);
  const relay = new RelayLease(redis, prefix, url);
  const server = new PoolServer({
    ...{ url, address, client, clientId, log, onChange },
    onMessage: (event) => {
      if (relay.isMine) onMessage(event);
    },
  });
  const connect = (id: string, listener: ComfySocketListener): ComfySocket =>
    new ComfySocket({
      ...{ baseUrl: address, clientId: id, log, listener },
      ...{ pingIntervalMs: PING_MS, silenceMs: SILENCE_MS },
    });
  const hear = (
    id: string,
    told: Pick<ComfySocketListener, 'onOpen' | 'onGap'>,
    ear = Symbol(id),
  ): ComfySocketListener => ({
    ...told,
    onMessage: (message) => {
      server.onFrame(message, ear);
    },
    onPreview: ({ node, promptId, mediaType, bytes }) => {
      const nodeId = node?.node_id;
      if (nodeId === undefined) return;
      server.runOf(promptId)?.onPreview(nodeId, { mediaType, bytes });
    },
    onGarbage: () => {
      server.onGarbage();
    },
    onText: ({ nodeId, text }) => {
      server.runOf(undefined)?.onText(nodeId, text);
    },
  });
  /** Hears only what is sent to everybody; opened second, so that whoever sees it knows the first is there. */
  let second: ComfySocket | undefined;
  const checkRuns = (): void => {
    server.checkRuns();
  };
  const connectOwn = (id: string): ComfySocket =>
    connect(
      id,
      hear(id, {
        onOpen: () => {
          server.onOpen();
          second ??= connect(`${clientId}-all`, {
            ...IGNORE_ALL,
            onOpen: () => {
              server.setListening(true);
            },
            onGap: () => {
              server.setListening(false);
            },
            onMessage: (message) => {
              server.onShared(message);
            },
          });
        },
        onGap: () => {
          // Of an id that was left, it says nothing of the server.
          if (id === server.clientId) server.onGap();
          else server.checkRuns();
        },
      }),
    );
  const inherited = new InheritedSockets((id) =>
    connect(id, hear(id, { onOpen: checkRuns, onGap: checkRuns })),
  );
  server.start(connectOwn, inherited, () => {
    relay.stop();
    void second?.close();
  });
  return server;
}

const IGNORE_ALL: ComfySocketListener = {
  onOpen: () => undefined,
  onGap: () => undefined,
  onMessage: () => undefined,
  onPreview: () => undefined,
  onText: () => undefined,
  onGarbage: () => undefined,
};
