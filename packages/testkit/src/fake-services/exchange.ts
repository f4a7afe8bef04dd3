import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { empty, send, sendTruncated, text, type Answer } from '../fake-comfyui/answer.ts';
import { REFUSALS, type FakeFaultName, type Refusal } from './faults.ts';
import { paintBlack, paintPicture, type PictureRequest } from './pictures.ts';
import type { ServiceWorld } from './service-log.ts';
import { hasSeed, type FakeVendor, type WireRequest, type Work } from './wire.ts';

/** Pages of whatever stands in front of a service, by fault. */
const PAGES: Readonly<Partial<Record<FakeFaultName, readonly [status: number, title: string]>>> = {
  unavailable: [503, '503 Service Unavailable'],
  blocked: [403, 'Attention Required! | Sorry, you have been blocked'],
  too_large: [413, '413 Request Entity Too Large'],
};
const RETRY_AFTER_SECONDS = '2';

/** Answers one request as the vendor does, or as the present fault will have it. */
export async function serveExchange(
  world: ServiceWorld,
  request: WireRequest,
  response: ServerResponse,
): Promise<void> {
  if (!world.vendor.isPictureRequest(request)) {
    const work = createWork({
      fault: undefined,
      renderMs: 0,
      signal: new AbortController().signal,
    });
    send(response, await world.vendor.answer(request, work));
    return;
  }
  const gone = new AbortController();
  const fault = world.faults.take({ hasSeed: hasSeed(request) });
  world.log.begin();
  let isCutByUs = false;
  const closed = new Promise<void>((resolve) => {
    response.once('close', () => {
      world.log.end({ isAborted: !response.writableFinished && !isCutByUs });
      gone.abort();
      resolve();
    });
  });
  if (fault === 'hang') {
    await closed;
    return;
  }
  if (fault === 'reset') {
    isCutByUs = true;
    response.destroy();
    return;
  }
  const renderMs = world.latencyMs + (fault === 'slow' ? world.faults.slowMs : 0);
  const work = createWork({ fault, renderMs, signal: gone.signal });
  const answer = await answerPictures(world.vendor, request, work);
  if (fault === 'cut') {
    isCutByUs = true;
    sendTruncated(response, answer);
    return;
  }
  send(response, answer);
}

async function answerPictures(
  vendor: FakeVendor,
  request: WireRequest,
  work: Work,
): Promise<Answer> {
  const { fault } = work;
  const page = fault === undefined ? undefined : PAGES[fault];
  if (page !== undefined) return htmlPage(...page);
  if (fault === 'redirect') return { ...empty(302), headers: { location: '/login?next=%2F' } };
  if (fault === 'rate_in_200')
    return { ...(vendor.refuse('rate', request) ?? empty()), status: 200 };
  if (fault === 'text') return text(200, 'Rate limited, try later');
  const refusal = fault === 'error_with_seed' ? 'error' : fault;
  if (isRefusal(refusal)) {
    const refused = vendor.refuse(refusal, request);
    if (refused !== undefined) return refusal === 'rate' ? withRetryAfter(refused) : refused;
  }
  const answer = await vendor.answer(request, work);
  return fault === 'empty' ? { ...empty(), headers: answer.headers } : answer;
}

function htmlPage(status: number, title: string): Answer {
  const page = `<html><head><title>${title}</title></head><body></body></html>`;
  return text(status, page, 'text/html; charset=utf-8');
}

function isRefusal(fault: FakeFaultName | undefined): fault is Refusal {
  return REFUSALS.some((refusal) => refusal === fault);
}

function withRetryAfter(answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, 'retry-after': RETRY_AFTER_SECONDS } };
}

function createWork(parts: Pick<Work, 'fault' | 'renderMs' | 'signal'>): Work {
  const { fault, renderMs, signal } = parts;
  return {
    ...parts,
    render: async () => {
      signal.throwIfAborted();
      if (renderMs > 0) await sleep(renderMs, undefined, { signal });
    },
    paint: (picture) => paintWith(fault, picture),
    paintBlack,
    count: (count) => (fault === 'wrong_count' ? count - 1 : count),
  };
}

function paintWith(fault: FakeFaultName | undefined, picture: PictureRequest): Buffer {
  if (fault === 'black_image') return paintBlack(picture);
  if (fault === 'wrong_size') {
    const half = (pixels: number): number => Math.max(1, pixels >> 1);
    return paintPicture({ ...picture, width: half(picture.width), height: half(picture.height) });
  }
  const painted = paintPicture(picture);
  return fault === 'truncated_image' ? painted.subarray(0, painted.length >> 1) : painted;
}
