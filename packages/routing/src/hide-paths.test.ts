import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { hidePaths, hidePathsIn } from './hide-paths.ts';

describe('hidePaths', () => {
  test.each([
    // Node
    [
      "ENOSPC: no space left on device, write '/srv/tiercel/data/output/a_00001_.png'",
      "ENOSPC: no space left on device, write 'output/a_00001_.png'",
    ],
    [
      "EACCES: permission denied, open '/home/my user/notes.txt'",
      "EACCES: permission denied, open 'notes.txt'",
    ],
    [
      "Cannot find module '/opt/app/nodes/lib.mjs' imported from /opt/app/nodes/plugin.mjs",
      "Cannot find module 'lib.mjs' imported from plugin.mjs",
    ],
    ['    at run (file:///home/alice/plug/x.mjs:12:7)', '    at run (x.mjs:12:7)'],
    [
      '    at f (/work/t/node_modules/sharp/lib/input.js:3:1)',
      '    at f (node_modules/sharp/lib/input.js:3:1)',
    ],
    // Python
    [
      '  File "/srv/ComfyUI/execution.py", line 496, in execute\n',
      '  File "execution.py", line 496, in execute\n',
    ],
    [
      '  File "/workspace/ComfyUI/custom_nodes/Some Pack/nodes.py", line 1\n',
      '  File "custom_nodes/Some Pack/nodes.py", line 1\n',
    ],
    [
      '  File "/usr/lib/python3.12/site-packages/torch/nn/modules/conv.py", line 9\n',
      '  File "site-packages/torch/nn/modules/conv.py", line 9\n',
    ],
    ['  File "/app/comfy/sd.py", line 4', '  File "comfy/sd.py", line 4'],
    [
      "[Errno 2] No such file or directory: '/mnt/nas/models/vae/ae.safetensors'",
      "[Errno 2] No such file or directory: 'models/vae/ae.safetensors'",
    ],
    ['could not open /data/in/x.png: broken', 'could not open x.png: broken'],
    ['path:/srv/in/a.png key=/run/secrets/token', 'path:a.png key=token'],
    // Windows
    [
      '  File "C:\\Users\\Eve Long\\ComfyUI\\custom_nodes\\p\\n.py", line 2',
      '  File "custom_nodes/p/n.py", line 2',
    ],
    ['cannot read D:\\\\data\\\\pics\\\\a.png now', 'cannot read a.png now'],
    ['cannot read D:\\data\\pics\\a.png now', 'cannot read a.png now'],
    ['cannot read \\\\nas\\share\\pics\\a.png now', 'cannot read a.png now'],
  ])('%j is told as %j', (text, received) => {
    expect(hidePaths(text)).toBe(received);
  });

  test.each([
    'POST /api/jobs/7/cancel was answered 404',
    'https://example.com/a/b/c.png could not be loaded',
    "see 'https://example.com/a/b'",
    'either and/or both, 3/4/5 of them, km/h/s',
    'image "sub/folder/a.png" [input] does not exist',
    'use /prompt',
    "the route '/prompt' is",
    'a ratio of 16:9 at 1/2/3',
    'x = a //b // c',
    '',
  ])('%j stays as it is', (text) => {
    expect(hidePaths(text)).toBe(text);
  });

  test('values are looked through at any depth', () => {
    expect(hidePathsIn({ a: ["'/srv/x/y.py'", 1, 5n, null, { b: '/srv/x/y.py' }] })).toEqual({
      a: ["'y.py'", 1, 5n, null, { b: 'y.py' }],
    });
  });

  test('the folder this process works in is hidden although its name has blanks', () => {
    const before = process.cwd();
    const folder = mkdtempSync(join(tmpdir(), 'a b c-'));
    try {
      process.chdir(folder);
      const text = `nothing at ${process.cwd()}/data/output/x.png`;
      expect(hidePaths(text)).toBe('nothing at output/x.png');
    } finally {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    }
  });

  test('takes no time worth speaking of on texts made for it', () => {
    const startedAt = performance.now();
    for (const piece of ['/a', "'/a", '/a/', '\\\\', 'C:\\a']) hidePaths(piece.repeat(100_000));
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });
});
