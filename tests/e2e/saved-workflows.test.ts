import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  http,
  movieWithTexts,
  startSystem,
  stopEverything,
  webpWithTexts,
  type RawHttp,
  type RawResponse,
  type TestSystem,
} from '@tiercel/testkit';
import { waitForEnd } from './prompts.ts';

/** What people have in place of a prompt: what the editor saves, and pictures and videos that hold it. */

/** A picture of two sizes, one of them inside a subgraph, and a note. */
const workflow = {
  ...{ id: 'of-my-own', version: 0.4, last_node_id: 4, last_link_id: 2, groups: [], config: {} },
  nodes: [
    { id: 1, type: 'Note', widgets_values: ['make it blue'] },
    {
      ...{
        id: 2,
        type: 'blue',
        inputs: [{ name: 'width', type: 'INT', widget: { name: 'width' } }],
      },
      outputs: [{ name: 'IMAGE', type: 'IMAGE', links: [1] }],
      widgets_values: [48],
    },
    {
      ...{ id: 3, type: 'ImageInvert', mode: 4 },
      inputs: [{ name: 'image', type: 'IMAGE', link: 1 }],
      outputs: [{ name: 'IMAGE', type: 'IMAGE', links: [2] }],
    },
    {
      ...{ id: 4, type: 'SaveImage', inputs: [{ name: 'images', type: 'IMAGE', link: 2 }] },
      widgets_values: ['saved_%date:yyyy%'],
    },
  ],
  links: [
    [1, 2, 0, 3, 0, 'IMAGE'],
    [2, 3, 0, 4, 0, 'IMAGE'],
  ],
  definitions: {
    subgraphs: [
      {
        id: 'blue',
        inputs: [{ name: 'width', type: 'INT', linkIds: [9] }],
        outputs: [{ name: 'IMAGE', type: 'IMAGE', linkIds: [10] }],
        nodes: [
          {
            ...{ id: 5, type: 'EmptyImage', widgets_values: [512, 32, 1, 255] },
            inputs: [{ name: 'width', type: 'INT', widget: { name: 'width' }, link: 9 }],
          },
        ],
        links: [
          { id: 9, origin_id: -10, origin_slot: 0, target_id: 5, target_slot: 0, type: 'INT' },
          { id: 10, origin_id: 5, origin_slot: 0, target_id: -20, target_slot: 0, type: 'IMAGE' },
        ],
      },
    ],
  },
};

const prompt = {
  4: {
    class_type: 'SaveImage',
    inputs: { filename_prefix: `saved_${new Date().getFullYear()}`, images: ['2:5', 0] },
    _meta: { title: expect.any(String) },
  },
  '2:5': {
    class_type: 'EmptyImage',
    inputs: { width: 48, height: 32, batch_size: 1, color: 255 },
    _meta: { title: expect.any(String) },
  },
};

let system: TestSystem;
let api: RawHttp;
beforeAll(async () => {
  system = await startSystem();
  api = http(system.url);
});
afterAll(stopEverything);

/** The picture that a posted body comes to. */
async function readPicture(answer: RawResponse): Promise<Buffer> {
  expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('prompt_id')]);
  const { prompt_id: id } = answer.json() as unknown as { prompt_id: string };
  const { outputs } = await waitForEnd(api, id);
  const { filename, subfolder } = outputs['4']!.images[0]!;
  expect(filename).toMatch(new RegExp(`^saved_${new Date().getFullYear()}_`));
  return readFileSync(join(system.dataDir, 'output', subfolder, filename));
}

async function postForm(parts: Readonly<Record<string, string | Buffer>>): Promise<RawResponse> {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === 'string') form.set(name, value);
    else form.set(name, new Blob([new Uint8Array(value)]), 'of-a-friend.png');
  }
  const request = new Request('http://localhost', { method: 'POST', body: form });
  const headers = { 'content-type': request.headers.get('content-type') ?? '' };
  return await api.post('/prompt', Buffer.from(await request.arrayBuffer()), { headers });
}

describe('POST /prompt takes', () => {
  test('a saved workflow as the prompt and as the whole body; the picture holds it', async () => {
    for (const body of [{ prompt: workflow, client_id: 'me' }, workflow]) {
      const picture = await readPicture(await api.post('/prompt', body));
      expect(`${picture.readUInt32BE(16)}x${picture.readUInt32BE(20)}`).toBe('48x32');
      expect(picture.toString('latin1')).toMatch(/"id": ?"of-my-own"/);
    }
  });

  test('the picture of a job, which makes it again', async () => {
    const first = await readPicture(await api.post('/prompt', workflow));
    const again = await readPicture(
      await api.post('/prompt', first, { headers: { 'content-type': 'image/png' } }),
    );
    expect(again.equals(first)).toBe(true);
    const form = await postForm({
      client_id: 'me',
      file: first,
      extra_data: '{"priority":"high"}',
    });
    expect((await readPicture(form)).readUInt32BE(16)).toBe(48);
  });

  test('a WebP and a video that hold a workflow', async () => {
    const texts = { workflow: JSON.stringify(workflow) };
    for (const file of [webpWithTexts(texts), movieWithTexts(texts)]) {
      expect((await readPicture(await api.post('/prompt', file))).readUInt32BE(16)).toBe(48);
    }
  });

  test('none that cannot be converted, and says which node and why', async () => {
    const nodes = [...workflow.nodes, { id: 9, type: 'NobodyHasIt', widgets_values: [] }];
    for (const path of ['/prompt', '/api/workflows/convert']) {
      const answer = await api.post(path, { ...workflow, nodes });
      expect([answer.status, answer.json()]).toEqual([
        400,
        {
          error: expect.objectContaining({ type: 'missing_node_type' }),
          node_errors: {
            9: {
              ...{ class_type: 'NobodyHasIt', dependent_outputs: [] },
              errors: [expect.objectContaining({ type: 'missing_node_type' })],
            },
          },
        },
      ]);
    }
  });

  test('no file without either', async () => {
    const answer = await api.post('/prompt', movieWithTexts({ title: 'A film' }));
    expect([answer.status, answer.text]).toEqual([
      400,
      expect.stringContaining('MP4 file has neither a prompt nor a workflow'),
    ]);
  });
});

describe('POST /api/workflows/convert', () => {
  test('answers with what may be posted', async () => {
    const texts = { workflow: JSON.stringify(workflow) };
    for (const body of [workflow, { prompt: workflow }, webpWithTexts(texts)]) {
      const answer = await api.post('/api/workflows/convert', body);
      expect([answer.status, answer.json()]).toEqual([200, { prompt }]);
    }
    const converted = await api.post('/api/workflows/convert', workflow);
    await readPicture(await api.post('/prompt', converted.text));
  });

  test('refuses what is no workflow', async () => {
    for (const body of ['{"a": 1}', '[]', '{', '']) {
      const answer = await api.post('/api/workflows/convert', body);
      expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('"error"')]);
    }
  });

  test('keeps nobody waiting while it converts', async () => {
    const doubling = Array.from({ length: 30 }, (_, level) => ({
      id: `box${level}`,
      ...{ inputs: [], outputs: [], links: [] },
      nodes: [1, 2].map((id) => ({ id, type: level === 29 ? 'EmptyImage' : `box${level + 1}` })),
    }));
    const bomb = {
      ...{ version: 0.4, links: [], nodes: [{ id: 1, type: 'box0' }] },
      definitions: { subgraphs: doubling },
    };
    const answer = await api.post('/api/workflows/convert', bomb);
    expect([answer.status, answer.text]).toEqual([
      400,
      expect.stringContaining('more than 10000 nodes'),
    ]);
  });
});
