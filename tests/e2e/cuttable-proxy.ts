import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onStopEverything } from '@tiercel/testkit';

/** Stands between a process and Redis, and lets connections go dead as a broken network does. */
export interface CuttableProxy {
  readonly url: string;
  /** Connections on which something has subscribed: from now on nothing comes through, and they stay open. */
  silenceSubscribers(): void;
}

/** @param target as TestRedis.url; `stopEverything` ends it */
export async function startCuttableProxy(target: string): Promise<CuttableProxy> {
  const sockets = new Set<Socket>();
  const subscribers = new Set<Socket>();
  const silenced = new WeakSet<Socket>();
  const { protocol, hostname, port, pathname } = new URL(target);
  const server = createServer((client) => {
    const redis =
      protocol === 'unix:' ? connect(pathname) : connect({ host: hostname, port: Number(port) });
    for (const socket of [client, redis]) {
      sockets.add(socket);
      socket.on('error', () => undefined); // `close` follows
      socket.on('close', () => {
        sockets.delete(socket);
        subscribers.delete(client);
        client.destroy();
        redis.destroy();
      });
    }
    client.on('data', (data) => {
      if (/subscribe/i.test(data.toString('latin1'))) subscribers.add(client);
      if (!silenced.has(client)) redis.write(data);
    });
    redis.on('data', (data) => {
      if (!silenced.has(client)) client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onStopEverything(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    // It listens on a port, not on a pipe.
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    silenceSubscribers: () => {
      for (const client of subscribers) silenced.add(client);
    },
  };
}
