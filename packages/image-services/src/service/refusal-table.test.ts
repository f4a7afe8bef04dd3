import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '@tiercel/runtime';
import { serveHttp, stopEverything } from '@tiercel/testkit';
import { createAutomatic1111Service } from '../automatic1111/create-automatic1111-service.ts';
import { createCloudflareService } from '../cloudflare/create-cloudflare-service.ts';
import { createOpenAiService } from '../openai/create-openai-service.ts';
import { createPollinationsService } from '../pollinations/create-pollinations-service.ts';
import { createTurboService } from '../turbo/create-turbo-service.ts';
import type { ImageService } from './image-service.ts';
import {
  REFUSAL_TABLE,
  VENDORS,
  type RefusalRow,
  type Vendor,
} from './refusal-table.test-helpers.ts';
import { sampleContext, sampleRequest } from './sample-request.test-helpers.ts';

afterAll(stopEverything);

const apiKey = 'key';
const SERVICES: Readonly<Record<Vendor, (url: string) => ImageService>> = {
  openai: (url) => createOpenAiService({ url, apiKey, model: 'gpt-image-2' }),
  cloudflare: (url) =>
    createCloudflareService({
      ...{ url, apiKey, accountId: 'acc', model: '@cf/lykon/dreamshaper-8-lcm' },
    }),
  automatic1111: (url) => createAutomatic1111Service({ url }),
  turbo: (url) => createTurboService({ urls: [url], clock: systemClock }),
  pollinations: (url) => createPollinationsService({ url: `${url}/prompt`, model: 'flux' }),
};

/** What a vendor's driver makes of an answer. */
async function classOf(vendor: Vendor, row: RefusalRow): Promise<unknown> {
  const { status, body, sentBytes } = row;
  const isPage = typeof body === 'string';
  const type = isPage ? 'text/html' : 'application/json';
  const { url } = await serveHttp((request, response) => {
    request.resume().on('end', () => {
      const location = status === 302 ? { location: '/login' } : {};
      response.writeHead(status, { 'content-type': type, ...location });
      response.end(isPage ? body : JSON.stringify(body));
    });
  });
  const init = sentBytes === undefined ? undefined : [new Uint8Array(sentBytes)];
  const failure: unknown = await SERVICES[vendor](url)
    .generate(sampleRequest({ init }), sampleContext())
    .catch((error: unknown) => error);
  return (failure as { class?: unknown }).class;
}

const rows = REFUSAL_TABLE.flatMap((row) =>
  (row.vendor === 'all' ? VENDORS : [row.vendor]).map((vendor) => ({ vendor, row })),
);

describe('who is to blame', () => {
  it.each(rows.map(({ vendor, row }) => [vendor, row.status, row.says, row] as const))(
    'for what %s answers with %d (%s)',
    async (vendor, _status, _says, row) => {
      expect(await classOf(vendor, row)).toBe(row.class);
    },
  );

  it('is what docs/fallback.md says', async () => {
    const file = join(import.meta.dirname, '../../../../docs/fallback.md');
    const [, section = ''] = (await readFile(file, 'utf8')).split('### Who is to blame');
    const lines = section.split(/^## /m)[0]?.split('\n') ?? [];
    const table = lines
      .filter((line) => line.startsWith('|'))
      .slice(2)
      .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
      .map((cells) => cells.map((cell) => cell.trim()));
    const expected = REFUSAL_TABLE.map((row) => [
      row.vendor === 'all' ? 'all' : `\`${row.vendor}\``,
      String(row.status),
      row.says,
      `\`${row.class}\``,
    ]);
    expect(table).toEqual(expected);
  });
});
