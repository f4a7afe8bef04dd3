import { describe, expect, test } from '@jest/globals';
import type { Preview } from '@tiercel/contracts';
import { encodePicture, encodePreview } from './binary-frames.ts';

const node = {
  ...{ node_id: 'ü:7', display_node_id: 'ü', parent_node_id: 'ü', real_node_id: '7' },
};
const bytes = Uint8Array.from([9, 8, 7]);
const preview = (mediaType: Preview['mediaType']): Preview => ({
  ...{ promptId: 'a', node, mediaType, bytes, forAll: true },
});

describe('a preview as ComfyUI frames it', () => {
  test.each([
    ['image/jpeg', 1],
    ['image/png', 2],
  ] as const)('%s for clients that announced nothing: event 1, image type %i', (type, number) => {
    expect([...encodePreview(preview(type), false)]).toEqual([
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      number,
      9,
      8,
      7,
    ]);
  });

  test('with metadata: event 4, the length of the metadata in bytes, and its keys in order', () => {
    const frame = encodePreview(preview('image/png'), true);
    const length = frame.readUInt32BE(4);
    expect(frame.readUInt32BE(0)).toBe(4);
    expect([...frame.subarray(8 + length)]).toEqual([9, 8, 7]);
    expect(frame.subarray(8, 8 + length).toString()).toBe(
      '{"node_id":"ü:7","prompt_id":"a","display_node_id":"ü","parent_node_id":"ü","real_node_id":"7","image_type":"image/png"}',
    );
  });

  test('text is the same for all: event 3, the length of the node id in bytes', () => {
    const text = { ...preview('text/plain'), bytes: Buffer.from('half done') };
    for (const wantsMetadata of [true, false]) {
      const frame = encodePreview(text, wantsMetadata);
      expect([frame.readUInt32BE(0), frame.readUInt32BE(4)]).toEqual([3, 4]);
      expect(frame.subarray(8).toString()).toBe('ü:7half done');
    }
  });

  test('a picture that is a result looks as a preview does', () => {
    const picture = {
      ...{ prompt_id: 'a', index: 0, node, image_type: 'image/png' as const },
      file: { filename: 'x.png', subfolder: '', type: 'output' as const },
    };
    for (const wantsMetadata of [true, false]) {
      expect(encodePicture(picture, bytes, wantsMetadata)).toEqual(
        encodePreview(preview('image/png'), wantsMetadata),
      );
    }
  });
});
