import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { AppError, ERRORS, isAppError } from './errors.ts';

interface DocumentedError {
  readonly code: string;
  readonly status: number;
  readonly disposition: string;
}

/** Rows of the page's tables: code, status, who acts, and at least two cells of explanation. */
function readDocumentedErrors(): DocumentedError[] {
  const path = join(import.meta.dirname, '../../../docs/errors.md');
  const rows = readFileSync(path, 'utf8').matchAll(
    /^\| `(\w+)` +\| (\d+) +\| (\w+) +\| \S[^|]* \| \S[^|]* \|/gm,
  );
  return [...rows].map(([, code = '', status, disposition = '']) => ({
    code,
    status: Number(status),
    disposition,
  }));
}

describe('docs/errors.md', () => {
  const documented = readDocumentedErrors();

  test('lists exactly the codes of the catalogue, each once', () => {
    expect(documented.map(({ code }) => code).sort()).toEqual(Object.keys(ERRORS).sort());
  });

  test('tells the status and who acts as the catalogue has them', () => {
    const expected = Object.entries(ERRORS).map(([code, { status, disposition }]) => ({
      code,
      status,
      disposition,
    }));
    expect(documented).toEqual(expect.arrayContaining(expected));
  });
});

describe('AppError', () => {
  test('takes its status from the catalogue', () => {
    for (const [code, { status }] of Object.entries(ERRORS)) {
      expect(new AppError(code as keyof typeof ERRORS, 'text').status).toBe(status);
    }
  });

  test('can be told from other errors, and keeps its cause and its delay', () => {
    const cause = new Error('disk full');
    const error = new AppError('queue_full', 'Too many.', { cause, retryAfterSeconds: 5 });
    expect(isAppError(error)).toBe(true);
    expect(isAppError(cause)).toBe(false);
    expect(error).toMatchObject({ cause, code: 'queue_full', retryAfterSeconds: 5, status: 429 });
  });
});
