import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { serveRoutes, type TestServer } from '../http/serve-routes.test-helpers.ts';
import { createModelRoutes } from './models.ts';

let server: TestServer;
const get = (path: string) => server.send('GET', path);

beforeAll(async () => {
  const models = { checkpoints: ['sd/a.safetensors'], custom: ['x.bin'] };
  server = await serveRoutes(
    createModelRoutes({
      models: () => Promise.resolve(models),
      embeddings: () => Promise.resolve(['easy.pt', 'v1.5']),
      gather: () => Promise.resolve([]),
      forward: () => Promise.resolve('absent'),
    }),
  );
});
afterAll(() => server.close());

describe('model lists', () => {
  test('name the standard folders and those that workers add', async () => {
    const folders = (await get('/models')).json() as string[];
    expect(folders.slice(0, 3)).toEqual(['checkpoints', 'configs', 'loras']);
    expect(folders).toHaveLength(21);
    expect(folders.at(-1)).toBe('custom');
  });

  test('hold the files of a folder', async () => {
    expect((await get('/api/models/checkpoints')).json()).toEqual(['sd/a.safetensors']);
    expect((await get('/models/loras')).json()).toEqual([]);
    for (const unknown of ['nope', '__proto__', 'toString']) {
      expect(await get(`/models/${unknown}`)).toMatchObject({ status: 404, text: '' });
    }
  });

  test('tell the model library no paths of the machine', async () => {
    const folders = (await get('/experiment/models')).json() as { name: string }[];
    expect(folders[0]).toEqual({ name: 'checkpoints', folders: [] });
    expect(folders.map(({ name }) => name)).not.toContain('custom_nodes');
    expect((await get('/experiment/models/checkpoints')).json()).toEqual([
      { name: 'sd/a.safetensors', pathIndex: 0, modified: 0, created: 0, size: 0 },
    ]);
    expect((await get('/experiment/models/nope')).status).toBe(404);
  });

  test('have no previews and no metadata', async () => {
    for (const path of [
      '/experiment/models/preview/checkpoints/0/sd%2Fa.safetensors',
      '/view_metadata/checkpoints?filename=x.safetensors',
      '/view_metadata/checkpoints',
    ]) {
      expect(await get(path)).toMatchObject({ status: 404, text: '' });
    }
  });

  test('name embeddings without the ending of their files', async () => {
    expect((await get('/embeddings')).json()).toEqual(['easy', 'v1.5']);
  });
});
