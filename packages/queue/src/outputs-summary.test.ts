import { describe, expect, test } from '@jest/globals';
import { summariseOutputs } from './outputs-summary.ts';

const file = (filename: string, type = 'output') => ({ filename, subfolder: '', type });

/** What ComfyUI 0.33 answers for the same outputs (get_outputs_summary and count_previewable_outputs). */
describe('the outputs of a job', () => {
  test.each([
    ['nothing', {}, [0, 0, undefined]],
    ['a saved picture', { 1: { images: [file('a.png')] } }, [1, 1, 'a.png']],
    [
      'flags are no outputs',
      { 1: { images: [file('a.webp')], animated: [true] } },
      [1, 1, 'a.webp'],
    ],
    [
      'a saved file before one that is only shown',
      { 1: { images: [file('t.png', 'temp')] }, 2: { audio: [file('s.flac')] } },
      [2, 2, 's.flac'],
    ],
    [
      'files nobody can show count, but not as such',
      { 1: { latents: [file('a.latent')] }, 2: { images: [file('a.png')] } },
      [2, 1, 'a.png'],
    ],
    [
      'a video by its format',
      { 1: { gifs: [{ ...file('v.mp4'), format: 'video/h264-mp4' }] } },
      [1, 1, 'v.mp4'],
    ],
    ['a model by its name', { 1: { result: ['mesh/a.GLB', null, 3] } }, [1, 1, 'mesh/a.GLB']],
    [
      'a picture before a text file, wherever it stands',
      { 1: { files: [file('a.md')] }, 2: { images: [file('t.png', 'temp')] } },
      [2, 2, 't.png'],
    ],
    [
      'a text file before a text',
      { 1: { text: ['hi'] }, 2: { files: [file('a.json')] } },
      [1, 1, 'a.json'],
    ],
    ['a text is shown and not counted', { 1: { text: ['hi', 'ho'] } }, [0, 0, 'hi']],
  ])('%s', (_, outputs, expected) => {
    const { count, previewableCount, preview } = summariseOutputs(outputs);
    const shown = preview?.filename ?? preview?.content;
    expect([count, previewableCount, shown]).toEqual(expected);
  });

  test('show a long text cut, and say so', () => {
    const { preview } = summariseOutputs({ 7: { text: ['x'.repeat(1025)] } });
    expect(preview).toEqual({
      ...{ content: 'x'.repeat(1024), truncated: true },
      ...{ nodeId: '7', mediaType: 'text' },
    });
  });

  test('name the kind that an item names itself', () => {
    const { preview } = summariseOutputs({ 7: { '3d': ['a.glb'], images: [] } });
    expect(preview).toEqual({ ...file('a.glb'), nodeId: '7', mediaType: '3d' });
  });
});
