import type { IncomingHttpHeaders } from 'node:http';
import { MAX_RETRY_AFTER_MS, parseDuration, parseRetryAfter } from '@tiercel/upstream-http';
import type { Refusal } from './refusal.ts';

const RESET = /^x-ratelimit-reset-(.+)$/;

/**
 * When a service wants to be asked again: `Retry-After`; `retry-after-ms`, which OpenAI and Azure send beside it and
 * which is exact; and of OpenAI's `x-ratelimit-reset-*` those of the limits that are used up.
 */
export function readRetryAfter(
  headers: IncomingHttpHeaders,
  nowMs: number,
): Pick<Refusal, 'retryAfterMs' | 'rateResetMs'> {
  const exact = /^\d+(?:\.\d+)?$/.exec(textOf(headers, 'retry-after-ms').trim())?.[0];
  const retryAfterMs =
    exact === undefined
      ? parseRetryAfter(headers['retry-after'], nowMs)
      : Math.min(Number(exact), MAX_RETRY_AFTER_MS);
  return { retryAfterMs, rateResetMs: findReset(headers) };
}

function findReset(headers: IncomingHttpHeaders): number | undefined {
  const resets = Object.keys(headers).flatMap((name) => {
    const limit = RESET.exec(name)?.[1];
    if (limit === undefined) return [];
    const remaining = textOf(headers, `x-ratelimit-remaining-${limit}`);
    const isUsedUp = remaining === '' || Number(remaining) <= 0;
    return isUsedUp ? (parseDuration(textOf(headers, name)) ?? []) : [];
  });
  const last = Math.max(0, ...resets);
  // One that is over says nothing of why the answer came.
  return last > 0 ? last : undefined;
}

function textOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}
