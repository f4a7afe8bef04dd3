import { afterAll, describe, expect, test } from '@jest/globals';
import { stopEverything } from '../cleanup.ts';
import { until } from '../until.ts';
import type { Refusal } from './faults.ts';
import { inspectPicture } from './inspect-picture.ts';
import type { FakeService } from './service.ts';
import { VENDORS } from './vendors-under-test.ts';

afterAll(stopEverything);

/** Status and a part of the body. `safety` of turbo and automatic1111 is a picture: see below. */
type Expected = readonly [status: number, part: string];

const WORDS: Readonly<Record<string, Readonly<Partial<Record<Refusal, Expected>>>>> = {
  cloudflare: {
    unauthorized: [401, '"code":10000'],
    forbidden: [403, '"code":5018'],
    model_gone: [404, '"code":3042'],
    unknown_model: [400, '"code":5007'],
    invalid_request: [400, '"code":3003'],
    invalid_prompt: [400, "'/prompt'"],
    queue_full: [429, '"code":3021'],
    safety: [400, 'NSFW'],
    quota: [429, '"code":3036'],
    rate: [429, '"success":false'],
    capacity: [429, '"code":3040'],
    out_of_memory: [500, 'out of memory'],
    error: [500, '"success":false'],
  },
  openai: {
    unauthorized: [401, '"code":"invalid_api_key"'],
    forbidden: [403, '"type":"invalid_request_error"'],
    model_gone: [404, '"code":"model_not_found"'],
    unknown_model: [400, '"param":"model"'],
    invalid_request: [400, '"code":"invalid_value"'],
    invalid_prompt: [400, '"param":"prompt"'],
    queue_full: [429, '"code":"slow_down"'],
    safety: [400, '"code":"moderation_blocked"'],
    quota: [429, '"code":"insufficient_quota"'],
    rate: [429, '"code":"rate_limit_exceeded"'],
    capacity: [503, 'overloaded'],
    out_of_memory: [500, '"type":"server_error"'],
    error: [500, '"type":"server_error"'],
  },
  automatic1111: {
    unauthorized: [401, '"detail":"Incorrect username or password"'],
    forbidden: [403, '"detail"'],
    model_gone: [404, '"detail":"Not Found"'],
    unknown_model: [422, '["body","override_settings"]'],
    invalid_request: [400, '"detail":"Sampler not found"'],
    invalid_prompt: [422, '["body","prompt"]'],
    queue_full: [429, '"detail":"Queue is full"'],
    quota: [402, '"detail"'],
    rate: [429, '"detail"'],
    capacity: [503, '"detail"'],
    out_of_memory: [500, '"error":"OutOfMemoryError"'],
    error: [500, '"error":"RuntimeError"'],
  },
  turbo: {
    unauthorized: [401, '"detail"'],
    forbidden: [403, '"detail"'],
    model_gone: [404, '"detail":"Not Found"'],
    unknown_model: [422, '["body","model"]'],
    invalid_request: [400, '"detail"'],
    invalid_prompt: [422, '["body","prompts"]'],
    queue_full: [429, '"detail":"Queue is full"'],
    safety: [200, '"has_nsfw_concept":true'],
    quota: [402, '"detail"'],
    rate: [429, '"detail"'],
    capacity: [503, '"detail"'],
    out_of_memory: [500, 'out of memory'],
    error: [500, '"detail"'],
  },
  pollinations: {
    unauthorized: [401, '"code":"UNAUTHORIZED"'],
    forbidden: [403, '"code":"FORBIDDEN"'],
    model_gone: [404, '"code":"NOT_FOUND"'],
    unknown_model: [400, '"fieldErrors":{"model":'],
    invalid_request: [400, '"code":"BAD_REQUEST"'],
    invalid_prompt: [400, '"fieldErrors":{"prompt":'],
    queue_full: [429, '"code":"RATE_LIMITED"'],
    safety: [422, '"code":"content_policy_violation"'],
    quota: [402, '"code":"PAYMENT_REQUIRED"'],
    rate: [429, '"code":"RATE_LIMITED"'],
    capacity: [503, '"code":"SERVICE_UNAVAILABLE"'],
    out_of_memory: [500, '"code":"INTERNAL_ERROR"'],
    error: [500, '"code":"INTERNAL_ERROR"'],
  },
};

describe.each(VENDORS)('$name', ({ name, start, ask, read }) => {
  let service: FakeService | undefined;
  const serve = async (): Promise<FakeService> => (service ??= await start());

  test.each(Object.entries(WORDS[name] ?? {}))(
    'says %s in its own words',
    async (fault, expected) => {
      const { url, setFault } = await serve();
      setFault(fault as Refusal); // a key of the table
      const response = await ask(url);
      expect(response.status).toBe(expected[0]);
      expect(response.text).toContain(expected[1]);
      expect(response.headers['retry-after']).toBe(fault === 'rate' ? '2' : undefined);
    },
  );

  test('breaks as servers break: a page, plain text, nothing at all', async () => {
    const { url, setFault } = await serve();
    setFault('unavailable');
    const page = await ask(url);
    expect([page.status, page.headers['content-type']]).toEqual([503, 'text/html; charset=utf-8']);
    setFault('blocked');
    const wall = await ask(url);
    expect([wall.status, wall.headers['content-type']]).toEqual([403, 'text/html; charset=utf-8']);
    setFault('too_large');
    expect((await ask(url)).status).toBe(413);
    setFault('redirect');
    const moved = await ask(url);
    expect([moved.status, moved.headers.location]).toEqual([302, '/login?next=%2F']);
    setFault('text');
    const words = await ask(url);
    expect([words.status, words.text]).toEqual([200, 'Rate limited, try later']);
    setFault('empty');
    const nothing = await ask(url);
    expect([nothing.status, nothing.bytes.length]).toEqual([200, 0]);
  });

  test('tells of its rate limit with a status of 200', async () => {
    const { url, setFault } = await serve();
    setFault('rate_in_200');
    const response = await ask(url);
    expect(response.status).toBe(200);
    expect(response.text).toContain(WORDS[name]?.rate?.[1]);
  });

  test('ends connections before and in the middle of an answer', async () => {
    const { url, setFault, state } = await serve();
    setFault('reset');
    await expect(ask(url)).rejects.toThrow('socket hang up');
    setFault('cut');
    await expect(ask(url)).rejects.toThrow('aborted');
    await until(() => state().counts.running === 0);
    expect(state().counts.aborted).toBe(0);
  });

  test('hangs until the client goes, and counts that', async () => {
    const { url, setFault, state } = await serve();
    const before = state().counts.aborted;
    setFault('hang');
    const asked = ask(url, 200);
    await until(() => state().counts.running === 1);
    await expect(asked).rejects.toThrow('timed out');
    await until(() => state().counts.running === 0);
    expect(state().counts.aborted).toBe(before + 1);
  });

  test('answers late and well', async () => {
    const { url, setFault } = await serve();
    setFault({ name: 'slow', ms: 50 });
    expect(read(await ask(url)).map(inspectPicture)).toMatchObject([{ isWhole: true }]);
  });

  test('spoils pictures: half a file, black, of another size, one too few', async () => {
    const { url, setFault } = await serve();
    const take = async (fault: Parameters<typeof setFault>[0]): Promise<readonly Buffer[]> => {
      setFault(fault);
      const response = await ask(url);
      expect(response.status).toBe(200);
      return read(response);
    };
    const size = { width: 512, height: 256 };
    const [good] = await take(undefined);
    const [half] = await take('truncated_image');
    expect(half).toEqual(good?.subarray(0, good.length >> 1));
    expect((await take('truncated_image')).map(inspectPicture)).toMatchObject([{ isWhole: false }]);
    const [black] = await take('black_image');
    expect(inspectPicture(black ?? Buffer.alloc(0))).toMatchObject({ ...size, isWhole: true });
    expect(black).not.toEqual(good);
    const other = (await take('wrong_size')).map(inspectPicture);
    expect(other).toMatchObject([{ width: 256, height: 128, isWhole: true }]);
    expect(await take('wrong_count')).toEqual([]);
  });

  test('fails for a seed only when there was one', async () => {
    const { url, setFault } = await serve();
    setFault('error_with_seed');
    expect((await ask(url)).status).toBe(name === 'openai' ? 200 : 500);
  });
});

describe('a service that censors', () => {
  test('of automatic1111 gives a black picture', async () => {
    const vendor = VENDORS.find(({ name }) => name === 'automatic1111');
    const service = await vendor?.start();
    service?.setFault('black_image');
    const black = await vendor?.ask(service?.url ?? '');
    service?.setFault('safety');
    const censored = await vendor?.ask(service?.url ?? '');
    expect(censored?.status).toBe(200);
    expect(censored && vendor?.read(censored)).toEqual(black && vendor?.read(black));
  });
});
