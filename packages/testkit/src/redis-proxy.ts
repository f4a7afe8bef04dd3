import { randomUUID } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onStopEverything } from './cleanup.ts';

/** Stands between a client and Redis, and lets the test meddle with single commands. */
export interface RedisProxy {
  readonly url: string;
  /**
   * Redis carries out the next command that holds `text`, but its reply never arrives: the connection breaks.
   * Resolves when that has happened.
   */
  loseReplyTo(text: string): Promise<void>;
  /** Does something just before Redis gets the next command that holds `text`; all behind it waits. */
  before(text: string, act: () => Promise<void>): void;
}

type Rule =
  | { readonly text: string; readonly kind: 'lose'; readonly lost: () => void }
  | { readonly text: string; readonly kind: 'before'; readonly act: () => Promise<void> };

/** A proxy on a port of its own; `stopEverything` ends it. @param target as TestRedis.url, without a password */
export async function startRedisProxy(target: string): Promise<RedisProxy> {
  const rules: Rule[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connectTo(target);
    for (const socket of [client, redis]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined); // told by `close`
    }
    join(client, redis, rules);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onStopEverything(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
  return {
    url: `redis://127.0.0.1:${port}`,
    loseReplyTo: (text) =>
      new Promise((resolve) => {
        rules.push({ text, kind: 'lose', lost: resolve });
      }),
    before: (text, act) => {
      rules.push({ text, kind: 'before', act });
    },
  };
}

function connectTo(target: string): Socket {
  const { protocol, hostname, port, pathname } = new URL(target);
  return protocol === 'unix:' ? connect(pathname) : connect(Number(port), hostname);
}

/** Passes whole commands on, one after the other, so that a rule concerns exactly one. */
function join(client: Socket, redis: Socket, rules: Rule[]): void {
  let waiting = Buffer.alloc(0);
  let isWaitingFor: string | undefined;
  let work: Promise<void> = Promise.resolve();
  let onLost = (): void => undefined;
  let dropped = Buffer.alloc(0);

  const cut = (): void => {
    client.destroy();
    redis.destroy();
  };
  const passOn = async (command: Buffer): Promise<void> => {
    const found = rules.findIndex(({ text }) => command.includes(text));
    const [rule] = found < 0 ? [] : rules.splice(found, 1);
    if (rule?.kind === 'before') await rule.act();
    redis.write(command);
    if (rule?.kind !== 'lose') return;
    // Replies keep their order: when the answer to this arrives, Redis has carried out the command.
    isWaitingFor = randomUUID();
    onLost = rule.lost;
    redis.write(`*2\r\n$4\r\nPING\r\n$${isWaitingFor.length}\r\n${isWaitingFor}\r\n`);
  };
  client.on('data', (data: Buffer) => {
    waiting = Buffer.concat([waiting, data]);
    for (let length = measure(waiting); length > 0; length = measure(waiting)) {
      const command = waiting.subarray(0, length);
      waiting = waiting.subarray(length);
      work = work.then(() => (isWaitingFor === undefined ? passOn(command) : undefined));
    }
  });
  redis.on('data', (data: Buffer) => {
    if (isWaitingFor === undefined) {
      client.write(data);
      return;
    }
    dropped = Buffer.concat([dropped, data]);
    if (!dropped.includes(isWaitingFor)) return;
    cut();
    onLost();
  });
  client.on('close', cut);
  redis.on('close', cut);
}

/** Bytes of the command that a buffer begins with (RESP: an array of strings); 0 when it is not complete. */
function measure(buffer: Buffer): number {
  let at = buffer.indexOf('\r\n');
  if (at < 0) return 0;
  const count = Number(buffer.toString('latin1', 1, at));
  at += 2;
  for (let item = 0; item < count; item += 1) {
    const end = buffer.indexOf('\r\n', at);
    if (end < 0) return 0;
    at = end + 2 + Number(buffer.toString('latin1', at + 1, end)) + 2;
  }
  return at <= buffer.length ? at : 0;
}
