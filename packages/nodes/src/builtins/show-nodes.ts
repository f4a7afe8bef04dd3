import type { UiOutput } from '@tiercel/contracts';
import { encodePng } from '@tiercel/pictures';
import { type NodeContext, type NodeDefinition, NodeError } from '../node-definition.ts';
import { readImage, readMask, readText } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { spreadMask } from './mask-pixels.ts';
import { saveFrames } from './file-nodes.ts';
import { fillPrefix, fingerprintPrefix } from './filename-prefix.ts';

/** Fast: the file only travels to whoever listens. */
const PNG_LEVEL = 1;

/** Sends its pictures to the client's sockets as results; as in ComfyUI it runs each time anew. */
const saveWebsocket = declareNode(
  'SaveImageWebsocket',
  async (inputs, context) => {
    const { width, height, channels, frames } = readImage(inputs, 'images');
    for (const [index, frame] of frames.entries()) {
      context.progress(index, frames.length);
      // The file, at worst as large as its bytes, and its parts.
      await context.reserveMemory(2 * frame.length);
      const raw = { width, height, channels, data: frame };
      const bytes = await encodePng(raw, { level: PNG_LEVEL, signal: context.signal });
      await context.sendPicture({ mediaType: 'image/png', bytes });
    }
    return { outputs: [] };
  },
  { fingerprint: () => Number.NaN },
);

const saveAdvanced = declareNode(
  'SaveImageAdvanced',
  async (inputs, context) => {
    const image = readImage(inputs, 'images');
    const format = readText(inputs, 'format');
    if (format !== 'png') {
      throw new NodeError(`Only png can be written here, not ${format}.`, {
        exceptionType: 'ValueError',
      });
    }
    const prefix = fillPrefix(readText(inputs, 'filename_prefix'), context.promptText);
    const ui = await saveFrames(image, context, { type: 'output', prefix, level: 4 });
    return { outputs: [image], ui };
  },
  { fingerprint: fingerprintPrefix },
);

/** @param prefix of the files in the temp folder */
function showPictures(image: ImageBatch, prefix: string, context: NodeContext): Promise<UiOutput> {
  return saveFrames(image, context, { type: 'temp', prefix, level: PNG_LEVEL });
}

function createMaskPreview(prefix: string): NodeDefinition {
  return declareNode('MaskPreview', async (inputs, context) => {
    const mask = readMask(inputs, 'mask');
    const grey = await spreadMask(mask, context);
    return { outputs: [mask], ui: await showPictures(grey, prefix, context) };
  });
}

/** Each of its pictures under a name of its own, as the frontend's slider reads them. */
function createImageCompare(prefix: string): NodeDefinition {
  return declareNode('ImageCompare', async (inputs, context) => {
    const show = async (side: 'a' | 'b') => {
      const name = `image_${side}`;
      if (inputs[name] === undefined) return [];
      return (
        (await showPictures(readImage(inputs, name), `${prefix}_${side}`, context)).images ?? []
      );
    };
    return { outputs: [], ui: { a_images: await show('a'), b_images: await show('b') } };
  });
}

/** @param suffix keeps the temporary files of one process apart from another's */
export function createShowNodes(suffix: string): NodeDefinition[] {
  const prefix = `ComfyUI_temp_${suffix}`;
  return [saveWebsocket, saveAdvanced, createMaskPreview(prefix), createImageCompare(prefix)];
}
