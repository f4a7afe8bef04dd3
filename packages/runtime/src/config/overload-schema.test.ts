import { expect, test } from '@jest/globals';
import { fileSchema } from './file-schema.ts';
import { readThresholds } from './overload-schema.ts';

const read = (overload: object, mode = 'optional') =>
  readThresholds(fileSchema.parse({ overload }).overload, mode);

test('a queue that is old is none that is overloaded while everybody is one tenant', () => {
  expect(read({}, 'open').map(({ queueAgeMs }) => queueAgeMs)).toEqual([null, null, null, null]);
  expect(read({}).map(({ queueAgeMs }) => queueAgeMs)).toEqual([300e3, 600e3, 900e3, 1_200e3]);
  // The file's word counts in any mode.
  const words = { previews: { queueAgeMs: 7 }, admission: { lagMs: null, queueAgeMs: null } };
  expect(read(words, 'open')[0]).toEqual({ lagMs: 250, queueAgeMs: 7 });
  expect(read(words)[3]).toEqual({ lagMs: null, queueAgeMs: null });
});

test.each([
  [{ previews: { lagMs: 600 } }, 'progress.lagMs'],
  [{ status: { queueAgeMs: 1_000 } }, 'status.queueAgeMs'],
  [{ previews: { lagMs: 900 }, progress: { lagMs: null }, status: { lagMs: 800 } }, 'status.lagMs'],
])('steps in another order are refused: %j', (overload, where) => {
  const { error } = fileSchema.safeParse({ overload });
  expect(error?.issues.map(({ path }) => path.join('.'))).toEqual([`overload.${where}`]);
  expect(error?.issues[0]?.message).toContain('previews, progress, status, admission');
});
