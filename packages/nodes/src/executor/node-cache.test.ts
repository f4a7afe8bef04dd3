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
});
