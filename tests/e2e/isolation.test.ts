import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  connectSocket,
  expectNothingFor,
  startSystem,
  stopEverything,
  until,
  type EventRecorder,
  type TestSystem,
} from '@tiercel/testkit';
import { SignJWT } from 'jose';
import sharp from 'sharp';
import { createRoutes, type RouteParts } from '../../apps/api/src/routes/create-routes.ts';
import { makeKey, runKeys } from './keys.ts';
import { saveImage, slow } from './prompts.ts';

/**
 * Every route of the API's own table, asked by one tenant with the names that another one has: the answer is that for
 * names that nobody has. A route that is added later is asked as well.
 */

afterAll(stopEverything);

/** In all that the owner has; the other word, of equal length, is in no name at all. */
const [HAD, FREE] = ['qwertz', 'asdfgh'];
const OWNER = `owner-${HAD}`;
/** In what no answer may show, whatever was asked. */
const SECRET = 'the owner’s text';

/** Names of what the owner has, as a caller may write them in a path. */
const NAMES = [
  ...['ended', 'running', 'pending', 'class'].map((what) => `${HAD}-${what}`),
  ...[`${HAD}.png`, `${HAD}_00001_.png`, `${HAD}%20%5Binput%5D`, `${HAD}.json`],
  ...[`${HAD}%2Fnotes.json`, `${HAD}%252Fnotes.json`, `${HAD}.Setting`],
  // As Redis and the disk name it.
  ...[`${OWNER}%1F${HAD}-ended`, `${OWNER}%00`, `${HAD}.png%00`],
  ...[
    `..%2F..%2Ftenants%2F${OWNER}%2Finput%2F${HAD}.png`,
    `..%252F..%252F${OWNER}%252Foutput%252F${HAD}_00001_.png`,
    `%2E%2E%2F${OWNER}%2Fuser%2Fdefault%2F${HAD}.json`,
    `..%5C${OWNER}%5Cinput%5C${HAD}.png`,
  ],
];
const QUERIES = [
  `filename=${HAD}.png&type=input&dir=${HAD}&path=${HAD}&workflow_id=${HAD}&clientId=${HAD}&status=pending`,
  `filename=${HAD}_00001_.png&dir=../../${OWNER}&path=../${OWNER}&workflow_id=${OWNER}%1F${HAD}`,
  `filename=${HAD}.png&type=input&subfolder=..%2F..%2Ftenants%2F${OWNER}%2Finput&preview=webp&token=`,
  `filename=..%252f${OWNER}%252foutput%252f${HAD}_00001_.png&channel=rgb&tenant=${OWNER}`,
];
/** What proxies say of a caller, and others would like to. */
const FORGED = {
  'x-forwarded-for': '10.0.0.1, 127.0.0.1',
  'x-real-ip': '10.0.0.1',
  forwarded: `for=10.0.0.1;by=${OWNER}`,
  'x-forwarded-user': OWNER,
  'x-tenant': OWNER,
  'comfy-user': OWNER,
};

/** Only what a table says of a route is read; handlers run in real processes. */
function standIn(): unknown {
  const members = (_: unknown, name: string | symbol): unknown =>
    name === Symbol.toPrimitive ? () => 0 : standIn();
  return new Proxy(() => standIn(), { get: members });
}
const routes = createRoutes(standIn() as RouteParts);

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body?: string | FormData;
}

function listRequests(): Asked[] {
  const prompt = {
    '1': { class_type: 'LoadImage', inputs: { image: `${HAD}.png` } },
    '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  };
  const names = NAMES.slice(0, 3).map(decodeURIComponent);
  const bodies = [
    { prompt, prompt_id: names[1], job_ids: names, delete: names, client_id: HAD },
    { prompt_id: `${OWNER}\u001f${HAD}-running`, delete: [`${OWNER}\u001f${HAD}-pending`] },
    { clear: true },
  ].map((body) => JSON.stringify(body));
  const requests = routes.flatMap(({ method, path, prefix = 'both' }) => {
    const prefixes = { both: ['', '/api'], api: ['/api'], bare: [''] }[prefix];
    const hasName = /[:*]/.test(path);
    const paths = (hasName ? NAMES : ['']).map((name) => path.replace(/[:*]\w+/g, name));
    const targets = prefixes.flatMap((start) =>
      paths.flatMap((text) => [
        start + text,
        ...(hasName ? [] : QUERIES.map((query) => `${start}${text}?${query}`)),
      ]),
    );
    const sends = method === 'GET' || method === 'DELETE' ? [undefined] : ['', ...bodies];
    return targets.flatMap((target) =>
      sends.map((body) => ({ method, path: target, ...(body === undefined ? {} : { body }) })),
    );
  });
  // What is made by one must not be found by another request: first they look, then they change.
  const order = ['GET', 'DELETE', 'POST', 'PUT', 'PATCH'];
  return requests.sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
}

const free = (text: string): string => text.replaceAll(HAD, FREE);

/** An answer without what differs from one moment to the next. */
async function describeAnswer(answer: Response): Promise<string> {
  const changing = ['date', 'last-modified', 'etag', 'content-length'];
  const headers = [...answer.headers].filter(([name]) => !changing.includes(name));
  const text = (await answer.text())
    .replace(/"(?:ram_free|vram_free|modified|created|number)":[\d.]+/g, '')
    .replace(/"prompt_id":"[0-9a-f-]{36}"/g, '');
  return free(JSON.stringify([answer.status, headers, text]));
}

let system: TestSystem;
let owner: string;
let stranger: string;
const send = (
  { method, path, body }: Asked,
  key: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> =>
  fetch(system.url + path, {
    ...{ method, redirect: 'manual', headers: { ...headers, authorization: `Bearer ${key}` } },
    ...(body === undefined ? {} : { body }),
  });
const post = (path: string, body: object | string, key = owner): Promise<Response> =>
  send({ method: 'POST', path, body: typeof body === 'string' ? body : JSON.stringify(body) }, key);
const readText = async (path: string, key = owner): Promise<string> =>
  await (await send({ method: 'GET', path }, key)).text();
/** What moves by itself while a job waits and runs. */
const MOVING = /,"(?:expected_start_time|expected_end_time|progress)":[\d.]+/g;
/** All that the owner has, as it is now. */
const readOwned = (): Promise<string[]> =>
  Promise.all(
    [
      ...['/queue', '/history', '/api/jobs?sort_order=asc', '/prompt', '/settings'],
      ...[`/api/jobs/${HAD}-running`, '/internal/files/input', '/internal/files/output'],
      ...['/v2/userdata', `/userdata/${HAD}.json`, `/api/jobs?workflow_id=${HAD}`],
    ].map(async (path) => (await readText(path)).replace(MOVING, '')),
  );

describe('whoever asks with names of another tenant', () => {
  beforeAll(async () => {
    system = await startSystem({
      env: { NODES_DIR: 'tests/fixtures/nodes', WORKER_CONCURRENCY: '4' },
      configYaml: 'auth: { mode: required }\napi: { metricsPort: 0 }\n',
    });
    owner = (await makeKey(system.options, '--tenant', OWNER)).key;
    stranger = (await makeKey(system.options, '--tenant', 'stranger')).key;
    await until(async () => (await send({ method: 'GET', path: '/prompt' }, owner)).ok, 20_000);
    const size = { width: 8, height: 8, channels: 3 as const };
    const picture = await sharp({ create: { ...size, background: 'red' } })
      .png()
      .toBuffer();
    const form = new FormData();
    form.set('image', new Blob([new Uint8Array(picture)]), `${HAD}.png`);
    await send({ method: 'POST', path: '/upload/image', body: form }, owner);
    for (const file of [`${HAD}.json`, `${HAD}%2Fnotes.json`]) {
      await post(`/userdata/${file}`, JSON.stringify(SECRET));
    }
    await post(`/settings/${HAD}.Setting`, JSON.stringify(SECRET));
    const extra = { extra_pnginfo: { workflow: { id: HAD, note: SECRET } } };
    const job = { client_id: HAD, extra_data: extra };
    await post('/prompt', { ...job, prompt: saveImage(HAD), prompt_id: `${HAD}-ended` });
    await until(async () => (await readText(`/history/${HAD}-ended`)) !== '{}');
    for (const id of ['running', 'pending']) {
      await post('/prompt', { ...job, prompt: slow(1_000, 1), prompt_id: `${HAD}-${id}` });
    }
    await until(async () => (await readText('/queue')).startsWith('{"queue_running":[['));
  }, 60_000);

  test('is answered on each route as for names that nobody has, and changes nothing', async () => {
    const before = await readOwned();
    expect(before.join()).toContain(SECRET);
    const requests = listRequests();
    expect(requests.length).toBeGreaterThan(routes.length);
    for (const asked of requests) {
      const same = { ...asked, path: free(asked.path) };
      const body = typeof asked.body === 'string' ? free(asked.body) : undefined;
      const unknown = await send(body === undefined ? same : { ...same, body }, stranger);
      const expected = await describeAnswer(unknown);
      for (const headers of [{}, FORGED]) {
        const answer = await describeAnswer(await send(asked, stranger, headers));
        expect([asked, answer]).toEqual([asked, expected]);
        expect([asked, answer.includes(SECRET)]).toEqual([asked, false]);
      }
    }
    expect(await readOwned()).toEqual(before);
  }, 300_000);

  test('is told nothing with a key that is revoked, has expired, or was signed by somebody else', async () => {
    const revoked = await makeKey(system.options, '--tenant', OWNER);
    const expired = await makeKey(system.options, '--tenant', OWNER, '--expires', '1s');
    await runKeys(system.options, 'revoke', revoked.id);
    const foreign = await new SignJWT({ sub: OWNER, tenant: OWNER, role: 'admin' })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode('a secret of somebody else, long enough'));
    for (const key of [revoked.key, expired.key, foreign]) {
      await until(async () => (await send({ method: 'GET', path: '/queue' }, key)).status === 401);
      for (const { method, path, prefix, access = 'caller' } of routes) {
        if (access === 'everyone' || access === 'page') continue;
        const start = prefix === 'api' ? '/api' : '';
        const asked = { method, path: start + path.replace(/[:*]\w+/g, `${HAD}-ended`) };
        const answer = await send(asked, key);
        expect([asked, answer.status]).toEqual([asked, 401]);
        expect(await answer.text()).not.toContain(SECRET);
      }
      await expect(connectSocket(`${system.url}?token=${key}`)).rejects.toThrow('401');
    }
  }, 60_000);

  test('hears nothing on a socket with the same client id', async () => {
    const listen = (key: string): Promise<EventRecorder> =>
      connectSocket(`${system.url}?token=${key}`, { clientId: HAD });
    const [own, other] = await Promise.all([listen(owner), listen(stranger)]);
    await own.waitForText('progress_state');
    await post('/interrupt', '', stranger);
    await expectNothingFor(300);
    expect(other.textFrames().map(({ type }) => type)).toEqual(['status']);
    for (const socket of [own, other]) await socket.close();
  });
});
