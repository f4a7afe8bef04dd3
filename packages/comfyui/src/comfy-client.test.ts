import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { stringifyJson } from '@tiercel/contracts';
import {
  fileOf,
  type FakeComfyUi,
  findDeadUrl,
  http,
  serveHttp,
  startFakeComfyUi,
  stopEverything,
  until,
} from '@tiercel/testkit';
import { createComfyClient, type ComfyClient } from './comfy-client.ts';
import { failureOf, runMs } from './comfy-client.test-helpers.ts';

let fake: FakeComfyUi;
let client: ComfyClient;

beforeAll(async () => {
  fake = await startFakeComfyUi({
    compactJson: true,
    models: { loras: ['a.safetensors', 'sub/b.safetensors'] },
    embeddings: ['easy'],
  });
  client = createComfyClient({ baseUrl: fake.url, timeoutMs: 5_000 });
});
beforeEach(() => fake.reset());
afterAll(stopEverything);

const SEED = '18446744073709551615';

describe('a prompt', () => {
  test('goes to the server with its 64-bit seed, and history brings it back exactly', async () => {
    const promptId = randomUUID();
    const promptText = `{"1":{"class_type":"RunMs","inputs":{"ms":0,"seed":${SEED}}},"2":{"class_type":"PreviewImage","inputs":{"images":["1",0]}}}`;
    const extraDataText = `{"extra_pnginfo":{"workflow":{"seed":${SEED}}}}`;
    const answer = await client.submit({ promptText, promptId, clientId: 'me', extraDataText });
    expect(answer).toMatchObject({ kind: 'accepted', promptId, nodeErrors: {} });
    const item = await until(() => client.readHistory(promptId));
    expect(stringifyJson(item.prompt)).toContain(`"seed":${SEED}`);
    const { text } = await http(fake.url).get('/__state');
    expect(text).toContain(`"inputs":{"ms":0,"seed":${SEED}}`);
    expect(text).toContain(`"extra_pnginfo":{"workflow":{"seed":${SEED}}}`);
    expect((await fake.state()).prompts.at(-1)).toMatchObject({ promptId, clientId: 'me' });
  });

  test('that the server refuses comes back as the rejection it gave', async () => {
    const answer = await client.submit({ ...runMs(), promptText: '{}' });
    expect(answer).toMatchObject({
      kind: 'rejected',
      rejection: { error: { type: 'prompt_no_outputs' }, node_errors: {} },
    });
    const error = { type: 'odd', message: 'No.', details: 'why', extra_info: { a: 1 } };
    const node_errors = { '1': { errors: [error], dependent_outputs: ['2'], class_type: 'RunMs' } };
    await fake.rejectPrompts({ error, node_errors }, 1);
    expect(await client.submit(runMs())).toEqual({
      kind: 'rejected',
      rejection: { error, node_errors },
    });
  });

  test('whose answer was lost is uncertain, and found in the queue and then in history', async () => {
    await fake.swallowPromptAnswer(1);
    const lost = runMs(300);
    const failure = await failureOf(client.submit(lost));
    expect(failure).toMatchObject({ class: 'network', uncertain: true });
    const { running, pending } = await client.readQueue();
    expect([...running, ...pending]).toEqual([lost.promptId]);
    await until(() => client.readHistory(lost.promptId));
    expect((await fake.state()).runs[lost.promptId]).toBe(1);
  });

  test('whose answer is late is uncertain too, and so is one that is answered with a page', async () => {
    await fake.answerSlowly(2_000, '^POST /prompt$', 1);
    const late = runMs();
    const failure = await failureOf(client.submit(late, undefined, 150));
    expect(failure).toMatchObject({ class: 'timeout', uncertain: true });
    await until(() => client.readHistory(late.promptId));
    await fake.sendGarbage({ kind: 'html' }, 1);
    const page = await failureOf(client.submit(runMs()));
    expect(page).toMatchObject({ class: 'bad_output', uncertain: true, status: 200 });
  });

  test('is refused for certain when nobody listens', async () => {
    const gone = await failureOf(
      createComfyClient({ baseUrl: await findDeadUrl(), timeoutMs: 1_000 }).submit(runMs()),
    );
    expect(gone).toMatchObject({ class: 'network', uncertain: false, status: undefined });
    expect(gone.message).toContain('ECONNREFUSED');
  });

  test('that the caller gives up throws the reason of the signal', async () => {
    await fake.hangRoute('^POST /prompt$', 1);
    const stop = new AbortController();
    const submitted = client.submit(runMs(), stop.signal);
    const reason = new Error('interrupted');
    setTimeout(() => {
      stop.abort(reason);
    }, 50);
    await expect(submitted).rejects.toBe(reason);
    await expect(client.ping(stop.signal)).rejects.toBe(reason);
  });

  test('is interrupted, taken off the queue and out of history by its id alone', async () => {
    const [first, second, third] = [runMs(10_000), runMs(10_000), runMs()];
    for (const each of [first, second, third]) await client.submit(each);
    await until(async () => (await client.readQueue()).running.length === 1);
    expect(await client.readQueue()).toEqual({
      running: [first.promptId],
      pending: [second.promptId, third.promptId],
    });
    expect(await client.ping()).toEqual({ queueRemaining: 3 });
    await client.deletePending(second.promptId);
    await client.interrupt(second.promptId);
    expect((await client.readQueue()).running).toEqual([first.promptId]);
    await client.interrupt(first.promptId);
    await until(() => client.readHistory(third.promptId));
    expect(await client.readHistory(second.promptId)).toBeUndefined();
    await client.deleteHistory([third.promptId]);
    expect(await client.readHistory(third.promptId)).toBeUndefined();
  });
});

describe('files', () => {
  const download = (file: Parameters<ComfyClient['download']>[0], from = client) =>
    from.download(file, async ({ bytes, mediaType }) => {
      if (bytes instanceof Uint8Array) return { bytes, mediaType };
      const parts: Uint8Array[] = [];
      for await (const part of bytes) parts.push(part);
      return { bytes: Buffer.concat(parts), mediaType };
    });

  test('go up under a name and come down with their type', async () => {
    const bytes = new Uint8Array([137, 80, 78, 71, 0, 255]);
    const file = { content: bytes, name: 'ä "1".png', subfolder: 'tiercel' };
    const stored = await client.upload(file);
    expect(stored).toMatchObject({ subfolder: 'tiercel', type: 'input' });
    const down = await download(stored);
    expect([...down.bytes]).toEqual([...bytes]);
    expect(down.mediaType).toBe('image/png');
    const other = await client.upload({ ...file, content: new Uint8Array([1]) });
    expect(other.filename).not.toBe(stored.filename);
    expect(await client.upload({ ...file, content: new Uint8Array([2]), overwrite: true })).toEqual(
      stored,
    );
  });

  test('that are long go up while they are read', async () => {
    const block = Buffer.alloc(512 * 1024, 7);
    let received = 0;
    const arrivals = new EventEmitter();
    const server = await serveHttp((req, res) => {
      const parts: Buffer[] = [];
      req.on('data', (part: Buffer) => {
        received += part.length;
        parts.push(part);
        arrivals.emit('part');
      });
      req.on('end', () => {
        const body = Buffer.concat(parts);
        expect(req.headers['content-length']).toBe(String(body.length));
        expect(body.includes('name="image"; filename="long.mp4"')).toBe(true);
        expect(body.includes('name="overwrite"\r\n\r\ntrue\r\n')).toBe(true);
        res.end(JSON.stringify({ name: 'long.mp4', subfolder: 'tiercel', type: 'input' }));
      });
    });
    const content = {
      sizeBytes: 3 * block.length,
      async *read() {
        for (let sent = 0; sent < 3; sent += 1) {
          // Only when the server has what was read before is there more to read.
          while (received < sent * block.length) await once(arrivals, 'part');
          yield block;
        }
      },
    };
    const long = createComfyClient({ baseUrl: server.url, timeoutMs: 10_000 });
    const file = { content, name: 'long.mp4', subfolder: 'tiercel', overwrite: true };
    expect(await long.upload(file)).toMatchObject({ filename: 'long.mp4', subfolder: 'tiercel' });
    const stored = await client.upload({ ...file, content: fileOf(Buffer.from('short')) });
    expect(Buffer.from((await download(stored)).bytes).toString()).toBe('short');
  });

  test('that are long are passed on while they come', async () => {
    const block = Buffer.alloc(1024 * 1024, 7);
    let sendRest = (): void => undefined;
    const restWanted = new Promise<void>((resolve) => {
      sendRest = resolve;
    });
    const server = await serveHttp((_req, res) => {
      res.setHeader('content-type', 'video/mp4');
      for (let sent = 0; sent < 12; sent += 1) res.write(block);
      void restWanted.then(() => res.end(block));
    });
    const long = createComfyClient({ baseUrl: server.url, timeoutMs: 10_000 });
    const file = { filename: 'long.mp4', subfolder: '', type: 'output' };
    const size = await long.download(file, async ({ bytes }) => {
      if (bytes instanceof Uint8Array) throw new Error('it was held whole');
      let received = 0;
      for await (const part of bytes) {
        received += part.length;
        // Only who has been given the beginning gets the rest.
        if (received > 10 * block.length) sendRest();
      }
      return received;
    });
    expect(size).toBe(13 * block.length);
  });

  test('that break off, or are too long, late are bad output; what the user of one throws is thrown', async () => {
    const block = Buffer.alloc(1024 * 1024, 7);
    const server = await serveHttp((req, res) => {
      for (let sent = 0; sent < 12; sent += 1) res.write(block);
      if (req.url?.includes('cut') === true) {
        res.write(block, () => res.destroy());
      } else res.end();
    });
    const limits = { baseUrl: server.url, timeoutMs: 10_000 };
    const named = (filename: string) => ({ filename, subfolder: '', type: 'output' });
    const cut = failureOf(download(named('cut.mp4'), createComfyClient(limits)));
    expect(await cut).toMatchObject({ class: 'bad_output' });
    const small = createComfyClient({ ...limits, maxFileBytes: 10 * block.length });
    expect((await failureOf(download(named('long.mp4'), small))).message).toContain(
      'over 10485760',
    );
    const used = createComfyClient(limits).download(named('long.mp4'), async ({ bytes }) => {
      for await (const part of bytes as AsyncIterable<Uint8Array>) {
        throw new Error(`no room for ${part.length > 0 ? 'it' : 'nothing'}`);
      }
    });
    await expect(used).rejects.toThrow('no room for it');
  });

  test('that are missing, empty, too long or broken off are bad output', async () => {
    const gone = { filename: 'gone.png', subfolder: '', type: 'output' };
    expect(await failureOf(download(gone))).toMatchObject({
      class: 'bad_output',
      status: 404,
    });
    const stored = await client.upload({
      content: new Uint8Array(5_000),
      name: 'z.bin',
      subfolder: '',
    });
    const small = createComfyClient({ baseUrl: fake.url, timeoutMs: 1_000, maxFileBytes: 4_999 });
    expect((await failureOf(download(stored, small))).message).toContain('over 4999 bytes');
    await fake.sendGarbage({ kind: 'truncated', path: '/view' }, 1);
    expect(await failureOf(download(stored))).toMatchObject({ class: 'bad_output' });
    await fake.failRoute('/view', { status: 200, body: '' }, 1);
    expect(await failureOf(download(stored))).toMatchObject({ class: 'bad_output' });
  });
});

describe('what a server is and has', () => {
  test('comes with exact limits, all folders, and lists', async () => {
    const info = await client.objectInfo();
    expect(stringifyJson(info.KSampler)).toContain(`"max":${SEED}`);
    expect(await client.models()).toMatchObject({
      checkpoints: ['v1-5-pruned-emaonly.safetensors'],
      loras: ['a.safetensors', 'sub/b.safetensors'],
      vae: [],
    });
    expect(await client.embeddings()).toEqual(['easy']);
    expect(await client.extensions()).toEqual(['/extensions/fake/x.js']);
    expect(await client.systemStats()).toMatchObject({ devices: [{ type: 'cpu' }] });
    await client.free({ unload_models: true });
    expect((await fake.state()).frees).toEqual([{ unload_models: true }]);
  });

  test("may hold Python's NaN and Infinity, which become null; texts keep the words", async () => {
    const body =
      '{"A":{"input":{"required":{"x":["FLOAT",{"max":Infinity,"min":-Infinity,"tooltip":"a \\"NaN\\""}]}},"is_changed":[NaN]}}';
    await fake.failRoute('/object_info', { status: 200, body }, 1);
    const options = { max: null, min: null, tooltip: 'a "NaN"' };
    expect(await client.objectInfo()).toEqual({
      A: { input: { required: { x: ['FLOAT', options] } }, is_changed: [null] },
    });
  });
});
