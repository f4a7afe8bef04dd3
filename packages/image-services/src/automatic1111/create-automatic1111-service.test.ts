import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { PreviewPicture } from '@tiercel/routing';
import {
  type FakeService,
  onStopEverything,
  startFakeAutomatic1111,
  stopEverything,
  until,
  type WireRequest,
} from '@tiercel/testkit';
import type { ImageService } from '../service/image-service.ts';
import { sampleContext, sampleRequest } from '../service/sample-request.test-helpers.ts';
import { sniffImage } from '../service/read-picture.ts';
import { classifyA1111 } from '../service/vendor-refusals.ts';
import { createAutomatic1111Service } from './create-automatic1111-service.ts';

const CHECKPOINTS = ['first.safetensors [1111111111]', 'second.safetensors [2222222222]'];
const INTERRUPT = '/sdapi/v1/interrupt';

let fake: FakeService;
const open = (): ImageService => createAutomatic1111Service({ url: fake.url });
const asked = (path: string): WireRequest[] =>
  fake.requests().filter((request) => request.path === path);

beforeAll(async () => {
  fake = await startFakeAutomatic1111({ checkpoints: CHECKPOINTS });
});
beforeEach(() => {
  fake.setLatency(0);
});
afterAll(stopEverything);

describe('Automatic1111', () => {
  it('gets samplers and schedulers by its own names', async () => {
    const request = sampleRequest({ sampler: 'dpmpp_2m_sde_gpu', scheduler: 'sgm_uniform' });
    const { dropped } = await open().generate(request, sampleContext());
    expect(asked('/sdapi/v1/txt2img').at(-1)?.body).toMatchObject({
      ...{ sampler_name: 'DPM++ 2M SDE', scheduler: 'SGM Uniform' },
    });
    expect(dropped).toEqual([]);
  });

  it('gets the variant of a sampler that is a setting of the server, for that request only', async () => {
    const request = sampleRequest({ sampler: 'uni_pc_bh2' });
    const { dropped } = await open().generate(request, sampleContext());
    expect(dropped).toEqual([]);
    expect(asked('/sdapi/v1/txt2img').at(-1)?.body).toMatchObject({
      sampler_name: 'UniPC',
      override_settings: { uni_pc_variant: 'bh2' },
      override_settings_restore_afterwards: true,
    });
    await open().generate(sampleRequest({ sampler: 'uni_pc' }), sampleContext());
    expect(asked('/sdapi/v1/txt2img').at(-1)?.body).not.toHaveProperty('override_settings');
  });

  it('does without a sampler that it does not have, which is reported', async () => {
    const request = sampleRequest({ sampler: 'res_multistep', scheduler: 'linear_quadratic' });
    const { dropped } = await open().generate(request, sampleContext());
    expect(asked('/sdapi/v1/txt2img').at(-1)?.body).not.toHaveProperty('sampler_name');
    expect(dropped).toEqual(['sampler', 'scheduler']);
  });

  it('is asked for the configured checkpoint, and to keep it loaded', async () => {
    const service = createAutomatic1111Service({ url: fake.url, model: 'second' });
    await service.generate(sampleRequest(), sampleContext());
    expect(asked('/sdapi/v1/txt2img').at(-1)?.body).toMatchObject({
      override_settings: { sd_model_checkpoint: 'second' },
      override_settings_restore_afterwards: false,
    });
  });

  it('says which checkpoint painted', async () => {
    const { model } = await open().generate(sampleRequest(), sampleContext());
    expect(model).toBe('first');
    expect(asked('/sdapi/v1/txt2img').at(-1)?.body).not.toHaveProperty('override_settings');
  });

  it('counts the seeds of a batch up to the last one there is', async () => {
    const request = sampleRequest({ seed: 2n ** 64n - 1n, batch: 3 });
    const { images, changed } = await open().generate(request, sampleContext());
    expect(images).toHaveLength(3);
    expect(asked('/sdapi/v1/txt2img').at(-1)?.body).toMatchObject({ seed: 1, batch_size: 3 });
    expect(changed).toEqual([{ param: 'seed', asked: '18446744073709551615', used: 1 }]);
  });

  it('shows progress and previews while it paints', async () => {
    fake.setLatency(1_500);
    const received: [number, PreviewPicture | undefined][] = [];
    await open().generate(
      sampleRequest({ steps: 20 }),
      sampleContext({ onProgress: (fraction, preview) => received.push([fraction, preview]) }),
    );
    expect(received.length).toBeGreaterThan(0);
    const fractions = received.map(([fraction]) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.every((fraction) => fraction > 0 && fraction <= 1)).toBe(true);
    const preview = received.at(-1)?.[1];
    expect(preview?.mediaType).toBe(`image/${String(sniffImage(preview!.bytes))}`);
  });

  it.each(['is cancelled', 'runs out of time'])('stops painting when the job %s', async (how) => {
    fake.setLatency(60_000);
    const interrupts = asked(INTERRUPT).length;
    const stop = new AbortController();
    const timeoutMs = how === 'is cancelled' ? 20_000 : 300;
    const outcome = open().generate(
      sampleRequest(),
      sampleContext({ signal: stop.signal, timeoutMs }),
    );
    const ended = expect(outcome).rejects.toThrow(
      how === 'is cancelled' ? 'interrupted' : 'did not answer within 300 ms',
    );
    if (how === 'is cancelled') {
      await until(() => fake.state().counts.running > 0);
      stop.abort(new Error('interrupted'));
    }
    await ended;
    expect(asked(INTERRUPT)).toHaveLength(interrupts + 1);
    fake.setLatency(0);
    await expect(open().generate(sampleRequest(), sampleContext())).resolves.toBeDefined();
  });

  it('never hears of a job that is cancelled while it waits for another', async () => {
    fake.setLatency(400);
    const service = open();
    const before = asked('/sdapi/v1/txt2img').length;
    const interrupts = asked(INTERRUPT).length;
    const stop = new AbortController();
    const first = service.generate(sampleRequest(), sampleContext());
    const second = service.generate(sampleRequest(), sampleContext({ signal: stop.signal }));
    const third = service.generate(sampleRequest(), sampleContext());
    stop.abort(new Error('interrupted'));
    await expect(second).rejects.toThrow('interrupted');
    await Promise.all([first, third]);
    expect(asked('/sdapi/v1/txt2img')).toHaveLength(before + 2);
    expect(asked(INTERRUPT)).toHaveLength(interrupts);
  });

  it("leaves another's render alone when the server tells whose it is", async () => {
    const seen: string[] = [];
    let running = 'task(somebody-elses)';
    const server = createServer((request, response) => {
      const path = request.url?.split('?')[0] ?? '';
      seen.push(path);
      if (path.endsWith('/progress')) {
        response.end(JSON.stringify({ progress: 0.5, current_task: running }));
      } else if (path.endsWith('/interrupt')) {
        response.end('{}');
      } else {
        request.setEncoding('utf8').on('data', (text: string) => {
          const { force_task_id: id } = JSON.parse(text) as { force_task_id: string };
          if (running === '') running = id;
        });
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onStopEverything(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const service = createAutomatic1111Service({ url });
    const received: number[] = [];
    const runUntil = async (isTime: () => boolean): Promise<void> => {
      const stop = new AbortController();
      const outcome = service.generate(
        sampleRequest(),
        sampleContext({ signal: stop.signal, onProgress: (fraction) => received.push(fraction) }),
      );
      const ended = expect(outcome).rejects.toThrow('interrupted');
      await until(isTime);
      stop.abort(new Error('interrupted'));
      await ended;
    };
    await runUntil(() => seen.some((path) => path.endsWith('/progress')));
    expect([seen.includes(INTERRUPT), received]).toEqual([false, []]);
    running = '';
    await runUntil(() => received.length > 0);
    expect([seen.includes(INTERRUPT), received[0]]).toEqual([true, 0.5]);
  });

  it.each([
    [422, { detail: [{ loc: ['body', 'steps'], msg: 'not an integer', type: 'type' }] }, 'caller'],
    [404, { detail: 'Not Found' }, 'config'],
    [404, { detail: 'Sampler not found' }, 'unsupported'],
    [500, { error: 'RuntimeError', errors: 'CUDA out of memory' }, 'capacity'],
  ])('means by %d and %j: %s', (status, json, expected) => {
    expect(classifyA1111({ status, json })).toMatchObject({ class: expected });
  });
});
