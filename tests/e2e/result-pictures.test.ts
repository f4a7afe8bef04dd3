import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  http,
  startFakeOpenAi,
  startSystem,
  startWorker,
  stopEverything,
  until,
  type EventRecorder,
  type PreviewFrame,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';
import { isIdleAfter, startComfyUiSystem } from './comfyui-system.ts';
import { textToImage } from './fallback-system.ts';
import { post, waitForEnd } from './prompts.ts';

/** Pictures that a node sends to sockets as its result: SaveImageWebsocket and its like. */

const NODES = { NODES_DIR: 'tests/fixtures/nodes' };

afterEach(stopEverything);

const viaWebsocket = (batch: number) => ({
  '1': {
    class_type: 'EmptyImage',
    inputs: { width: 40, height: 30, batch_size: batch, color: 0x123456 },
  },
  save: { class_type: 'SaveImageWebsocket', inputs: { images: ['1', 0] } },
});

const sendPictures = (inputs: { count: number; bytes?: number; delay?: number }) => ({
  send: { class_type: 'SendPictures', inputs: { bytes: 1_000, delay: 0, ...inputs } },
});

function picturesOf(socket: EventRecorder): PreviewFrame[] {
  return socket.frames.filter((frame): frame is PreviewFrame => frame.kind === 'preview');
}

/** The numbers that SendPictures wrote into them. */
function numbersOf(socket: EventRecorder): number[] {
  return picturesOf(socket).map(({ image }) => image.readUInt8(8));
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

/** As ComfyUI's own example does: what comes while the node executes is its picture. */
function collectAsScript(socket: EventRecorder, id: string): Map<string, Buffer[]> {
  const found = new Map<string, Buffer[]>();
  let current = '';
  for (const frame of socket.frames) {
    if (frame.kind === 'preview') {
      found.set(current, [...(found.get(current) ?? []), frame.raw.subarray(8)]);
    } else if (frame.kind === 'text' && frame.type === 'executing') {
      const { node, prompt_id: promptId } = frame.data as {
        node: string | null;
        prompt_id: string;
      };
      if (promptId === id) current = node ?? '';
    }
  }
  return found;
}

async function startTier(tier: string): Promise<{ api: RawHttp; system: TestSystem }> {
  if (tier === 'pool') return await startComfyUiSystem();
  const system = await startSystem();
  return { api: http(system.url), system };
}

describe.each(['embedded', 'pool'])('SaveImageWebsocket (%s)', (tier) => {
  test('reaches a script that announced nothing, and a frontend that did, picture by picture', async () => {
    const { api, system } = await startTier(tier);
    const script = await connectSocket(system.url, { clientId: 'c' });
    const frontend = await connectSocket(system.url, {
      ...{ clientId: 'c', featureFlags: { supports_preview_metadata: true } },
    });
    const id = await post(api, viaWebsocket(8), { client_id: 'c' });
    await script.waitForText('executing', isIdleAfter(id));
    await frontend.waitForText('executing', isIdleAfter(id));
    const [node, ...others] = collectAsScript(script, id);
    expect(others).toEqual([]);
    expect(node![0]).toBe('save');
    expect(node![1]).toHaveLength(8);
    for (const png of node![1]) expect(png.toString('latin1', 1, 4)).toBe('PNG');
    const received = picturesOf(frontend).map(({ event, mediaType, metadata }) => ({
      ...{ event, mediaType },
      node: (metadata as { node_id: string }).node_id,
    }));
    expect(received).toEqual(Array(8).fill({ event: 4, mediaType: 'image/png', node: 'save' }));
  }, 30_000);

  test('waits for a client that is away, and comes once, before the end of its job', async () => {
    const { api, system } = await startTier(tier);
    const id = await post(api, viaWebsocket(8), { client_id: 'c' });
    await waitForEnd(api, id);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    await socket.waitForText('executing', isIdleAfter(id));
    const success = socket.frames.findIndex(
      (frame) => frame.kind === 'text' && frame.type === 'execution_success',
    );
    const pictures = socket.frames.flatMap(({ kind }, at) => (kind === 'preview' ? [at] : []));
    expect(pictures).toHaveLength(8);
    expect(Math.max(...pictures)).toBeLessThan(success);
    expect(collectAsScript(socket, id).get('save')).toHaveLength(8);
    const again = await connectSocket(system.url, { clientId: 'c' });
    const next = await post(api, viaWebsocket(1), { client_id: 'c' });
    await again.waitForText('executing', isIdleAfter(next));
    expect(picturesOf(again)).toHaveLength(1);
  }, 30_000);
});

describe('a result picture', () => {
  test('is made anew for each of equal jobs: no cache answers in its place', async () => {
    const service = await startFakeOpenAi({ latencyMs: 0 });
    const system = await startSystem({
      configYaml: [
        'tiers:',
        `  - { name: api, driver: openai, url: '${service.url}/v1', apiKey: k, model: gpt-image-2 }`,
        '  - { name: embedded, driver: embedded }',
      ].join('\n'),
    });
    const api = http(system.url);
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const sampled = {
      ...textToImage(),
      '9': { class_type: 'SaveImageWebsocket', inputs: { images: ['8', 0] } },
    };
    for (const prompt of [viaWebsocket(1), viaWebsocket(1), sampled, sampled]) {
      const before = picturesOf(socket).length;
      const id = await post(api, prompt, { client_id: 'c' });
      await socket.waitForText('executing', isIdleAfter(id));
      expect(picturesOf(socket).length - before).toBe(1);
    }
  }, 30_000);

  test('is never dropped for a slow reader, and takes no memory while it waits', async () => {
    const system = await startSystem({
      env: NODES,
      // Less than one picture: a preview would be dropped, a text would close the socket.
      configYaml: 'api: { previewBufferBytes: 1000, maxSocketBufferBytes: 1000000 }\n',
    });
    const api = http(system.url);
    const slow = await connectSocket(system.url, { clientId: 'c' });
    const quick = await connectSocket(system.url, { clientId: 'c' });
    slow.pause();
    const before = await readMemory(system.url);
    const id = await post(api, sendPictures({ count: 60, bytes: 2_000_000 }), { client_id: 'c' });
    await quick.waitForText('executing', isIdleAfter(id), 30_000);
    expect(numbersOf(quick)).toEqual(upTo(60));
    expect((await readMemory(system.url)) - before).toBeLessThan(60_000_000);
    slow.resume();
    await slow.waitForText('executing', isIdleAfter(id), 30_000);
    expect(numbersOf(slow)).toEqual(upTo(60));
    expect(picturesOf(slow).every(({ image }) => image.length === 2_000_000)).toBe(true);
  }, 90_000);

  test('comes to a client that was away for a part of the run when it is back', async () => {
    const system = await startSystem({ env: NODES });
    const api = http(system.url);
    const first = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(api, sendPictures({ count: 30, delay: 0.05 }), { client_id: 'c' });
    await until(() => numbersOf(first).length >= 5);
    await first.close();
    await until(() => readdirSync(join(system.dataDir, 'temp/sent')).length >= 15);
    const second = await connectSocket(system.url, { clientId: 'c' });
    await second.waitForText('executing', isIdleAfter(id));
    expect([...numbersOf(first), ...numbersOf(second)]).toEqual(upTo(30));
    expect(collectAsScript(second, id).get('send')).toHaveLength(numbersOf(second).length);
  }, 30_000);

  test('is sent once although its worker is killed and the job runs again', async () => {
    const system = await startSystem({
      ...{ env: NODES, configYaml: 'queue: { lockMs: 2500 }\n' },
    });
    const socket = await connectSocket(system.url, { clientId: 'c' });
    const id = await post(http(system.url), sendPictures({ count: 20, delay: 0.05 }), {
      client_id: 'c',
    });
    await until(() => numbersOf(socket).length >= 8);
    await system.workers[0]!.kill9();
    await startWorker(system.options);
    await socket.waitForText('executing', isIdleAfter(id), 30_000);
    expect(numbersOf(socket)).toEqual(upTo(20));
  }, 60_000);

  test('is named in event streams, for /view', async () => {
    const system = await startSystem({ env: NODES });
    const api = http(system.url);
    const id = await post(api, sendPictures({ count: 3 }));
    const { text } = await api.get(`/api/jobs/${id}/events`);
    const received = [...text.matchAll(/^event: tiercel_picture\ndata: (.*)$/gm)].map(
      (match) => JSON.parse(match[1]!) as { index: number; file: Record<string, string> },
    );
    expect(received.map(({ index }) => index)).toEqual([0, 1, 2]);
    for (const { index, file } of received) {
      const { bytes } = await api.get(`/view?${new URLSearchParams(file).toString()}`);
      expect(bytes.readUInt8(8)).toBe(index);
    }
  });
});

async function readMemory(url: string): Promise<number> {
  const { text } = await http(url).get('/metrics');
  return Number(/^comfy_process_resident_memory_bytes\S* (\S+)$/m.exec(text)?.[1]);
}
