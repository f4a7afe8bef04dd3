import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onStopEverything } from '../cleanup.ts';
import { send } from '../fake-comfyui/answer.ts';
import { answerControl, CONTROL_PATH, type FakeServiceState } from './control.ts';
import { serveExchange } from './exchange.ts';
import { FaultSwitch, type FakeFault, type FakeFaultName } from './faults.ts';
import { ServiceLog, type ServiceWorld } from './service-log.ts';
import { readWireRequest, type FakeVendor, type WireRequest } from './wire.ts';

export interface FakeServiceOptions {
  /** Default 0: any free port of 127.0.0.1. */
  readonly port?: number;
  /** How long making a picture takes; default 0. Refusals come at once. */
  readonly latencyMs?: number;
}

/** A local server that speaks an image vendor's wire. */
export interface FakeService {
  /** Scheme, host and port. The vendor's paths (`/v1`, `/client/v4`) come behind it. */
  readonly url: string;
  /** What it was asked, oldest first; the last 2000 requests. */
  readonly requests: () => readonly WireRequest[];
  /** What it is and does at the moment, as GET /__control answers. */
  readonly state: () => FakeServiceState;
  /** From now on; a name alone means every request for pictures. Counts of the last fault are gone. */
  readonly setFault: (fault: FakeFault | FakeFaultName | undefined) => void;
  readonly setLatency: (latencyMs: number) => void;
  /** Ends at once, with every connection. A second call does nothing. */
  readonly stop: () => Promise<void>;
}

/** Starts a vendor's server on 127.0.0.1; `stopEverything` ends it. */
export async function startFakeService(
  vendor: FakeVendor,
  options: FakeServiceOptions = {},
): Promise<FakeService> {
  const world: ServiceWorld = {
    ...{ vendor, faults: new FaultSwitch(), log: new ServiceLog() },
    latencyMs: options.latencyMs ?? 0,
  };
  const connections = new Set<Socket>();
  const server = createServer((request, response) => {
    void serve(world, request, response);
  });
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo; // a TCP server's address is an object
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of connections) socket.destroy();
    await closed;
  };
  onStopEverything(stop);
  return {
    url: `http://127.0.0.1:${port}`,
    requests: () => world.log.requests,
    state: () => describe(world),
    setFault: (fault) => {
      world.faults.set(typeof fault === 'string' ? { name: fault } : fault);
    },
    setLatency: (latencyMs) => {
      world.latencyMs = latencyMs;
    },
    stop,
  };
}

async function serve(
  world: ServiceWorld,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const body = await readBody(incoming);
    const target = incoming.url ?? '/';
    const method = incoming.method ?? 'GET';
    const request = await readWireRequest(method, target, incoming.headers, body);
    if (request.path === CONTROL_PATH) {
      send(
        response,
        answerControl(world, request, () => describe(world)),
      );
      return;
    }
    world.log.record(request);
    await serveExchange(world, request, response);
  } catch {
    // The client has gone, or the fake has a bug: either way the connection is of no more use.
    response.destroy();
  }
}

function describe({ vendor, faults, log, latencyMs }: ServiceWorld): FakeServiceState {
  const counts = { ...log.counts, faults: faults.met };
  return { vendor: vendor.name, fault: faults.fault ?? null, latencyMs, counts };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer); // no encoding is set
  return Buffer.concat(parts);
}
