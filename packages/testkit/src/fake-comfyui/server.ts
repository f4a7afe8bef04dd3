import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson, toPythonJson } from '@tiercel/contracts';
import {
  empty,
  json,
  JSON_TYPE,
  send,
  sendTruncated,
  serverError,
  text,
  type Answer,
} from './answer.ts';
import { Catalogue } from './catalogue.ts';
import { applyControl, isControl } from './control.ts';
import { Executor } from './executor.ts';
import { Faults, type RouteEffect } from './faults.ts';
import { FakeFiles } from './files.ts';
import { FakeHistory } from './history.ts';
import { Journal } from './journal.ts';
import { completeOptions, type FakeComfyUiOptions } from './options.ts';
import { PromptQueue } from './prompt-queue.ts';
import { dispatch, type FakeRequest, type Route } from './router.ts';
import { fileRoutes } from './routes-files.ts';
import { infoRoutes } from './routes-info.ts';
import { promptRoutes } from './routes-prompt.ts';
import { queueRoutes } from './routes-queue.ts';
import { FakeSockets } from './sockets.ts';
import { describeState } from './state.ts';
import type { FakeWorld } from './world.ts';

export interface FakeServer {
  readonly url: string;
  /** Ends at once, with every connection. */
  close(): void;
}

/**
 * A ComfyUI 0.3.64 as seen over HTTP and WebSocket, on 127.0.0.1; see docs/wire.md. It runs graphs of its own
 * few classes and can be told to misbehave (POST /__control); GET /__state tells what it was asked.
 * @param die how `dieMidRun` ends it
 */
export async function serveFakeComfyUi(
  options: FakeComfyUiOptions & { readonly folder: string },
  die: () => void,
): Promise<FakeServer> {
  const world = createWorld(options, die);
  const routes = [
    ...promptRoutes(world),
    ...queueRoutes(world),
    ...fileRoutes(world),
    ...infoRoutes(world),
  ];
  const connections = new Set<Socket>();
  const server = createServer((request, response) => {
    void serveRequest(world, routes, request, response);
  });
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    void acceptSocket(world, request, socket, head);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(world.settings.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo; // a TCP server's address is an object
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      world.queue.close();
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

function createWorld(
  options: FakeComfyUiOptions & { readonly folder: string },
  die: () => void,
): FakeWorld {
  const settings = completeOptions(options, options.folder);
  const [files, faults, sockets] = [
    new FakeFiles(settings.folder),
    new Faults(),
    new FakeSockets(settings),
  ];
  const journal = new Journal(settings.folder);
  const history = new FakeHistory(journal, settings.keepsHistory);
  const catalogue = new Catalogue(settings, files);
  const executor = new Executor({ settings, files, sockets, faults, journal, catalogue, die });
  const queue = new PromptQueue({ settings, executor, history, sockets, faults });
  const parts = { settings, files, catalogue, sockets, executor, queue, history, faults, journal };
  return { ...parts, requests: new Map() };
}

/** `/api/x` is `/x`. */
function stripApi(url: string): string {
  return url.replace(/^\/api(?=\/)/, '');
}

/** A page of another site may not speak to a server on loopback (wire 1.7). */
function isForeign({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host !== host;
}

/** A proxy in front asks for a login, and this request has another or none. */
function isLockedOut({ settings }: FakeWorld, { headers }: IncomingMessage): boolean {
  const expected = `Basic ${Buffer.from(settings.login).toString('base64')}`;
  return settings.login !== '' && headers.authorization !== expected;
}

async function serveRequest(
  world: FakeWorld,
  routes: readonly Route[],
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = incoming.method ?? 'GET';
  const url = stripApi(incoming.url ?? '/');
  const { pathname: path, searchParams: query } = new URL(url, 'http://x');
  const body = await readBody(incoming).catch(() => undefined);
  if (body === undefined) return; // the client has gone
  if (path === '/__control' || path === '/__state') {
    send(response, answerTest(world, path, body));
    return;
  }
  if (isLockedOut(world, incoming)) {
    const refusal = text(401, 'Unauthorized');
    send(response, { ...refusal, headers: { ...refusal.headers, 'www-authenticate': 'Basic' } });
    return;
  }
  const key = `${method} ${path}`;
  world.requests.set(key, (world.requests.get(key) ?? 0) + 1);
  const effect = world.faults.takeRoute(`${method} ${url}`);
  if (effect?.kind === 'hang') return;
  if (effect?.kind === 'answer') {
    send(response, text(effect.status, effect.body, effect.contentType));
    return;
  }
  const request = { method, path, query, headers: incoming.headers, body };
  const answer = isForeign(incoming) ? empty(403) : await answerRequest(routes, request);
  const named = { ...answer.headers, 'x-fake-comfyui': world.settings.name };
  const isCompact = world.settings.compactJson || answer.headers['content-type'] !== JSON_TYPE;
  const spelt = isCompact ? answer.body : Buffer.from(toPythonJson(answer.body.toString()));
  const shaped = { ...answer, headers: named, body: spelt };
  await deliver(response, shaped, effect, method === 'HEAD');
}

async function answerRequest(routes: readonly Route[], request: FakeRequest): Promise<Answer> {
  try {
    return await dispatch(routes, request);
  } catch {
    return serverError();
  }
}

async function deliver(
  response: ServerResponse,
  answer: Answer,
  effect: RouteEffect | undefined,
  isHead: boolean,
): Promise<void> {
  if (effect?.kind === 'swallow') {
    response.destroy();
    return;
  }
  if (effect?.kind === 'truncate') {
    sendTruncated(response, answer);
    return;
  }
  if (effect?.kind === 'slow') await sleep(effect.ms);
  send(response, answer, isHead);
}

function answerTest(world: FakeWorld, path: string, body: Buffer): Answer {
  if (path === '/__state') {
    const requests = Object.fromEntries(world.requests);
    return json(describeState(world.journal, { sockets: world.sockets.sids, requests }));
  }
  try {
    const control: unknown = parseJson(body.toString());
    if (!isControl(control)) return text(400, 'not a control');
    applyControl(world, control);
    return empty();
  } catch (error) {
    return text(400, String(error));
  }
}

async function acceptSocket(
  world: FakeWorld,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => undefined); // the client has gone
  const url = stripApi(request.url ?? '/');
  const effect = world.faults.takeRoute(`GET ${url}`);
  if (effect?.kind === 'hang') return;
  if (effect?.kind === 'slow') await sleep(effect.ms);
  const isSocketPath = new URL(url, 'http://x').pathname === '/ws';
  const refusal =
    effect?.kind === 'answer'
      ? effect.status
      : isLockedOut(world, request)
        ? 401
        : isForeign(request)
          ? 403
          : isSocketPath
            ? 0
            : 404;
  if (effect?.kind === 'swallow' || effect?.kind === 'truncate') {
    socket.destroy();
  } else if (refusal !== 0) {
    socket.end(`HTTP/1.1 ${refusal} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  } else {
    world.sockets.accept(request, socket, head, {
      remaining: () => world.queue.remaining,
      currentNode: (sid) => world.executor.currentNode(sid),
    });
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer); // no encoding is set
  return Buffer.concat(parts);
}
