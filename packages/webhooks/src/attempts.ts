import { z } from 'zod';
import type { SendResult } from './send-webhook.ts';

/** Tries of a delivery that its record keeps. */
const KEPT = 10;

const attemptSchema = z.object({
  at: z.number(),
  ms: z.number(),
  status: z.number().optional(),
  error: z.string().optional(),
});
export type Attempt = Readonly<z.infer<typeof attemptSchema>>;

/** @returns the last tries as JSON, with one more */
export function appendAttempt(
  text: string,
  {
    startedAtMs,
    tookMs,
    result,
  }: { readonly startedAtMs: number; readonly tookMs: number; readonly result: SendResult },
): string {
  const outcome = 'code' in result ? { error: result.code } : { status: result.status };
  const attempt: Attempt = { at: startedAtMs, ms: tookMs, ...outcome };
  return JSON.stringify([...readAttempts(text), attempt].slice(-KEPT));
}

export function readAttempts(text: string): Attempt[] {
  return z.array(attemptSchema).parse(JSON.parse(text));
}
