import type { WireEvent } from '@tiercel/contracts';
import type { Logger, Redis } from '@tiercel/runtime';
import { createComfyClient } from './comfy-client.ts';
import type { ComfySocketListener } from './comfy-listener.ts';
import { ComfySocket } from './comfy-socket.ts';
import { InheritedSockets } from './inherited-sockets.ts';
import { PoolServer } from './pool-server.ts';
import { RelayLease } from './relay-lease.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const PING_MS = 5_000;
const SILENCE_MS = 15_000;

export interface OpenServerOptions {
  /** Unique per worker process: frames come to this client id. */
  readonly clientId: string;
  readonly log: Logger;
  /** Called when what it offers, or whether it is up, has changed. */
  readonly onChange: () => void;
  /** Called with what it says to everybody, in one of the workers that hear it. */
  readonly onMessage: (event: WireEvent) => void;
  readonly redis: Redis;
  readonly prefix: string;
}

/** Connects to a server for as long as it is in the pool. */
export function openServer(
  url: string,
  { log, clientId, redis, prefix, onChange, onMessage }: OpenServerOptions,
): PoolServer {
  const client = createComfyClient({ baseUrl: url, timeoutMs: REQUEST_TIMEOUT_MS });
  const relay = new RelayLease(redis, prefix, url);
  const server = new PoolServer({
    ...{ url, client, log, onChange },
    onMessage: (event) => {
      if (relay.isMine) onMessage(event);
    },
  });
  const connect = (id: string, listener: ComfySocketListener): ComfySocket =>
    new ComfySocket({
      ...{ baseUrl: url, clientId: id, log, listener },
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
  const own = connect(
    clientId,
    hear(clientId, {
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
        server.onGap();
      },
    }),
  );
  const checkRuns = (): void => {
    server.checkRuns();
  };
  const inherited = new InheritedSockets((id) =>
    connect(id, hear(id, { onOpen: checkRuns, onGap: checkRuns })),
  );
  server.start(own, inherited, () => {
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
