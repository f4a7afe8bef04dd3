import { describe, expect, test } from '@jest/globals';
import { counterOf, expandPrefix, outputName, splitPrefix } from './output-names.ts';

const values = { now: new Date(2026, 2, 5, 7, 8, 9), width: 640, height: 480 };

describe('a filename prefix', () => {
  test.each([
    ['ComfyUI', 'ComfyUI'],
    ['%year%-%month%-%day%/%hour%.%minute%.%second%', '2026-03-05/07.08.09'],
    ['p_%width%x%height%', 'p_640x480'],
    ['%date:yyyy-MM-dd%/x', '2026-03-05/x'],
    ['%date:yy-M-d hhmmss%', '26-3-5 070809'],
    ['%date:yyyy%%width%', '2026640'],
    ['%KSampler.seed% 100%', '%KSampler.seed% 100%'],
    ['%unknown%', '%unknown%'],
  ])('%j becomes %j', (prefix, expected) => {
    expect(expandPrefix(prefix, values)).toBe(expected);
  });

  test.each([
    ['pre', '', 'pre'],
    ['sub/dir/pre', 'sub/dir', 'pre'],
    ['sub/./dir//pre', 'sub/dir', 'pre'],
    ['a/../b/pre', 'b', 'pre'],
    ['dir/', '', 'dir'],
    ['sub\\pre', 'sub', 'pre'],
  ])('%j is folder %j and name %j', (prefix, subfolder, stem) => {
    expect(splitPrefix(prefix)).toEqual({ subfolder, stem });
  });

  test.each([['../x'], ['a/../../x'], ['/x'], ['..'], ['..\\x'], ['\\x']])(
    '%j is refused',
    (prefix) => {
      expect(() => splitPrefix(prefix)).toThrow(expect.objectContaining({ code: 'path_refused' }));
    },
  );
});

describe('the counter of an output name', () => {
  test('is written with five digits and a trailing underscore', () => {
    expect(outputName('pre', 7, '_.png')).toBe('pre_00007_.png');
    expect(outputName('pre', 123456, '_.webp')).toBe('pre_123456_.webp');
  });

  test.each([
    ['pre_00012_.png', 12],
    ['pre_00012_.webp', 12],
    ['pre_7_x.png', 7],
    ['pre_00012.png', 12],
    ['pre_00012-audio.mp4', 12],
    ['pre_a_00012_.png', 0],
    ['prefix_00012_.png', 0],
    ['other_00012_.png', 0],
    ['pre_99999999999999999999_.png', 0],
  ])('of %j is %j', (name, counter) => {
    expect(counterOf(name, 'pre')).toBe(counter);
  });
});
