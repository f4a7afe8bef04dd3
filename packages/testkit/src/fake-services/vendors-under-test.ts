import { http, type RawResponse } from '../raw-http.ts';
import { startFakeAutomatic1111 } from './automatic1111.ts';
import { startFakeCloudflare } from './cloudflare.ts';
import { startFakeOpenAi } from './openai.ts';
import { startFakePollinations } from './pollinations.ts';
import type { FakeService, FakeServiceOptions } from './service.ts';
import { startFakeTurbo } from './turbo.ts';

const BEARER = { headers: { authorization: 'Bearer key' } };

/** What the shared tests need to know of a vendor. Each asks for one picture of 512x256. */
export interface VendorUnderTest {
  readonly name: string;
  readonly start: (options?: FakeServiceOptions) => Promise<FakeService>;
  readonly ask: (url: string, timeoutMs?: number) => Promise<RawResponse>;
  /** The pictures in a good answer. */
  readonly read: (response: RawResponse) => readonly Buffer[];
}

export const VENDORS: readonly VendorUnderTest[] = [
  {
    name: 'cloudflare',
    start: startFakeCloudflare,
    ask: (url, timeoutMs = 5000) =>
      http(url).post(
        '/client/v4/accounts/me/ai/run/@cf/lykon/dreamshaper-8-lcm',
        { prompt: 'a cat', seed: 3, width: 512, height: 256 },
        { ...BEARER, timeoutMs },
      ),
    read: ({ bytes }) => (bytes.length === 0 ? [] : [bytes]),
  },
  {
    name: 'openai',
    start: startFakeOpenAi,
    ask: (url, timeoutMs = 5000) =>
      http(url).post(
        '/v1/images/generations',
        { model: 'gpt-image-2', prompt: 'a cat', size: '512x256' },
        { ...BEARER, timeoutMs },
      ),
    read: (response) => {
      const { data } = response.json() as { data: { b64_json: string }[] }; // the vendor's shape
      return data.map(({ b64_json }) => Buffer.from(b64_json, 'base64'));
    },
  },
  {
    name: 'automatic1111',
    start: startFakeAutomatic1111,
    ask: (url, timeoutMs = 5000) =>
      http(url).post(
        '/sdapi/v1/txt2img',
        { prompt: 'a cat', seed: 3, width: 512, height: 256, steps: 4 },
        { timeoutMs },
      ),
    read: (response) => {
      const { images } = response.json() as { images: string[] }; // the vendor's shape
      return images.map((image) => Buffer.from(image, 'base64'));
    },
  },
  {
    name: 'turbo',
    start: startFakeTurbo,
    ask: (url, timeoutMs = 5000) =>
      http(url).post(
        '/generate',
        { prompts: ['a cat'], seed: 3, width: 512, height: 256, steps: 4 },
        { timeoutMs },
      ),
    read: (response) => {
      const results = response.json() as { image: string }[]; // the vendor's shape
      return results.map(({ image }) => Buffer.from(image, 'base64'));
    },
  },
  {
    name: 'pollinations',
    start: startFakePollinations,
    ask: (url, timeoutMs = 5000) =>
      http(url).get('/image/a%20cat?seed=3&width=512&height=256', { ...BEARER, timeoutMs }),
    read: ({ bytes }) => (bytes.length === 0 ? [] : [bytes]),
  },
];
