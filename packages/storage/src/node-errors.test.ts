import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AppError } from '@tiercel/contracts';
import { FileStore } from './file-store.ts';
import { translateFileError } from './node-errors.ts';
import { UserStore } from './user-store.ts';

/** A folder of Linux that nobody can write to, root neither. */
const READ_ONLY = '/sys';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tiercel-'));
});
afterAll(() => rm(root, { recursive: true }));

/** An error as the system makes it. */
async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('errors of the file system', () => {
  test('are told without the path, which is kept for the log', async () => {
    const folder = join(root, 'private');
    mkdirSync(folder);
    const asFile = await failureOf(readFile(folder));
    expect(translateFileError(asFile)).toMatchObject({ code: 'bad_request', cause: asFile });
    const missing = await failureOf(writeFile(join(root, 'no', 'such', 'folder'), ''));
    const received = translateFileError(missing) as AppError;
    expect(received).toMatchObject({ code: 'storage_unavailable', status: 503, cause: missing });
    expect(received.message).toBe(
      'The storage cannot be used now: the file system failed (ENOENT).',
    );
    expect((missing as Error).message).toContain(root);
  });

  test.each([
    ['a plain error', new Error('plain')],
    ['an error of ours', new AppError('path_refused', 'no')],
    ['a connection that was cut', Object.assign(new Error('aborted'), { code: 'ECONNRESET' })],
    ['a text', 'text'],
    ['nothing', undefined],
  ])('%s is none of them', (_, error) => {
    expect(translateFileError(error)).toBe(error);
  });
});

(existsSync(join(READ_ONLY, 'kernel')) ? describe : describe.skip)(
  'a data folder that cannot be written',
  () => {
    const file = { prefix: 'a', extension: '.png', bytes: new Uint8Array(8) } as const;
    const stores = () => {
      const dataDir = join(root, 'data');
      mkdirSync(join(dataDir, 'user'), { recursive: true });
      for (const folder of ['output', 'input', 'temp', 'user/default']) {
        if (!existsSync(join(dataDir, folder))) symlinkSync(READ_ONLY, join(dataDir, folder));
      }
      return { files: new FileStore(dataDir), user: new UserStore(dataDir) };
    };

    test.each<[string, (s: ReturnType<typeof stores>) => Promise<unknown>]>([
      ['a result', ({ files }) => files.saveOutput({ ...file, type: 'output' })],
      ['a preview', ({ files }) => files.saveOutput({ ...file, type: 'temp' })],
      ['an upload', ({ files }) => files.writeUpload(new Uint8Array(8))],
      ['the beginning of an upload', ({ files }) => files.createUploadPath()],
      ['a user file', ({ user }) => user.files.write('a.json', new Uint8Array(8), 'replace')],
      ['settings', ({ user }) => user.settings.merge(new Map([['a', 1]]))],
    ])('says of %s that it cannot be stored now, and not where', async (_, store) => {
      const error = (await failureOf(store(stores()))) as AppError;
      expect(error).toMatchObject({ code: 'storage_unavailable', retryAfterSeconds: 10 });
      expect(error.message).not.toContain('/');
      expect((error.cause as Error).message).toContain(root);
    });
  },
);
