import type { UsageRow } from '@tiercel/accounts';
import { showAmounts } from './shown.ts';

const COLUMNS = [
  ...['tenant', 'day', 'tier', 'success', 'error', 'interrupted'],
  ...['run_seconds', 'images', 'megapixels', 'cost'],
];

export const CSV_HEAD = toLine(COLUMNS);

/** A line of CSV (RFC 4180) for each row, in the columns of CSV_HEAD. */
export function toCsv(rows: readonly UsageRow[]): string {
  return rows
    .map((row) => {
      const { jobs, run_seconds, images, megapixels, cost } = showAmounts(row);
      const { success, error, interrupted } = jobs;
      const named = [row.tenant, row.day, row.tier ?? ''];
      return toLine([...named, success, error, interrupted, run_seconds, images, megapixels, cost]);
    })
    .join('');
}

function toLine(cells: readonly (string | number)[]): string {
  return `${cells.map(toCell).join(',')}\r\n`;
}

/** Tenants may choose their names: none is to be a formula of who opens the file in a spreadsheet. */
function toCell(cell: string | number): string {
  if (typeof cell === 'number') return String(cell);
  const text = /^[=+\-@]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
