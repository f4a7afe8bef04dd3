import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stopEverything, type RawHttp } from '@tiercel/testkit';
import { readPngText } from '@tiercel/pictures';
import sharp from 'sharp';
import {
  countCalls,
  reportOf,
  startFallbackSystem,
  textToImage,
  type FallbackSystem,
} from './fallback-system.ts';
import { httpWithKey } from './keys.ts';
import { post, waitForEnd, waitForWorker, type HistoryItem } from './prompts.ts';

/** Image services for several tenants: what their plans let out of a graph, and whose results answer whom. */

const ADMIN = 'the-admin-key-of-this-test';
type Graph = ReturnType<typeof textToImage>;

/** A system in which every caller has a key. */
class Tenants {
  readonly services: FallbackSystem;
  constructor(services: FallbackSystem) {
    this.services = services;
  }

  static async start(config: string): Promise<Tenants> {
    const auth = `auth: { mode: required, adminKey: ${ADMIN} }\n`;
    const tenants = new Tenants(await startFallbackSystem({ config: auth + config }));
    await waitForWorker(tenants.api(ADMIN));
    return tenants;
  }

  api(key: string): RawHttp {
    return httpWithKey(this.services.system.url, key);
  }

  async makeKey(tenant: string, plan = 'pro'): Promise<string> {
    const made = await this.api(ADMIN).post('/admin/v1/keys', { tenant, plan });
    return (made.json() as { key: string }).key;
  }

  /** Runs a prompt to its end. */
  async run(key: string, prompt: Graph, extra: object = {}): Promise<HistoryItem> {
    const id = await post(this.api(key), prompt, { extra_data: extra });
    return await waitForEnd(this.api(key), id);
  }

  async readPicture(key: string, item: HistoryItem, node: string): Promise<Buffer> {
    const { filename } = item.outputs[node]!.images[0]!;
    const answer = await this.api(key).get(`/view?filename=${filename}`);
    expect(answer.status).toBe(200);
    return answer.bytes;
  }

  async upload(key: string, png: Uint8Array, name: string, fields = {}): Promise<void> {
    const body = new FormData();
    body.set('image', new Blob([new Uint8Array(png)]), name);
    for (const [field, value] of Object.entries(fields)) body.set(field, String(value));
    const url = `${this.services.system.url}/upload/image`;
    const answer = await fetch(url, { method: 'POST', headers: { 'x-api-key': key }, body });
    expect(answer.status).toBe(200);
  }
}

/** The same under other ids. */
function renamed(graph: Graph, prefix: string): Graph {
  const rename = (value: unknown): unknown =>
    Array.isArray(value) ? [prefix + String(value[0]), value[1]] : value;
  return Object.fromEntries(
    Object.entries(graph).map(([id, { class_type, inputs }]) => {
      const values = Object.entries(inputs).map(([name, value]) => [name, rename(value)]);
      return [prefix + id, { class_type, inputs: Object.fromEntries(values) as object }];
    }),
  ) as Graph;
}

const pixelsOf = (png: Buffer): Promise<Buffer> => sharp(png).raw().toBuffer();

afterAll(stopEverything);

describe('with results for each tenant alone', () => {
  let tenants: Tenants;
  beforeAll(async () => {
    tenants = await Tenants.start(
      'fallback: { mayOmit: [lora] }\n' +
        'plans: { strict: { mayOmit: [] }, loose: { mayOmit: [embedding] } }\n',
    );
  });

  test.each([
    ['strict', 'lora', false],
    ['pro', 'lora', true],
    ['loose', 'lora', false],
    ['strict', 'embedding', false],
    ['pro', 'embedding', false],
    ['loose', 'embedding', true],
  ])('the plan %s, and a graph with a %s', async (plan, what, isServed) => {
    const key = await tenants.makeKey(`${plan}-tenant`, plan);
    const graph = textToImage({ text: what === 'embedding' ? 'a fox, embedding:style' : 'a fox' });
    if (what === 'lora') {
      const names = { lora_name: 'style.safetensors', strength_model: 1, strength_clip: 1 };
      const inputs = { ...names, model: ['4', 0], clip: ['4', 1] };
      graph.lora = { class_type: 'LoraLoader', inputs };
      graph['3']!.inputs.model = ['lora', 0];
    }
    const item = await tenants.run(key, graph);
    expect(item.status.status_str).toBe(isServed ? 'success' : 'error');
    const report = reportOf(item);
    expect(report.omitted?.length ?? 0).toBe(isServed ? 1 : 0);
    if (!isServed) expect(report.skipped?.[0]?.reason).toContain(what === 'lora' ? 'lora' : '6');
  });

  test('an equal job of another tenant runs', async () => {
    const [one, two] = [await tenants.makeKey('one'), await tenants.makeKey('two')];
    const graph = textToImage({ seed: 31 });
    const before = countCalls(tenants.services.primary);
    await tenants.run(one, graph);
    expect(reportOf(await tenants.run(one, graph)).cached).toBe(true);
    expect(reportOf(await tenants.run(two, graph)).cached).toBeUndefined();
    expect(countCalls(tenants.services.primary)).toBe(before + 2);
  });
});

describe('with results that are shared', () => {
  const SECRET = 'the first one’s workflow';
  let tenants: Tenants;
  let [one, two] = ['', ''];
  beforeAll(async () => {
    tenants = await Tenants.start('cache: { shared: true }\nfallback: { mayOmit: [embedding] }\n');
    one = await tenants.makeKey('one-with-a-name');
    two = await tenants.makeKey('two');
    // The names of the two are not at the same number.
    await tenants.run(one, textToImage());
  });

  test('an equal job of another tenant gets the pixels, in a file of its own with its own workflow', async () => {
    const { primary } = tenants.services;
    const text = 'a fox, embedding:style';
    const graph = textToImage({ seed: 32, text, batch: 2 });
    const first = await tenants.run(one, renamed(graph, 'one-'), {
      extra_pnginfo: { workflow: { note: SECRET } },
    });
    const calls = countCalls(primary);
    const second = await tenants.run(two, renamed(graph, 'two-'), {
      extra_pnginfo: { workflow: { note: 'mine' } },
    });
    expect(countCalls(primary)).toBe(calls);
    expect(reportOf(second)).toMatchObject({ cached: true, served_by: { tier: 'primary' } });
    // What it is told, of whatever kind, is about its own.
    const said = JSON.stringify(second);
    expect(said).not.toMatch(/one-|first one/);
    expect(reportOf(second).omitted?.[0]).toContain('two-6');
    const names = (item: HistoryItem, node: string) =>
      item.outputs[node]!.images.map(({ filename }) => filename);
    expect(names(first, 'one-9')).toEqual(['fb_00002_.png', 'fb_00003_.png']);
    expect(names(second, 'two-9')).toEqual(['fb_00001_.png', 'fb_00002_.png']);

    const [theirs, mine] = [
      await tenants.readPicture(one, first, 'one-9'),
      await tenants.readPicture(two, second, 'two-9'),
    ];
    expect(await pixelsOf(mine)).toEqual(await pixelsOf(theirs));
    expect(mine.toString('latin1')).not.toMatch(/one-|first one/);
    const texts = readPngText(mine);
    expect([...texts.keys()].sort()).toEqual(['prompt', 'workflow']);
    expect(JSON.parse(texts.get('prompt') ?? '')).toEqual(renamed(graph, 'two-'));
    expect(JSON.parse(texts.get('workflow') ?? '')).toEqual({ note: 'mine' });
  });

  test('the files of the one answer the other like files that nobody has', async () => {
    const describe = async (name: string): Promise<unknown> => {
      const { status, headers, text } = await tenants.api(two).get(`/view?filename=${name}`);
      return [status, { ...headers, date: '' }, text];
    };
    expect(await describe('fb_00003_.png')).toEqual(await describe('fb_09999_.png'));
  });

  test('what the owner has deleted or written anew answers nobody', async () => {
    const graph = textToImage({ seed: 33 });
    const item = await tenants.run(one, graph);
    const picture = await tenants.readPicture(one, item, '9');
    const { filename } = item.outputs['9']!.images[0]!;
    await tenants.upload(one, picture, filename, { type: 'output', overwrite: true });
    expect(reportOf(await tenants.run(two, graph)).cached).toBeUndefined();
  });

  test('what is made from a file that a tenant has uploaded stays with it', async () => {
    const graph = textToImage({ seed: 34 });
    graph.load = { class_type: 'LoadImage', inputs: { image: 'start.png' } };
    graph.encode = {
      class_type: 'VAEEncode',
      inputs: { pixels: ['load', 0], vae: ['4', 2] },
    };
    graph['3']!.inputs = { ...graph['3']!.inputs, latent_image: ['encode', 0], denoise: 0.5 };
    const size = { width: 256, height: 256, channels: 3 as const };
    const uploads = [
      { key: one, tenant: 'one-with-a-name', background: '#0000ff' },
      { key: two, tenant: 'two', background: '#00ff00' },
    ];
    const sizes = new Set<number>();
    for (const { key, tenant, background } of uploads) {
      const png = await sharp({ create: { ...size, background } })
        .png()
        .toBuffer();
      sizes.add(png.length);
      await tenants.upload(key, png, 'start.png');
      // All that the store knows of the two files is equal.
      const { dataDir } = tenants.services.system.options;
      await utimes(join(dataDir, 'tenants', tenant, 'input', 'start.png'), 1_000, 1_000);
    }
    expect(sizes.size).toBe(1);
    const items = [
      await tenants.run(one, graph),
      await tenants.run(one, graph),
      await tenants.run(two, graph),
    ];
    expect(items.map((item) => item.status.status_str)).toEqual(['success', 'success', 'success']);
    expect(items.map((item) => reportOf(item).cached)).toEqual([undefined, true, undefined]);
  });

  test('equal jobs of two tenants at once run once', async () => {
    const { primary } = tenants.services;
    primary.setLatency(500);
    const calls = countCalls(primary);
    const graph = textToImage({ seed: 35 });
    const items = await Promise.all([one, two, two].map((key) => tenants.run(key, graph)));
    primary.setLatency(0);
    expect(countCalls(primary)).toBe(calls + 1);
    expect(items.filter((item) => reportOf(item).cached === true)).toHaveLength(2);
  });
});
