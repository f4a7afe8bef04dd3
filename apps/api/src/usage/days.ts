import { AppError } from '@tiercel/contracts';
import { z } from 'zod';

const LONGEST_RANGE_DAYS = 366;
const DAY_MS = 86_400_000;

const date = z.iso.date('must be a day such as 2026-11-26').optional();
/** The days that are asked for. */
export const daysQuery = {
  from: date.describe('First day (UTC); without it the first of the month of `to`'),
  to: date.describe('Last day (UTC); without it today'),
};

export interface Days {
  readonly from: string;
  readonly to: string;
  /** All of them, in their order. */
  readonly days: readonly string[];
}

/** @throws AppError bad_request when there are none, or too many */
export function listDays(
  asked: { readonly from?: string | undefined; readonly to?: string | undefined },
  today: string,
): Days {
  const { to = today, from = `${to.slice(0, 7)}-01` } = asked;
  const first = Date.parse(from);
  const count = (Date.parse(to) - first) / DAY_MS + 1;
  if (count < 1) {
    throw new AppError('bad_request', `from (${from}) must not be after to (${to}).`);
  }
  if (count > LONGEST_RANGE_DAYS) {
    const message = `from and to must be at most ${LONGEST_RANGE_DAYS} days apart.`;
    throw new AppError('bad_request', message);
  }
  const days = Array.from({ length: count }, (_, n) =>
    new Date(first + n * DAY_MS).toISOString().slice(0, 10),
  );
  return { from, to, days };
}
