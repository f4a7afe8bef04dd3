import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { serveRoutes, type TestServer } from '../http/serve-routes.test-helpers.ts';
import { createStaticAnswerRoutes } from './static-answers.ts';

let server: TestServer;
const frees: string[] = [];
const get = (path: string) => server.send('GET', path);

beforeAll(async () => {
  const routes = createStaticAnswerRoutes({
    maxUploadBytes: 104857600,
    extensions: () => Promise.resolve(['/extensions/a/x.js']),
    publishFree: (body) => {
      frees.push(body);
      return Promise.resolve();
    },
    forward: () => Promise.resolve('absent'),
    forwardFiles: () => Promise.resolve('absent'),
    ...{ features: () => ({}), nodeReplacements: () => ({}), gather: () => Promise.resolve([]) },
  });
  server = await serveRoutes(routes);
});
afterAll(() => server.close());

describe('a route whose answer never changes', () => {
  test.each([
    ['/features', { supports_preview_metadata: true, max_upload_size: 104857600, assets: false }],
    ['/extensions', ['/extensions/a/x.js']],
    ['/i18n', {}],
    ['/workflow_templates', {}],
    ['/global_subgraphs', {}],
    ['/node_replacements', {}],
  ])('%s answers the same with and without /api', async (path, expected) => {
    for (const target of [path, `/api${path}`]) {
      const answer = await get(target);
      expect(answer.status).toBe(200);
      expect(answer.json()).toEqual(expected);
    }
  });

  test('has no templates, in any language', async () => {
    expect((await get('/templates/index.json')).json()).toEqual([]);
    const french = await get('/templates/index.fr.json');
    expect(french.headers['content-type']).toBe('application/json; charset=utf-8');
    for (const path of ['/templates/a.webp', '/api/templates/index.json', '/user.css']) {
      expect(await get(path)).toMatchObject({ status: 404, text: '' });
    }
  });

  test('has the files that frontends look for beside templates', async () => {
    expect((await get('/templates/index_logo.json')).json()).toEqual({});
    const search = (await get('/templates/fuse_options.json')).json() as { keys?: unknown };
    expect(search.keys).toContain('title');
  });

  test('POST /free takes a JSON object and nothing else, and tells it to the workers', async () => {
    const free = async (body: string) => server.send('POST', '/free', { body });
    expect(await free('{ "unload_models":true}')).toMatchObject({ status: 200, text: '' });
    for (const body of ['', 'x', '[]', '1']) expect((await free(body)).status).toBe(400);
    expect(frees).toEqual(['{ "unload_models":true}']);
  });

  test('GET / is a page without scripts that says what this is', async () => {
    const page = await get('/');
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['cache-control']).toBe('no-cache');
    expect(page.text).toContain('<a href="queue">');
    expect(page.text).not.toMatch(/<script|https?:\/\//);
  });

  test('assets and tags are switched off, in the words of their own envelope', async () => {
    for (const path of ['/api/assets', '/api/assets/1/content', '/api/tags']) {
      for (const method of ['GET', 'POST']) {
        const answer = await server.send(method, path);
        expect(answer.status).toBe(503);
        expect(answer.json()).toMatchObject({ error: { code: 'SERVICE_DISABLED' } });
      }
    }
    expect((await get('/assets')).status).toBe(404);
  });
});
