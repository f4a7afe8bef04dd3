import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { connectRaw, stopEverything, until } from '@tiercel/testkit';
import { closeLingering } from './linger.ts';

afterEach(stopEverything);

/** A server that says goodbye to whoever says anything. */
async function startServer(limits: { totalMs: number; silenceMs: number }) {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.once('readable', () => {
      socket.write('goodbye');
      closeLingering(socket, limits);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
  return {
    url: `http://127.0.0.1:${port}`,
    isClosed: () => sockets[0]?.destroyed === true,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

describe('a connection that is closed while its peer may still send', () => {
  test('goes when the peer has ended too', async () => {
    const server = await startServer({ totalMs: 60_000, silenceMs: 60_000 });
    const peer = await connectRaw(server.url);
    peer.send('x'.repeat(1_000_000));
    expect(await peer.closed).toBe('goodbye');
    await until(server.isClosed);
    await server.close();
  });

  test('does not wait for ever for one that says nothing and stays', async () => {
    const server = await startServer({ totalMs: 60_000, silenceMs: 50 });
    const peer = await connectRaw(server.url, { allowHalfOpen: true });
    peer.send('x');
    await until(() => peer.text === 'goodbye' && server.isClosed());
    await server.close();
  });

  test('nor for one that never stops sending', async () => {
    const server = await startServer({ totalMs: 200, silenceMs: 60_000 });
    const peer = await connectRaw(server.url, { allowHalfOpen: true });
    const sending = setInterval(() => {
      peer.send('x');
    }, 10);
    await until(() => peer.text === 'goodbye' && server.isClosed());
    await peer.closed;
    clearInterval(sending);
    await server.close();
  });
});
