import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAppError, OPEN_CALLER } from '@tiercel/contracts';
import { MemoryBudget, PictureEditor } from '@tiercel/pictures';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Route } from './route.ts';

/** For tests only: routes on a bare Express application, and a client that sends paths as they are. */
export interface TestServer {
  readonly port: number;
  readonly url: string;
  send(method: string, path: string, options?: SendOptions): Promise<Answer>;
  close(): Promise<void>;
}

interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  json(): unknown;
}

export async function makeDataFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'tiercel-api-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export function createEditor(maxPixels: number, maxBytes = 64 * 1024 * 1024): PictureEditor {
  return new PictureEditor({
    limits: { maxPixels, setting: 'api.maxPixels' },
    memory: new MemoryBudget({
      ...{ maxBytes, commonShare: 1 / 8 },
      setting: 'api.pictureMemoryBytes',
    }),
  });
}

export async function serveRoutes(routes: readonly Route[]): Promise<TestServer> {
  const app = express();
  app.use((_req: Request, res: Response, next: NextFunction) => {
    res.locals.caller = OPEN_CALLER;
    next();
  });
  for (const route of routes) mount(app, route);
  app.use((_req, res) => {
    res.status(404).end();
  });
  app.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) next(error);
    else if (isAppError(error)) {
      res.setHeader('x-message', encodeURIComponent(error.message));
      res.status(error.status).json({ error: error.code });
    } else res.status(500).json({ error: String(error) });
  });
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    send: (method, path, options = {}) => send(port, method, path, options),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function mount(app: express.Express, route: Route): void {
  const prefix = route.prefix ?? 'both';
  const paths = [
    ...(prefix === 'api' ? [] : [route.path]),
    ...(prefix === 'bare' ? [] : [`/api${route.path}`]),
  ];
  const method = route.method.toLowerCase() as 'get' | 'post' | 'put' | 'patch' | 'delete';
  const readers = route.body === 'text' ? [express.text({ type: () => true, limit: '1mb' })] : [];
  for (const path of paths) {
    app[method](path, ...readers, (req: Request, res: Response) => route.handle(req, res));
  }
}

function send(port: number, method: string, path: string, options: SendOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers };
    const call = request(
      { host: '127.0.0.1', port, method, path, headers, agent: false },
      (res) => {
        const blocks: Buffer[] = [];
        res.on('data', (block: Buffer) => blocks.push(block));
        res.on('error', reject);
        res.on('end', () => {
          const bytes = Buffer.concat(blocks);
          const text = bytes.toString();
          resolve({
            status: res.statusCode ?? 0,
            reason: res.statusMessage ?? '',
            headers: res.headers,
            bytes,
            text,
            json: () => JSON.parse(text) as unknown,
          });
        });
      },
    );
    call.on('error', reject);
    call.end(options.body);
  });
}
