import { describe, expect, test } from '@jest/globals';
import type { JsonValue } from '@tiercel/contracts';
import { draft, inputsOf, saved } from './workflows.test-helpers.ts';

/** The inputs of one node with these values. */
function read(type: string, values?: JsonValue, extras: Record<string, unknown> = {}) {
  return inputsOf(saved([draft(1, type, values, extras)]))['1'];
}

describe('the values of a node', () => {
  test('are taken by position over its widgets; controls and upload buttons have places and are not sent', () => {
    expect(read('KSampler', [5, 'randomize', 9, 3, 'heun', 'karras', 0.5])).toEqual({
      seed: 5,
      steps: 9,
      cfg: 3,
      sampler_name: 'heun',
      scheduler: 'karras',
      denoise: 0.5,
    });
    expect(read('LoadMask', ['b.png', 'red', 'image'])).toEqual({ image: 'b.png', channel: 'red' });
    expect(read('Sound', ['a.mp3', 0.5, null, null])).toEqual({ audio: 'a.mp3', gain: 0.5 });
    expect(read('Whole', [5])).toEqual({ value: 5 });
  });

  test('too few leave defaults, too many are passed over', () => {
    const defaults = { steps: 20, cfg: 8, sampler_name: 'euler', scheduler: 'simple', denoise: 1 };
    expect(read('KSampler')).toEqual({ seed: 0, ...defaults });
    expect(read('KSampler', [7, 'fixed'])).toEqual({ seed: 7, ...defaults });
    expect(read('Flag', [true, 1, 2])).toEqual({ value: true });
    expect(read('Text', [])).toEqual({ value: '' });
    expect(read('Flag', [])).toEqual({ value: false });
    expect(read('Sound')).toEqual({ gain: 0 });
  });

  test('an object is read as a list only if it has a length', () => {
    expect(read('Whole', { value: 5 })).toEqual({ value: 0 });
    expect(read('Whole', { '0': 5, '1': 'fixed', length: 2 })).toEqual({ value: 5 });
  });

  test('names of values are not read: positions win', () => {
    expect(read('Whole', [5, 'fixed'], { widgets_values_named: { value: 9 } })).toEqual({
      value: 5,
    });
  });

  test('are not checked, and lists are wrapped, so that none is taken for a link', () => {
    expect(read('Whole', ['x', 'fixed'])).toEqual({ value: 'x' });
    expect(read('LoadMask', ['none of the list', 7])).toEqual({
      image: 'none of the list',
      channel: 7,
    });
    expect(read('Text', [['1', 0]])).toEqual({ value: { __value__: ['1', 0] } });
    expect(read('Text', [{ a: 1 }])).toEqual({ value: { a: 1 } });
    expect(read('Whole', [18446744073709551615n, 'fixed'])).toEqual({
      value: 18446744073709551615n,
    });
  });

  test('null stays, but a combo takes its first choice', () => {
    expect(read('KSampler', [1, 'fixed', null, null, null, null, null])).toEqual({
      seed: 1,
      steps: null,
      cfg: null,
      sampler_name: 'euler',
      scheduler: 'simple',
      denoise: null,
    });
  });

  test('a text area makes text of what it is given', () => {
    expect(read('Encode', [5])).toEqual({ text: '5' });
    expect(read('Encode', [{ a: 1 }])).toEqual({ text: '[object Object]' });
    expect(read('Encode', [null])).toEqual({ text: '' });
  });

  test('a widget that is linked keeps its place', () => {
    const file = saved([
      draft(1, 'Whole', [3, 'fixed']),
      draft(2, 'Latent', [640, 512, 4], { feeds: { height: [1, 0] }, widgets: ['height'] }),
    ]);
    expect(inputsOf(file)['2']).toEqual({ width: 640, height: ['1', 0], batch_size: 4 });
  });
});

describe('repairs of older files', () => {
  test('a sampler loses the prefix that it had once, a value for an input that takes only links goes', () => {
    const values = [1, true, 20, 8, 'sample_heun', 'simple', 1];
    expect(read('KSampler', values)).toMatchObject({ seed: 1, steps: 20, sampler_name: 'heun' });
    expect(read('Taker', [0.5, 'x'])).toEqual({ name: 'x' });
    expect(read('Taker', ['x'])).toEqual({ name: 'x' });
  });
});

describe('widgets of newer classes', () => {
  test('a dynamic combo brings those of its choice, right after it', () => {
    expect(read('Resize', ['size', 64, 32, 'lanczos'])).toEqual({
      method: 'size',
      'method.width': 64,
      'method.height': 32,
      filter: 'lanczos',
    });
    expect(read('Resize', ['factor', 3])).toEqual({
      method: 'factor',
      'method.factor': 3,
      filter: 'area',
    });
    expect(read('Resize')).toMatchObject({ method: 'size', 'method.width': 512 });
    expect(read('Resize', ['no such', 'lanczos'])).toEqual({
      method: 'no such',
      filter: 'lanczos',
    });
  });

  test('a link to what another choice would bring is dropped', () => {
    const resize = (method: string) =>
      inputsOf(
        saved([
          draft(1, 'Invert'),
          draft(2, 'Resize', [method], { feeds: { input: [1, 0], 'method.image': [1, 0] } }),
        ]),
      )['2'];
    expect(resize('match')).toMatchObject({ input: ['1', 0], 'method.image': ['1', 0] });
    expect(Object.keys(resize('factor') ?? {})).not.toContain('method.image');
  });

  test('a group that grows has what is linked, under the names of its members', () => {
    const file = saved([
      draft(1, 'Invert'),
      draft(2, 'Batch', [], { feeds: { 'images.image0': [1, 0], 'images.image3': [1, 0] } }),
      draft(3, 'Maths', ['a + c'], { feeds: { 'values.a': [1, 0], 'values.c': [1, 0] } }),
    ]);
    expect(inputsOf(file)).toMatchObject({
      '2': { 'images.image0': ['1', 0], 'images.image3': ['1', 0] },
      '3': { expression: 'a + c', 'values.a': ['1', 0], 'values.c': ['1', 0] },
    });
  });

  test('a combo of its user: the index is the place of the choice, and the list ends with an empty one', () => {
    const wanted = { choice: 'b', index: 1, option1: 'a', option2: 'b', option3: '' };
    expect(read('CustomCombo', ['b', 0, 'a', 'b', ''])).toEqual(wanted);
    expect(read('CustomCombo', ['b', 7, 'a', 'b'])).toEqual(wanted);
  });

  test('curves have their type with them, a view of two pictures nothing, a saved mesh an empty picture', () => {
    const curve = { points: [[0, 0]] };
    expect(read('Curve', [curve])).toEqual({ curve: { __type__: 'CURVE', __value__: curve } });
    expect(read('ImageCompare', [])).toEqual({ view: { __value__: ['', ''] } });
    expect(read('SaveGLB', ['3d/x', ''])).toEqual({ filename_prefix: '3d/x', image: '' });
  });
});

describe('texts', () => {
  const draw = (text: string, random = 0) =>
    inputsOf(saved([draft(1, 'Encode', [text])]), { random: () => random })['1']?.text;

  test('choices are drawn, inner ones too, and escapes lose their backslash', () => {
    expect(draw('a {red|green|blue} fox', 0)).toBe('a red fox');
    expect(draw('a {red|green|blue} fox', 0.99)).toBe('a blue fox');
    expect(draw('{a {very {deep|flat}} one|two}')).toBe('a very deep one');
    expect(draw('\\{kept\\} \\| (a:1.2) \\(b\\) {} end')).toBe('{kept} | (a:1.2) \\(b\\)  end');
  });

  test('comments are cut first, in addresses too, and an open brace runs to the end', () => {
    expect(draw('keep // cut\nnext /* and\nthis */ done')).toBe('keep \nnext  done');
    expect(draw('https://example.org/a.png {open')).toBe('https:');
    expect(draw('a } b } {c|d')).toBe('a } b } c');
  });

  test('only where the class says so', () => {
    expect(read('Text', ['{a|b} // c'])).toEqual({ value: '{a|b} // c' });
  });
});

describe('the name of a saved file', () => {
  const nodes = (prefix: string) =>
    saved([
      draft(1, 'Latent', [640, 512, 1], { title: 'Size' }),
      draft(2, 'KSampler', [42, 'fixed'], { properties: { 'Node name for S&R': 'Sampler' } }),
      draft(3, 'Encode', ['a/b:c {x|y}']),
      draft(4, 'SaveImage', [prefix]),
      draft(5, 'Text', [prefix]),
    ]);
  const prefixOf = (prefix: string) => inputsOf(nodes(prefix))['4']?.filename_prefix;

  test('gets dates', () => {
    expect(prefixOf('%date:yyyy-MM-dd%/%date:hhmmss%_%date:d M yy h m s%')).toBe(
      '2026-01-02/030405_2 1 26 3 4 5',
    );
    expect(prefixOf('%date:%_%date:d.M.yy%_%date:yyyy%%')).toBe('_2_2026%');
  });

  test('gets values of nodes by search name, type or title, without what no file name may have', () => {
    expect(prefixOf('%Sampler.seed%_%Sampler.control_after_generate%_%Size.width%')).toBe(
      '42_fixed_640',
    );
    expect(prefixOf('%Latent.height%_%Encode.text%')).toBe('512_a_b_c {x_y}');
  });

  test('keeps what the server fills in, and what nobody knows', () => {
    const kept = '%width%_%year%_%nope.x%_%Encode.nope%_100%';
    expect(prefixOf(kept)).toBe(kept);
  });

  test('no other text gets any', () => {
    expect(inputsOf(nodes('%date:yyyy%'))['5']).toEqual({ value: '%date:yyyy%' });
  });
});
