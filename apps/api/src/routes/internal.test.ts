import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FileStore } from '@tiercel/storage';
import { makeDataFolder, serveRoutes, type TestServer } from '../http/serve-routes.test-helpers.ts';
import { createInternalRoutes } from './internal.ts';

const data = await makeDataFolder();
let server: TestServer;
const get = (path: string) => server.send('GET', path);

beforeAll(async () => {
  const logs = () => [
    { t: '2026-01-01T00:00:00', m: 'started\n' },
    { t: '2026-01-01T00:00:01', m: 'ready\n' },
  ];
  const files = new FileStore(data.path);
  server = await serveRoutes(
    createInternalRoutes({ files: { of: () => files }, logs, gather: () => Promise.resolve([]) }),
  );
});
afterAll(async () => {
  await server.close();
  await data.remove();
});

describe('/internal', () => {
  test('shows the log as text and as lines', async () => {
    expect((await get('/internal/logs')).json()).toBe(
      '2026-01-01T00:00:00 - started\n2026-01-01T00:00:01 - ready\n',
    );
    expect((await get('/internal/logs/raw')).json()).toEqual({
      entries: [
        { t: '2026-01-01T00:00:00', m: 'started\n' },
        { t: '2026-01-01T00:00:01', m: 'ready\n' },
      ],
      size: { cols: 80, rows: 24 },
    });
    const subscribed = await server.send('PATCH', '/internal/logs/subscribe', {
      body: '{"enabled":true,"clientId":"x"}',
    });
    expect(subscribed).toMatchObject({ status: 200, text: '' });
  });

  test('lists files newest first, and no folder of the machine', async () => {
    expect((await get('/internal/files/input')).json()).toEqual([]);
    await mkdir(join(data.path, 'input'));
    await writeFile(join(data.path, 'input', 'a.png'), '');
    await writeFile(join(data.path, 'input', 'b.png'), '');
    await utimes(join(data.path, 'input', 'a.png'), 1000, 1000);
    expect((await get('/internal/files/input')).json()).toEqual(['b.png', 'a.png']);
    expect((await get('/internal/files/user')).status).toBe(400);
    expect((await get('/internal/folder_paths')).json()).toEqual({});
  });

  test('has no twin under /api', async () => {
    expect(await get('/api/internal/logs')).toMatchObject({ status: 404, text: '' });
  });
});
