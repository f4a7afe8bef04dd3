import { request, type IncomingMessage } from 'node:http';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { AppError } from '@tiercel/contracts';
import { connectRaw, http, serveHttp, stopEverything, type RawResponse } from '@tiercel/testkit';
import type { Request } from 'express';
import { sendError, sendText } from './answer.ts';
import { readBody, readBytes, streamFileBody } from './read-body.ts';

afterEach(stopEverything);

type Reader = (req: IncomingMessage) => Promise<Buffer>;

const MAX_BYTES = 1_000;
const READERS: [where: string, read: Reader][] = [
  [
    'into memory',
    async (req) => {
      const chunks: Buffer[] = [];
      await readBytes(req, MAX_BYTES, (chunk) => chunks.push(chunk));
      return Buffer.concat(chunks);
    },
  ],
  [
    'onto the disk',
    async (req) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of streamFileBody(req, MAX_BYTES)) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
  ],
];

/** Answers with what was read, or the refusal; `outcome` is the same for who does not stay for the answer. */
async function serve(read: Reader): Promise<{ url: string; outcome: Promise<Buffer | AppError> }> {
  let settle: (outcome: Buffer | AppError) => void = () => undefined;
  const outcome = new Promise<Buffer | AppError>((resolve) => (settle = resolve));
  const { url } = await serveHttp((req, res) => {
    read(req).then(
      (bytes) => {
        settle(bytes);
        sendText(res, bytes.toString());
      },
      (error: unknown) => {
        settle(error as AppError); // whatever else it is fails the test
        sendError(res, error as AppError);
      },
    );
  });
  return { url, outcome };
}

const codeOf = (answer: RawResponse) =>
  (JSON.parse(answer.text) as { error: { type: string } }).error.type;

describe.each(READERS)('a body that is read %s', (_where, read) => {
  async function post(body: Uint8Array, headers: Record<string, string> = {}) {
    const { url } = await serve(read);
    return await http(url).post('/', body, { headers });
  }

  /** Chunked, in pieces that arrive one after the other. */
  async function postPieces(pieces: readonly Uint8Array[], headers: Record<string, string>) {
    const { url } = await serve(read);
    const outgoing = request(url, { method: 'POST', agent: false, headers });
    const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
      outgoing.on('error', reject);
      outgoing.on('response', (res) => {
        const parts: Buffer[] = [];
        res.on('data', (part: Buffer) => parts.push(part));
        res.on('end', () => {
          resolve({ status: res.statusCode ?? 0, text: Buffer.concat(parts).toString() });
        });
      });
    });
    outgoing.setNoDelay(true);
    for (const piece of pieces) {
      await new Promise((sent) => outgoing.write(piece, sent));
      // The server has its turn to read this one by itself.
      await new Promise(setImmediate);
    }
    outgoing.end();
    return await answered;
  }

  const text = Buffer.from('a body of several words, in UTF-8: 猫');

  test.each([
    ['identity', text],
    ['gzip', gzipSync(text)],
    ['X-GZIP', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    [' br ', brotliCompressSync(text)],
  ])('arrives as it was before its Content-Encoding: %s', async (encoding, body) => {
    const headers = { 'content-encoding': encoding };
    expect(await post(body, headers)).toMatchObject({ status: 200, text: text.toString() });
    const one = await postPieces(
      [...body].map((byte) => Uint8Array.of(byte)),
      headers,
    );
    expect(one).toEqual({ status: 200, text: text.toString() });
  });

  test('may be empty', async () => {
    expect(await post(new Uint8Array())).toMatchObject({ status: 200, text: '' });
  });

  test('may be as long as the limit, and not a byte longer, whether its length is told or not', async () => {
    const full = Buffer.alloc(MAX_BYTES, 'x');
    const over = Buffer.alloc(MAX_BYTES + 1, 'x');
    expect((await post(full)).status).toBe(200);
    expect((await postPieces([full], {})).status).toBe(200);
    const declared = await post(over);
    expect([declared.status, codeOf(declared)]).toEqual([413, 'body_too_large']);
    expect((await postPieces([full, over.subarray(0, 1)], {})).status).toBe(413);
  });

  test('counts as long as it is when unpacked', async () => {
    const bomb = Buffer.alloc(10_000_000);
    for (const [encoding, body] of [
      ['gzip', gzipSync(bomb)],
      ['deflate', deflateSync(bomb)],
      ['br', brotliCompressSync(bomb)],
    ] as const) {
      const answer = await postPieces([body.subarray(0, 900)], { 'content-encoding': encoding });
      expect([encoding, answer.status]).toEqual([encoding, 413]);
    }
  });

  test('is refused in a Content-Encoding that is not known', async () => {
    const answer = await post(text, { 'content-encoding': 'zstd' });
    expect([answer.status, codeOf(answer)]).toEqual([415, 'unsupported_encoding']);
    expect(answer.text).toContain('zstd');
  });

  test.each([
    ['gzip', Buffer.from('no gzip at all')],
    ['gzip', gzipSync(text).subarray(0, -10)],
    ['deflate', Buffer.from([0x78, 0x9c, 0xff, 0xff, 0xff])],
    ['br', Buffer.from('no brotli')],
  ])('is refused when it is not what its Content-Encoding says: %s', async (encoding, body) => {
    const answer = await post(body, { 'content-encoding': encoding });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'bad_request']);
    expect(answer.text).toContain('not what its Content-Encoding says');
  });

  test.each([
    ['', Buffer.from('half')],
    ['Content-Encoding: gzip\r\n', gzipSync(Buffer.from('half'))],
    ['Content-Encoding: deflate\r\n', deflateSync(Buffer.from('half')).subarray(0, 1)],
    ['Content-Encoding: deflate\r\nX-Nothing: yet\r\n', Buffer.alloc(0)],
  ])('whose caller leaves in the middle is a refusal, not a body (%j)', async (header, start) => {
    const { url, outcome } = await serve(read);
    const connection = await connectRaw(url);
    connection.send(`POST / HTTP/1.1\r\nHost: h\r\n${header}Content-Length: 900\r\n\r\n`);
    connection.send(start);
    connection.socket.end();
    const refusal = await outcome;
    expect(refusal).toBeInstanceOf(AppError);
    expect(refusal).toMatchObject({ code: 'bad_request', message: 'The body broke off.' });
  });
});

test('a text body that is no UTF-8 is refused', async () => {
  const { url } = await serve(async (req) => {
    await readBody(MAX_BYTES)(req as Request);
    return Buffer.from((req as Request).body as string);
  });
  expect(await http(url).post('/', Buffer.from('猫'))).toMatchObject({ status: 200, text: '猫' });
  const answer = await http(url).post('/', Buffer.from([0x22, 0xff, 0x22]));
  expect([answer.status, codeOf(answer)]).toEqual([400, 'bad_json']);
});
