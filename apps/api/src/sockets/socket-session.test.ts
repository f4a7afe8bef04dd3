import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { plainNode, type Preview, type ResultPicture } from '@tiercel/contracts';
import {
  connectSocket,
  onStopEverything,
  stopEverything,
  until,
  type EventRecorder,
  type Frame,
} from '@tiercel/testkit';
import { WebSocketServer } from 'ws';
import { SocketCounters } from './socket-counters.ts';
import { SocketSession, type SessionOptions } from './socket-session.ts';

afterEach(stopEverything);

const KB = 1_000;
const LIMITS = { previewBytes: 50 * KB, progressBytes: 100 * KB, closeBytes: 300 * KB };

interface Opened {
  readonly session: SocketSession;
  readonly client: EventRecorder;
  readonly counters: SocketCounters;
}

/** A session on a real socket, and the client at its other end. */
async function open(change: Partial<SessionOptions> = {}): Promise<Opened> {
  const counters = new SocketCounters();
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const opened = new Promise<SocketSession>((resolve) => {
    server.on('upgrade', (req, connection, head) => {
      sockets.handleUpgrade(req, connection, head, (socket) => {
        const session = new SocketSession(socket, connection, {
          ...{ limits: LIMITS, previewsAlways: false, counters },
          readPicture: ({ file }) => Promise.resolve(Buffer.from(file.filename)),
          ...change,
        });
        socket.on('message', (data: Buffer) => {
          session.readFrame(data.toString(), () => frame('our features'));
        });
        resolve(session);
      });
    });
  });
  onStopEverything(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
  const client = await connectSocket(`http://127.0.0.1:${port}`);
  return { session: await opened, client, counters };
}

const frame = (what: string) => JSON.stringify({ type: what, data: {} });
/** A frame of about so many bytes. */
const long = (what: string, bytes: number) =>
  JSON.stringify({ type: what, data: { pad: 'x'.repeat(bytes) } });
const announcement = (data: object) => JSON.stringify({ type: 'feature_flags', data });

const preview = (change: Partial<Preview> = {}): Preview => ({
  ...{ promptId: 'job', node: plainNode('5'), mediaType: 'image/jpeg', forAll: false },
  bytes: Buffer.from('preview'),
  ...change,
});
const picture = (filename: string): ResultPicture => ({
  ...{ prompt_id: 'job', index: 0, node: plainNode('9'), image_type: 'image/png' },
  file: { filename, subfolder: '', type: 'output' },
});

/** What a frame is, in a word: the type of a text, the bytes of a picture. */
function wordOf(received: Frame): string {
  if (received.kind === 'text') return received.type;
  return received.kind === 'preview' ? received.image.toString() : received.kind;
}
let marks = 0;
/** What the client has received of all that was sent so far. */
async function received({ session, client }: Opened): Promise<string[]> {
  marks += 1;
  const mark = `mark ${marks}`;
  session.sendText(frame(mark));
  await client.waitForText(mark);
  return client.frames.map(wordOf).filter((word) => !word.startsWith('mark '));
}

describe('the handshake of features', () => {
  test('is answered once, when the first message announces some', async () => {
    const opened = await open();
    const { session, client } = opened;
    client.send(announcement({ supports_preview_metadata: true, supports_tiercel_report: true }));
    client.send(announcement({ supports_preview_metadata: false }));
    await until(() => session.wantsMetadata);
    expect(session.wantsReport).toBe(true);
    await client.waitForText('our features');
    session.ping(); // its pong is behind all that the client sent
    expect(await received(opened)).toEqual(['our features']);
    expect(session.wantsMetadata).toBe(true);
  });

  test('may come after what is no JSON, but not after another message', async () => {
    const garbled = await open();
    garbled.client.send('no JSON');
    garbled.client.send(announcement({}));
    await garbled.client.waitForText('our features');
    expect([garbled.session.wantsMetadata, garbled.session.wantsReport]).toEqual([false, false]);

    let seen = 0;
    const late = await open();
    const read = late.session.readFrame.bind(late.session);
    late.session.readFrame = (...args) => {
      read(...args);
      seen += 1;
    };
    late.client.send(JSON.stringify({ type: 'hello', data: {} }));
    late.client.send(announcement({ supports_preview_metadata: true }));
    await until(() => seen === 2);
    expect(late.session.wantsMetadata).toBe(false);
    expect(await received(late)).toEqual([]);
  });
});

describe('previews', () => {
  test('that nobody asked for go to sockets that announced features, or to all when so set', async () => {
    const silent = await open();
    silent.session.sendPreview(preview());
    expect(await received(silent)).toEqual([]);
    silent.session.sendPreview(preview({ forAll: true }));
    expect(await received(silent)).toEqual(['preview']);

    const always = await open({ previewsAlways: true });
    always.session.sendPreview(preview());
    expect(await received(always)).toEqual(['preview']);

    const announced = await open();
    announced.client.send(announcement({}));
    await announced.client.waitForText('our features');
    announced.session.sendPreview(preview());
    expect(await received(announced)).toEqual(['our features', 'preview']);
  });

  test('that were there before the announcement follow it, unless something came after them', async () => {
    const early = await open();
    early.session.sendPreview(preview({ bytes: Buffer.from('older') }));
    early.session.sendPreview(preview({ bytes: Buffer.from('newest') }));
    early.client.send(announcement({ supports_preview_metadata: true }));
    await early.client.waitForText('our features');
    expect(await received(early)).toEqual(['our features', 'newest']);

    const stale = await open();
    stale.session.sendPreview(preview());
    stale.session.sendText(frame('the end'));
    stale.client.send(announcement({}));
    await stale.client.waitForText('our features');
    expect(await received(stale)).toEqual(['the end', 'our features']);
  });

  test('have metadata for who announced that he reads it', async () => {
    const plain = await open({ previewsAlways: true });
    plain.session.sendPreview(preview({ mediaType: 'image/png' }));
    const bare = await plain.client.waitFor(({ kind }) => kind === 'preview');
    expect(bare).toMatchObject({ event: 1, mediaType: 'image/png', metadata: undefined });

    const { session, client } = await open();
    client.send(announcement({ supports_preview_metadata: true }));
    await client.waitForText('our features');
    session.sendPreview(preview());
    expect(await client.waitFor(({ kind }) => kind === 'preview')).toMatchObject({
      ...{ event: 4, mediaType: 'image/jpeg' },
      metadata: { node_id: '5', prompt_id: 'job', image_type: 'image/jpeg' },
    });
  });

  test('that are text have the same form for everybody', async () => {
    const { session, client } = await open();
    session.sendPreview(
      preview({ mediaType: 'text/plain', bytes: Buffer.from('so far'), forAll: true }),
    );
    const text = await client.waitFor(({ kind }) => kind === 'progress_text');
    expect(text).toMatchObject({ nodeId: '5', text: 'so far' });
  });
});

describe('a socket whose client is slow', () => {
  test('loses previews first, then progress, and no other message; all in order', async () => {
    const opened = await open({ previewsAlways: true });
    const { session, counters } = opened;
    // Nothing of it has left when the next comes.
    session.sendTogether(() => {
      session.sendText(long('a', 40 * KB));
      session.sendPreview(preview());
      session.sendProgress(frame('progress 1'));
      session.sendText(long('b', 40 * KB));
      session.sendPreview(preview({ bytes: Buffer.from('dropped') }));
      session.sendProgress(frame('progress 2'));
      session.sendText(long('c', 40 * KB));
      session.sendProgress(frame('progress dropped'));
      session.sendText(frame('d'));
    });
    expect(await received(opened)).toEqual([
      ...['a', 'preview', 'progress 1', 'b', 'progress 2', 'c', 'd'],
    ]);
    expect(counters.read()).toMatchObject({ previewsDropped: 1, slowClosed: { socket: 0 } });
    // Caught up: it loses nothing more.
    session.sendProgress(frame('progress 3'));
    session.sendPreview(preview());
    expect((await received(opened)).slice(-2)).toEqual(['progress 3', 'preview']);
  });

  test('is closed when it has more to take than it may have', async () => {
    const { session, client, counters } = await open();
    const flushed: string[] = [];
    session.sendTogether(() => {
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        session.sendText(long(name, 100 * KB), () => flushed.push(name));
      }
    });
    expect(session.isOpen).toBe(false);
    await client.closed;
    expect(counters.read().slowClosed.socket).toBe(1);
    expect(flushed).not.toContain('e');
    session.sendText(frame('too late'));
    session.sendPreview(preview({ forAll: true }));
    session.sendPicture(picture('too late'), () => flushed.push('too late'));
    await turn();
    expect(flushed).not.toContain('too late');
  });
});

describe('pictures that are results', () => {
  test('keep their place among the other messages, and are told of when they have left', async () => {
    const opened = await open();
    const { session } = opened;
    const left: string[] = [];
    const noting = (name: string) => () => left.push(name);
    session.sendText(frame('a'), noting('a'));
    session.sendPicture(picture('one.png'), noting('one.png'));
    session.sendPicture(picture('two.png'), noting('two.png'));
    session.sendText(frame('b'), noting('b'));
    session.sendPicture(picture('three.png'), noting('three.png'));
    session.sendProgress(frame('progress'));
    const order = ['a', 'one.png', 'two.png', 'b', 'three.png'];
    expect(await received(opened)).toEqual([...order, 'progress']);
    expect(left).toEqual(order);
  });

  test('are read one at a time, the next when the one before has left', async () => {
    let reading = 0;
    let most = 0;
    const opened = await open({
      readPicture: async ({ file }) => {
        reading += 1;
        most = Math.max(most, reading);
        await turn();
        reading -= 1;
        return Buffer.from(file.filename);
      },
    });
    const names = Array.from({ length: 20 }, (_, n) => `${n}.png`);
    for (const name of names) opened.session.sendPicture(picture(name), () => undefined);
    expect(await received(opened)).toEqual(names);
    expect(most).toBe(1);
  });

  test('are read only when the socket has taken what went before', async () => {
    const order: string[] = [];
    const opened = await open({
      readPicture: ({ file }) => {
        order.push('the picture is read');
        return Promise.resolve(Buffer.from(file.filename));
      },
    });
    const { session } = opened;
    session.sendTogether(() => {
      session.sendText(long('a', 200 * KB), () => order.push('the text has left'));
      session.sendPicture(picture('x.png'), () => undefined);
    });
    expect(await received(opened)).toEqual(['a', 'x.png']);
    expect(order).toEqual(['the text has left', 'the picture is read']);
  });

  test('that are gone are passed over, and count as told', async () => {
    const opened = await open({
      readPicture: ({ file }) =>
        Promise.resolve(file.filename === 'gone.png' ? undefined : Buffer.from(file.filename)),
    });
    const called: string[] = [];
    for (const name of ['gone.png', 'there.png']) {
      opened.session.sendPicture(picture(name), () => called.push(name));
    }
    expect(await received(opened)).toEqual(['there.png']);
    expect(called).toEqual(['gone.png', 'there.png']);
  });

  test('that cannot be read now close the socket, and count as not told', async () => {
    const { session, client } = await open({
      readPicture: () => Promise.reject(new Error('the disk is away')),
    });
    let wasCalled = false;
    session.sendPicture(picture('x.png'), () => {
      wasCalled = true;
    });
    session.sendText(frame('behind it'));
    expect(await client.closed).toBe(1013);
    expect(wasCalled).toBe(false);
    expect(client.frames).toEqual([]);
  });

  test('hold back what comes after them, up to the limits of the socket', async () => {
    let letGo: (bytes: Buffer) => void = () => undefined;
    const opened = await open({
      previewsAlways: true,
      readPicture: () => new Promise((resolve) => (letGo = resolve)),
    });
    const { session, client, counters } = opened;
    session.sendPicture(picture('x.png'), () => undefined);
    session.sendPreview(preview());
    session.sendText(long('a', 110 * KB));
    session.sendProgress(frame('progress dropped'));
    session.sendText(frame('b'));
    await until(() => counters.read().previewsDropped === 1);
    expect(client.frames).toEqual([]);
    letGo(Buffer.from('x.png'));
    expect(await received(opened)).toEqual(['x.png', 'a', 'b']);

    session.sendPicture(picture('y.png'), () => undefined);
    for (let n = 0; n < 5; n += 1) session.sendText(long('c', 100 * KB));
    await client.closed;
    expect(counters.read().slowClosed.socket).toBe(1);
  });
});

describe('what was on its way when the client went', () => {
  /** More than the operating systems of both sides take. */
  const HUGE_BYTES = 50_000_000;

  test.each(['text', 'picture'])('counts as not told: a %s', async (kind) => {
    const { session, client } = await open({
      readPicture: () => Promise.resolve(Buffer.alloc(HUGE_BYTES)),
    });
    client.pause();
    const called: string[] = [];
    const noting = (name: string) => () => called.push(name);
    session.sendText(frame('before'), noting('before'));
    if (kind === 'text') session.sendText(long('huge', HUGE_BYTES), noting('huge'));
    else session.sendPicture(picture('huge'), noting('huge'));
    await until(() => called.length > 0);
    await turn();
    session.sendText(frame('behind it'), noting('behind it'));
    client.terminate();
    await until(() => !session.isOpen);
    await turn();
    expect(called).toEqual(['before']);
  });
});

test('a peer that has not answered one ping by the next is let go', async () => {
  const { session, client } = await open();
  session.ping();
  session.isAlive = true; // its pong came
  session.ping();
  expect(session.isOpen).toBe(true);
  session.ping();
  expect(await client.closed).toBe(1006);
});
