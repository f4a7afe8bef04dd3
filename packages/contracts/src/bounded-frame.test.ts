import { describe, expect, test } from '@jest/globals';
import { boundedFrame } from './bounded-frame.ts';

const MAX = 20_000;

interface Frame {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

const read = (text: string): Frame => JSON.parse(text) as Frame;

describe('a frame that is not too large', () => {
  test('is written as it is, 64-bit numbers included', () => {
    const data = { prompt_id: 'x', output: { text: ['ä'.repeat(5_000), 18446744073709551615n] } };
    const frame = boundedFrame('executed', data, MAX);
    expect(frame).toContain('18446744073709551615');
    expect(frame.startsWith('{"type":"executed","data":{"prompt_id":"x","output":')).toBe(true);
    expect(frame).not.toContain('tiercel_cut');
  });
});

describe('a frame that is too large', () => {
  test.each<[string, Record<string, unknown>]>([
    ['a long text', { text: ['x'.repeat(1_000_000)] }],
    ['control characters, six bytes each when escaped', { text: ['\u0001'.repeat(60_000)] }],
    ['many texts', { text: Array.from({ length: 5_000 }, (_, n) => `line ${n}`) }],
    ['many members', Object.fromEntries(Array.from({ length: 9_000 }, (_, n) => [`k${n}`, [n]]))],
    ['long names', { ['n'.repeat(500_000)]: [1] }],
    ['depth and width', { a: Array.from({ length: 99 }, () => Array(99).fill('y'.repeat(99))) }],
  ])('because of %s fits, says so, and still is what it was', (_why, output) => {
    const data = { node: '5', display_node: '5', output, prompt_id: 'x' };
    const frame = boundedFrame('executed', data, MAX);
    expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(MAX);
    const { type, data: kept } = read(frame);
    expect(type).toBe('executed');
    expect(kept).toMatchObject({ node: '5', prompt_id: 'x', tiercel_cut: true });
    expect(typeof kept.output).toBe('object');
  });

  test('shows the beginning of a text and how long it was', () => {
    const output = { text: [`start ${'x'.repeat(1_000_000)}`] };
    const { data } = read(boundedFrame('executed', { output }, MAX));
    const [text] = (data.output as { text: string[] }).text;
    expect(text).toMatch(/^start x+… \[cut; 1000006 characters in all\]$/);
  });

  test('is a complete execution_error all the same: frontends refuse one that lacks a member', () => {
    const frame = boundedFrame(
      'execution_error',
      {
        ...{ prompt_id: 'x', node_id: '1', node_type: 'T', executed: ['1'], timestamp: 5 },
        ...{ exception_message: 'm'.repeat(90_000), exception_type: 'E' },
        traceback: Array(5_000).fill('t'.repeat(300)),
        current_inputs: { a: Array(500).fill(['v'.repeat(500)]) },
        current_outputs: [],
      },
      MAX,
    );
    const { data } = read(frame);
    expect(data).toMatchObject({ node_id: '1', exception_type: 'E', timestamp: 5 });
    expect(Array.isArray(data.traceback)).toBe(true);
    expect(data.exception_message).toContain('cut');
  });

  test('may have a type of any length', () => {
    const frame = boundedFrame('t'.repeat(1_000_000), { a: 1 }, MAX);
    expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(MAX);
    expect(read(frame).data).toEqual({ a: 1, tiercel_cut: true });
  });
});
