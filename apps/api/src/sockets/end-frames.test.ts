import { describe, expect, test } from '@jest/globals';
import { endFrames, isLastFrame, lastFrame, splitEnd } from './end-frames.ts';

const line = (id: string, type: string) => ({
  id,
  frame: type === 'last' ? lastFrame('a') : `{"type":"${type}","data":{"prompt_id":"a"}}`,
});
const idsOf = (lines: readonly { readonly id: string }[]) => lines.map(({ id }) => id);

describe('the last frame of a job', () => {
  test('is an `executing` with no node, and no other is taken for it', () => {
    expect(JSON.parse(lastFrame('a'))).toEqual({
      ...{ type: 'executing', data: { node: null, prompt_id: 'a' } },
    });
    expect(isLastFrame(lastFrame('a'))).toBe(true);
    for (const data of ['{"node":"3","prompt_id":"a"}', '{"prompt_id":"a"}']) {
      expect(isLastFrame(`{"type":"executing","data":${data}}`)).toBe(false);
    }
  });

  test('takes the lines of its batch with it, also those after it, and no others', () => {
    const lines = [
      ...[line('4.1', 'executing'), line('5.0', 'executed'), line('55.0', 'progress')],
      ...[line('5.1', 'execution_success'), line('5.2', 'last'), line('5.3', 'status')],
    ];
    const { before, end } = splitEnd(lines);
    expect(idsOf(before)).toEqual(['4.1', '55.0']);
    expect(idsOf(end)).toEqual(['5.0', '5.1', '5.2', '5.3']);
  });

  test('that has not come leaves everything before the end', () => {
    const lines = [line('1.0', 'execution_start'), line('-', 'progress')];
    expect(splitEnd(lines)).toEqual({ before: lines, end: [] });
    expect(splitEnd([])).toEqual({ before: [], end: [] });
  });
});

describe('an end that is told from the record', () => {
  const job = {
    id: 'a',
    outputsText: '{"9":{"images":[{"filename":"x.png"}]},"12":{"text":["18446744073709551615"]}}',
    messagesText:
      '[["execution_start",{"prompt_id":"a"}],["execution_success",{"prompt_id":"a","timestamp":18446744073709551615}]]',
  };

  test('has every output, the terminal event with its numbers to the digit, and the last frame', () => {
    const frames = endFrames(job, 10_000);
    expect(frames.map((frame) => (JSON.parse(frame) as { type: string }).type)).toEqual([
      ...['executed', 'executed', 'execution_success', 'executing'],
    ]);
    expect(JSON.parse(frames[0]!)).toEqual({
      type: 'executed',
      data: {
        ...{ node: '9', display_node: '9', prompt_id: 'a' },
        output: { images: [{ filename: 'x.png' }] },
      },
    });
    expect(frames[2]).toContain('"timestamp":18446744073709551615');
    expect(isLastFrame(frames[3]!)).toBe(true);
  });

  test('is told without what a record lacks', () => {
    expect(endFrames({ id: 'a', outputsText: 'null', messagesText: '[]' }, 10_000)).toEqual([
      lastFrame('a'),
    ]);
  });

  test('cuts an output that is larger than a frame may be, and says so', () => {
    const outputsText = JSON.stringify({ '9': { text: ['x'.repeat(5_000)] } });
    const [frame] = endFrames({ ...job, outputsText }, 1_000);
    expect(Buffer.byteLength(frame!)).toBeLessThanOrEqual(1_000);
    expect(JSON.parse(frame!)).toMatchObject({ data: { node: '9', tiercel_cut: true } });
  });
});
