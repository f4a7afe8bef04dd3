import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  DEFAULT_TENANT,
  parseJson,
  type WorkerCapabilities,
  type Device,
} from '@tiercel/contracts';
import { WorkerRegistry, type LiveWorker } from '@tiercel/events';
import { startTestRedis, stopEverything, until, type TestRedis } from '@tiercel/testkit';
import {
  registerWorker,
  log,
  nodeClass,
  openRegistry,
  type RegistryParts,
} from './catalogue.test-helpers.ts';
import { Catalogue } from './catalogue.ts';

const DEVICE: Device = {
  ...{ name: 'cuda:0', type: 'cuda', index: 0 },
  ...{ vram_total: 8, vram_free: 4, torch_vram_total: 2, torch_vram_free: 1 },
};

let server: TestRedis;
let parts: RegistryParts;
let catalogue: Catalogue | undefined;

beforeAll(async () => {
  server = await startTestRedis();
  parts = openRegistry(server.url);
});
beforeEach(() => server.flush());
afterEach(() => catalogue?.stop());
afterAll(async () => {
  parts.close();
  await stopEverything();
});

const register = (
  workerId: string,
  classes: readonly string[],
  change?: Partial<WorkerCapabilities>,
): Promise<void> => registerWorker(parts.registry, workerId, classes, change);

function create(from: WorkerRegistry, files: readonly string[] = []): Catalogue {
  catalogue = new Catalogue({ registry: from, listInputFiles: () => Promise.resolve(files), log });
  return catalogue;
}

async function open(files: readonly string[] = []): Promise<Catalogue> {
  const opened = create(parts.registry, files);
  await opened.start(parts.subscriber);
  return opened;
}

async function readClass(from: Catalogue, name: string): Promise<unknown> {
  const text = await from.classText(name, DEFAULT_TENANT);
  return (parseJson(text) as Record<string, unknown>)[name];
}

describe('the catalogue of several workers', () => {
  test('has the classes of all, and each list has the choices of all, the first catalogue’s first', async () => {
    const loader = (choices: string) =>
      nodeClass('Loader', `{"ckpt":[${choices},{"tooltip":"t"}]}`);
    await register('a', [loader('["z","b"]'), nodeClass('OnlyA', '{}')]);
    await register('b', [loader('["b","a"]'), nodeClass('OnlyB', '{}')]);
    const union = await open();
    expect(Object.keys(union.objectInfo).sort()).toEqual(['Loader', 'OnlyA', 'OnlyB']);
    expect(await readClass(union, 'Loader')).toMatchObject({
      input: { required: { ckpt: [['z', 'b', 'a'], { tooltip: 't' }] } },
    });
  });

  test('merges lists of either form, optional ones too, and keeps the form of the first', async () => {
    const newForm = '{"m":["COMBO",{"multiselect":false,"options":["x","y"]}]}';
    await register('a', [nodeClass('N', '{"m":[["x"]]}', newForm)]);
    await register('b', [nodeClass('N', newForm, '{"m":[["z","x"]]}')]);
    expect(await readClass(await open(), 'N')).toMatchObject({
      input: {
        required: { m: [['x', 'y']] },
        optional: { m: ['COMBO', { multiselect: false, options: ['x', 'y', 'z'] }] },
      },
    });
  });

  test('keeps the first declaration of what is no list, and every digit of its limits', async () => {
    const seed = (max: string) => `{"seed":["INT",{"default":0,"max":${max}}],"m":[["x"]]}`;
    await register('a', [nodeClass('N', seed('18446744073709551615'))]);
    await register('b', [nodeClass('N', seed('1').replace('"x"', '"y"'))]);
    const text = await (await open()).objectInfoText(DEFAULT_TENANT);
    expect(text).toContain('"max":18446744073709551615');
    expect(text).toContain('["x","y"]');
  });

  test('lists Tiercel’s own files for upload inputs of either form, none of the servers’', async () => {
    const inputs =
      '{"image":[["theirs.png"],{"image_upload":true}],"file":["COMBO",{"options":["theirs.mp4"],"video_upload":true}]}';
    await register('a', [nodeClass('Load', inputs)]);
    await register('b', [nodeClass('Load', inputs.replaceAll('theirs', 'others'))]);
    expect(await readClass(await open(['ours.png', 'ours.mp4']), 'Load')).toMatchObject({
      input: {
        required: {
          image: [['ours.png'], { image_upload: true }],
          file: ['COMBO', { options: ['ours.mp4'], video_upload: true }],
        },
      },
    });
  });

  test('lists the models, embeddings and extensions of all', async () => {
    await register('a', [], {
      models: { vae: ['b'] },
      embeddings: ['e2'],
      extensions: ['/extensions/z.js', '/extensions/a.js'],
    });
    await register('b', [], {
      models: { vae: ['a', 'b'], loras: ['l'] },
      embeddings: ['e1'],
      extensions: ['/extensions/a.js', '/extensions/b.js'],
    });
    expect(await (await open()).capabilities()).toEqual({
      models: { vae: ['a', 'b'], loras: ['l'] },
      embeddings: ['e1', 'e2'],
      extensions: ['/extensions/z.js', '/extensions/a.js', '/extensions/b.js'],
      devices: [],
    });
  });

  test('reads the capabilities of a worker that knows nothing of servers and extensions', async () => {
    await register('a', [nodeClass('N', '{}')]);
    const union = await open();
    expect(union.workers).toMatchObject([{ workerId: 'a', servers: [], extensions: [] }]);
    expect(await union.capabilities()).toMatchObject({ extensions: [] });
  });
});

describe('a worker that announces itself', () => {
  test('while the registry is being read is seen at once, not at the next refresh', async () => {
    await register('a', [nodeClass('N', '{}')]);
    let letGo = (): void => undefined;
    const held = new Promise<void>((done) => (letGo = done));
    /** A registry whose first answer is on its way until it is let go. */
    class SlowRegistry extends WorkerRegistry {
      override async readLive(): Promise<LiveWorker[]> {
        const read = await super.readLive();
        if (read.length === 1) {
          await register('b', [nodeClass('M', '{}')]);
          await held;
        }
        return read;
      }
    }
    const opened = create(new SlowRegistry(parts.redis, parts.names));
    const received = new Promise((done) => parts.subscriberConnection.once('message', done));
    const started = opened.start(parts.subscriber);
    await received;
    letGo();
    await started;
    await until(() => opened.workers.length === 2, 2_000);
    expect(await readClass(opened, 'M')).toMatchObject({ name: 'M' });
  });

  test('just before the first look at the catalogue is in what every route reads', async () => {
    const opened = create(parts.registry);
    await register('a', [nodeClass('N', '{}')], { embeddings: ['e'], devices: [DEVICE] });
    expect(await readClass(opened, 'N')).toMatchObject({ name: 'N' });
    expect(await create(parts.registry).objectInfoText(DEFAULT_TENANT)).toContain('"N"');
    expect(await create(parts.registry).capabilities()).toMatchObject({
      embeddings: ['e'],
      devices: [DEVICE],
    });
  });
});

describe('the devices of the pool', () => {
  const at = (server: string, index = 0): Device => ({ ...DEVICE, index, server });

  test('are each shown once, however many workers name them, and without their server', async () => {
    const devices = [at('http://gpu1:8188'), at('http://gpu1:8188', 1), at('http://gpu2:8188')];
    await register('a', [], { host: 'one', devices });
    await register('b', [], { host: 'one', devices: [at('http://gpu1:8188/')] });
    await register('c', [], { host: 'two', devices });
    const shown = (await (await open()).capabilities()).devices;
    expect(shown).toEqual([DEVICE, { ...DEVICE, index: 1 }, DEVICE]);
    expect(shown.some((device) => 'server' in device)).toBe(false);
  });

  test('are different ones behind the loopback addresses of different hosts', async () => {
    const devices = [at('http://127.0.0.1:8188')];
    await register('a', [], { host: 'one', devices });
    await register('b', [], { host: 'one', devices });
    await register('c', [], { host: 'two', devices });
    expect((await (await open()).capabilities()).devices).toHaveLength(2);
  });

  test('of workers without servers are those of their hosts', async () => {
    await register('a', [], { host: 'one', devices: [DEVICE] });
    await register('b', [], { host: 'one', devices: [DEVICE] });
    await register('c', [], { host: 'two', devices: [DEVICE] });
    expect((await (await open()).capabilities()).devices).toHaveLength(2);
  });
});
