import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onStopEverything } from './cleanup.ts';

/** A server of a test's own. */
export interface HttpServer {
  readonly url: string;
  /** Ends it and cuts its connections; `stopEverything` does it too. */
  readonly close: () => Promise<void>;
}

/** Serves HTTP as the test says, on a free port of 127.0.0.1: for what a fake server cannot be told. */
export async function serveHttp(listener: RequestListener): Promise<HttpServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  onStopEverything(close);
  const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
  return { url: `http://127.0.0.1:${port}`, close };
}

/** The URL of a port where somebody listened a moment ago. */
export async function findDeadUrl(): Promise<string> {
  const { url, close } = await serveHttp(() => undefined);
  await close();
  return url;
}
