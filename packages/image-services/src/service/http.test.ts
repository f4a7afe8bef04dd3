import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from '@jest/globals';
import { onStopEverything, stopEverything, until } from '@tiercel/testkit';
import { callService, joinUrl, type ServiceCall } from './http.ts';

afterAll(stopEverything);

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onStopEverything(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function call(url: string, changes: Partial<ServiceCall> = {}): Promise<Buffer> {
  const { signal } = new AbortController();
  return callService({ vendor: 'Vendor', method: 'GET', url: new URL(url), signal, ...changes });
}

describe('a request to a service', () => {
  it('ends at once when it is aborted in the middle of an answer', async () => {
    let isGone = false;
    let hasBegun = false;
    const url = await serve((_, response) => {
      response.write('half of');
      hasBegun = true;
      response.on('close', () => {
        isGone = true;
      });
    });
    const stop = new AbortController();
    const answer = call(url, { signal: stop.signal });
    await until(() => hasBegun);
    stop.abort(new Error('interrupted'));
    await expect(answer).rejects.toThrow('interrupted');
    await until(() => isGone);
  });

  it('reads no more than it was allowed to', async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(1001)));
    await expect(call(url, { maxBytes: 1000 })).rejects.toMatchObject({ class: 'bad_output' });
    await expect(call(url, { maxBytes: 1001 })).resolves.toHaveLength(1001);
  });

  it('follows no redirect', async () => {
    const seen: string[] = [];
    const other = await serve((request, response) => {
      seen.push(request.url ?? '');
      response.end('here');
    });
    const url = await serve((_, response) =>
      response.writeHead(307, { location: `${other}/elsewhere` }).end(),
    );
    await expect(call(url)).rejects.toMatchObject({ class: 'config' });
    expect(seen).toEqual([]);
  });

  it('reads Retry-After as a date too, and believes at most a day of it', async () => {
    const dateMs = Math.ceil(Date.now() / 1000) * 1000 + 60_000;
    const at = (value: string): Promise<string> =>
      serve((_, response) => response.writeHead(429, { 'retry-after': value }).end());
    await expect(call(await at(new Date(dateMs).toUTCString()))).rejects.toMatchObject({
      class: 'rate',
      // Counted from now and back: the milliseconds between may show.
      retryAtMs: expect.closeTo(dateMs, -3),
    });
    const before = Date.now();
    const far = await call(await at('99999999')).catch((error: unknown) => error);
    expect((far as { retryAtMs: number }).retryAtMs - before).toBeLessThan(25 * 3_600_000);
  });

  it('tells the status of a refusal whose body breaks off or is too long', async () => {
    const broken = await serve((_, response) => {
      response.writeHead(500, { 'content-length': '100' });
      response.write('{');
      setImmediate(() => response.destroy());
    });
    await expect(call(broken)).rejects.toMatchObject({ class: 'server' });
    const long = await serve((_, response) => response.writeHead(402).end(Buffer.alloc(1_000_000)));
    await expect(call(long)).rejects.toMatchObject({ class: 'quota' });
  });

  it('shows at most 200 characters of a vendor, never the key, and only where the caller is to blame', async () => {
    const url = await serve((request, response) =>
      response.writeHead(request.url === '/mine' ? 400 : 401).end(),
    );
    const says = `key-1 is\nno prompt ${'x'.repeat(500)}`;
    const classify: ServiceCall['classify'] = ({ status }) => ({
      class: status === 400 ? 'caller' : 'config',
      says,
    });
    const options = { classify, secret: 'key-1' };
    const received = await call(`${url}/mine`, options).catch((error: unknown) => String(error));
    expect(received).toContain('[key] is no prompt');
    expect(String(received).length).toBeLessThan(300);
    const hidden = await call(`${url}/theirs`, options).catch((error: unknown) => String(error));
    expect(hidden).not.toContain('no prompt');
  });

  it('writes integers beyond 2^53 digit by digit', async () => {
    const url = await serve((request, response) => {
      request.pipe(response);
    });
    const answer = await call(url, { method: 'POST', body: { seed: 2n ** 64n - 1n } });
    expect(answer.toString()).toBe('{"seed":18446744073709551615}');
  });

  it('puts paths below an address and keeps its query', () => {
    expect(joinUrl('https://images.example/v1/?api-version=3', '/images/edits').href).toBe(
      'https://images.example/v1/images/edits?api-version=3',
    );
  });
});
