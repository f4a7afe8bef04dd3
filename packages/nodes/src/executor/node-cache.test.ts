import { describe, expect, test } from '@jest/globals';
import { type CachedResult, NodeCache } from './node-cache.ts';

const picture = (bytes: number): CachedResult => ({
  outputs: [{ kind: 'image', frames: [new Float32Array(bytes / 4)] }],
  ui: undefined,
  sketch: false,
});

describe('the node cache', () => {
  test('drops the least recently used results when it is full', () => {
    const cache = new NodeCache({ maxBytes: 35_000 });
    for (const key of ['a', 'b', 'c']) cache.set(key, picture(10_000));
    cache.get('a');
    cache.set('d', picture(10_000));
    expect(['a', 'b', 'c', 'd'].filter((key) => cache.get(key))).toEqual(['a', 'c', 'd']);
    expect(cache.bytes).toBeLessThanOrEqual(35_000);
  });

  test('does not keep a result larger than itself', () => {
    const cache = new NodeCache({ maxBytes: 35_000 });
    cache.set('a', picture(10_000));
    cache.set('b', picture(40_000));
    expect(cache.get('a')).toBeDefined();
    expect(cache.get('b')).toBeUndefined();
  });

  test('counts a frame that is shared within a result once', () => {
    const cache = new NodeCache({ maxBytes: 35_000 });
    const frame = new Float32Array(5_000);
    cache.set('a', { outputs: [{ frames: [frame, frame, frame] }], ui: undefined, sketch: false });
    expect(cache.get('a')).toBeDefined();
    cache.delete('a');
    expect(cache.bytes).toBe(0);
  });

  /** A result of exactly 512 bytes for its entry, 32 for each of three objects, and the frame. */
  const exactly = (bytes: number): CachedResult => ({
    outputs: [new Float32Array((bytes - 512 - 3 * 32) / 4)],
    ui: undefined,
    sketch: false,
  });
  const keysIn = (cache: NodeCache, keys: readonly string[]): string[] =>
    keys.filter((key) => cache.get(key));

  test('is filled to the byte', () => {
    const cache = new NodeCache({ maxBytes: 20_000 });
    cache.set('a', exactly(10_000));
    expect(cache.bytes).toBe(10_000);
    cache.set('b', exactly(10_000));
    expect([cache.bytes, keysIn(cache, ['a', 'b'])]).toEqual([20_000, ['a', 'b']]);
    cache.set('c', exactly(1_000));
    expect([cache.bytes, keysIn(cache, ['a', 'b', 'c'])]).toEqual([11_000, ['b', 'c']]);
    cache.set('whole', exactly(20_000));
    expect([cache.bytes, keysIn(cache, ['b', 'c', 'whole'])]).toEqual([20_000, ['whole']]);
    cache.set('more', exactly(20_004));
    expect(keysIn(cache, ['whole', 'more'])).toEqual(['whole']);
  });

  test('a result that replaces another counts anew, and is the one used last', () => {
    const cache = new NodeCache({ maxBytes: 30_000 });
    for (const key of ['a', 'b', 'c']) cache.set(key, exactly(10_000));
    cache.set('a', exactly(12_000));
    expect([cache.bytes, keysIn(cache, ['b', 'c', 'a'])]).toEqual([22_000, ['c', 'a']]);
    cache.set('d', exactly(10_000));
    expect(keysIn(cache, ['a', 'c', 'd'])).toEqual(['a', 'd']);
    cache.set('a', exactly(40_000));
    expect([cache.bytes, keysIn(cache, ['a', 'd'])]).toEqual([10_000, ['d']]);
    cache.clear();
    expect([cache.bytes, keysIn(cache, ['a', 'd'])]).toEqual([0, []]);
  });
});
