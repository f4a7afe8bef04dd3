import { describe, expect, test } from '@jest/globals';
import { toPublicUrl } from './server-address.ts';

const key = Buffer.alloc(32, 1);

describe('toPublicUrl', () => {
  test('names a server without its login, the same each time', () => {
    const name = toPublicUrl('https://me:pass-word@gpu.example:9000/comfy', key);
    expect(name).toMatch(/^https:\/\/gpu\.example:9000\/comfy#[0-9a-f]{8}$/);
    expect(toPublicUrl('https://me:pass-word@gpu.example:9000/comfy', Buffer.from(key))).toBe(name);
    expect(toPublicUrl(name, key)).toBe(name);
  });

  test('tells logins on one host apart, and installations', () => {
    const names = [
      toPublicUrl('http://a:b@gpu', key),
      toPublicUrl('http://a:c@gpu', key),
      toPublicUrl('http://b:b@gpu', key),
      toPublicUrl('http://a@gpu', key),
      toPublicUrl('http://a:b@gpu', Buffer.alloc(32, 2)),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(['http://gpu-a:8188', 'http://gpu-a/comfy', 'no url'])('leaves %s as it is', (url) => {
    expect(toPublicUrl(url, key)).toBe(url);
  });
});
