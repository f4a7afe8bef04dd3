import { afterAll, expect, test } from '@jest/globals';
import { stopEverything } from '../cleanup.ts';
import { http } from '../raw-http.ts';
import { inspectPicture } from './inspect-picture.ts';
import { startFakeTurbo } from './turbo.ts';

afterAll(stopEverything);

test('a turbo server answers one result for each prompt', async () => {
  const { url } = await startFakeTurbo();
  const body = { prompts: ['a', 'b'], width: 640, height: 384, seed: 7, negative_prompt: 'c' };
  const response = await http(url).post('/generate', { ...body, steps: 4 });
  const results = response.json() as { image: string }[]; // the documented shape
  const rest = { has_nsfw_concept: false, concept: [], width: 640, height: 384, seed: 7 };
  expect(results).toEqual(Array(2).fill({ image: expect.any(String), ...rest }));
  const picture = { format: 'png', width: 640, height: 384, isWhole: true };
  expect(results.map(({ image }) => inspectPicture(Buffer.from(image, 'base64')))).toEqual([
    ...[picture, picture],
  ]);
  expect(results[0]?.image).not.toBe(results[1]?.image);
});

test('a turbo server draws a seed when none is given, and says which', async () => {
  const { url } = await startFakeTurbo();
  const response = await http(url).post('/generate', { prompts: ['a'] });
  expect(response.json()).toMatchObject([{ seed: expect.any(Number), width: 512, height: 512 }]);
});

test.each([{}, { prompts: 'a' }, { prompts: [1] }, { prompts: ['a'], width: 'wide' }])(
  'a turbo server refuses %j',
  async (body) => {
    const { url } = await startFakeTurbo();
    const response = await http(url).post('/generate', body);
    expect(response.status).toBe(422);
    expect(response.json()).toMatchObject({ detail: [{ loc: ['body', expect.any(String)] }] });
  },
);
