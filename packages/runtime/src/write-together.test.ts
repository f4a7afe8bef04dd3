import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { writeTogether } from './write-together.ts';

/** A stream that tells what each call to the operating system would have carried. */
function createStream(): { stream: Writable; calls: string[] } {
  const calls: string[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      calls.push(chunk.toString());
      done();
    },
    writev: (chunks, done) => {
      calls.push(chunks.map(({ chunk }) => (chunk as Buffer).toString()).join(''));
      done();
    },
  });
  return { stream, calls };
}

test('what is written in one turn leaves together, in order, and what comes later by itself', async () => {
  const { stream, calls } = createStream();
  writeTogether(stream);
  stream.write('a');
  stream.write('b', 'utf8');
  await Promise.resolve().then(() => stream.write('c'));
  await new Promise(setImmediate);
  const flushed = new Promise((done) => stream.write('d', done));
  await flushed;
  expect(calls).toEqual(['abc', 'd']);
});
