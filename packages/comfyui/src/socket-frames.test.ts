import { describe, expect, test } from '@jest/globals';
import { decodeBinaryFrame } from './socket-frames.ts';

function frame(event: number, second: number, rest: string | readonly number[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(event, 0);
  head.writeUInt32BE(second, 4);
  return Buffer.concat([head, typeof rest === 'string' ? Buffer.from(rest) : Buffer.from(rest)]);
}

function withMetadata(metadata: object, picture = 'PIC'): Buffer {
  const text = JSON.stringify(metadata);
  return frame(4, Buffer.byteLength(text), text + picture);
}

describe('binary frames', () => {
  test('a picture without metadata is a JPEG or a PNG', () => {
    expect(decodeBinaryFrame(frame(1, 1, 'a'))).toMatchObject({ mediaType: 'image/jpeg' });
    expect(decodeBinaryFrame(frame(1, 2, 'a'))).toMatchObject({ mediaType: 'image/png' });
  });

  test('a picture with metadata names its node inside an expanded graph', () => {
    const metadata = {
      ...{ node_id: '3.0.1', display_node_id: '3', parent_node_id: '3', real_node_id: '3.0.1' },
      ...{ prompt_id: 'p', image_type: 'image/png' },
    };
    const decoded = decodeBinaryFrame(withMetadata(metadata));
    expect(decoded).toMatchObject({
      kind: 'preview-of-node',
      node: { node_id: '3.0.1', display_node_id: '3', parent_node_id: '3', real_node_id: '3.0.1' },
      promptId: 'p',
      mediaType: 'image/png',
    });
    expect('bytes' in decoded ? Buffer.from(decoded.bytes).toString() : '').toBe('PIC');
  });

  test('text keeps its characters', () => {
    const decoded = decodeBinaryFrame(frame(3, 2, '17größer'));
    expect(decoded).toEqual({ kind: 'text', nodeId: '17', text: 'größer' });
  });

  test('events of later versions are unknown, not garbage', () => {
    expect(decodeBinaryFrame(frame(99, 0, ''))).toEqual({ kind: 'unknown' });
  });

  test.each([
    ['no bytes', Buffer.alloc(0)],
    ['half a head', Buffer.from([0, 0, 0, 1])],
    ['a picture of an unknown type', frame(1, 7, 'a')],
    ['a picture without a byte', frame(1, 1, '')],
    ['metadata longer than the frame', frame(4, 0xffffffff, '{')],
    ['metadata that is not JSON', frame(4, 3, 'abcPIC')],
    ['metadata without a node', withMetadata({ image_type: 'image/png' })],
    ['metadata of a picture nobody can show', withMetadata({ node_id: '1', image_type: 'x/y' })],
    ['metadata without a picture', withMetadata({ node_id: '1', image_type: 'image/png' }, '')],
    ['a node id longer than the frame', frame(3, 9, 'a')],
  ])('%s is garbage', (_what, bytes) => {
    expect(decodeBinaryFrame(bytes)).toEqual({ kind: 'garbage' });
  });
});
