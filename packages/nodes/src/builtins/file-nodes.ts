import {
  type NewOutput,
  sliceMembers,
  stringifyJson,
  toPythonJson,
  type UiOutput,
} from '@tiercel/contracts';
import { encodePng, MemoryLimitError, streamPng } from '@tiercel/pictures';
import { loadPicture } from '../image/load-picture.ts';
import {
  type NodeContext,
  type NodeDefinition,
  NodeError,
  type PictureName,
} from '../node-definition.ts';
import { readImage, readText } from '../read-input.ts';
import type { ImageBatch, SketchMark } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { fillPrefix, fingerprintPrefix } from './filename-prefix.ts';

const loadImage: NodeDefinition = {
  class_type: 'LoadImage',
  display_name: 'Load Image',
  category: 'image',
  // The list of files belongs to whoever serves object_info: it changes with every upload.
  input: { required: { image: [[], { image_upload: true }] } },
  output: ['IMAGE', 'MASK'],
  fingerprint: (inputs, context) => context.fingerprintInput(readText(inputs, 'image')),
  async run(inputs, context) {
    const file = await readFile(readText(inputs, 'image'), context);
    const { image, mask } = await loadPicture(file, context);
    return { outputs: [image, mask] };
  },
};

/** The same of what was made before: its names end in ` [output]`. */
const loadImageOutput = declareNode(
  'LoadImageOutput',
  (inputs, context) => loadImage.run(inputs, context),
  {
    fingerprint: (inputs, context) => context.fingerprintInput(readText(inputs, 'image')),
  },
);

/** An input file. @throws NodeError when there is none of that name */
export async function readFile(
  name: string,
  context: NodeContext,
): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
  try {
    return { name, bytes: await context.readInput(name) };
  } catch (cause) {
    if (cause instanceof MemoryLimitError || context.signal.aborted) throw cause;
    throw new NodeError(`Invalid image file: ${name}`, {
      exceptionType: 'FileNotFoundError',
      cause,
    });
  }
}

/** What is written into a file besides the pixels: as ComfyUI, and the mark of a sketch. */
export function createTextChunks(
  context: Pick<NodeContext, 'promptText' | 'extraPnginfo'>,
  sketch: SketchMark | undefined,
): [string, string][] {
  const chunks: [string, string][] = [['prompt', toPythonJson(context.promptText)]];
  for (const [key, text] of sliceMembers(context.extraPnginfo ?? '{}')) {
    chunks.push([key, toPythonJson(text)]);
  }
  if (sketch) chunks.push(['tiercel', toPythonJson(stringifyJson({ sketch: true, ...sketch }))]);
  return chunks;
}

const STREAMED_SAMPLES = 4 * 1024 * 1024;

/** Stores every frame as a PNG, one counter each, and lists the files as ComfyUI's `ui.images`. */
export async function saveFrames(
  image: ImageBatch,
  context: NodeContext,
  options: PictureName & { level: number },
): Promise<UiOutput> {
  const { width, height, channels } = image;
  const text = createTextChunks(context, image.sketch);
  const files = [];
  for (const [index, frame] of image.frames.entries()) {
    context.signal.throwIfAborted();
    const raw = { width, height, channels, data: frame };
    const settings = { level: options.level, text, signal: context.signal };
    // A large one is written as it is encoded: the file never lies in memory.
    const isLarge = frame.length > STREAMED_SAMPLES;
    const bytes = isLarge ? streamPng(raw, settings) : await encodePng(raw, settings);
    const output = toOutput(options, index, { bytes, width, height });
    files.push(await context.saveOutput(output));
  }
  return { images: files };
}

/** @param index of the picture among those that its node stores */
export function toOutput(
  { type, prefix }: PictureName,
  index: number,
  picture: Pick<NewOutput, 'bytes' | 'width' | 'height'>,
): NewOutput {
  const filled = prefix.replaceAll('%batch_num%', String(index));
  return { ...picture, type, prefix: filled, extension: '.png' };
}

const saveImage: NodeDefinition = {
  class_type: 'SaveImage',
  display_name: 'Save Image',
  category: 'image',
  description: 'Saves the input images to your ComfyUI output directory.',
  output_node: true,
  input: {
    required: {
      images: ['IMAGE', { tooltip: 'The images to save.' }],
      filename_prefix: [
        'STRING',
        {
          default: 'ComfyUI',
          tooltip:
            'The prefix for the file to save. This may include formatting information such as %date:yyyy-MM-dd% or %Empty Latent Image.width% to include values from nodes.',
        },
      ],
    },
    hidden: { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' },
  },
  output: [],
  fingerprint: fingerprintPrefix,
  pictureName({ filename_prefix: prefix }, promptText) {
    // A linked one is known when its source has run.
    if (typeof prefix !== 'string') return undefined;
    return { type: 'output', prefix: fillPrefix(prefix, promptText) };
  },
  async run(inputs, context) {
    const image = readImage(inputs, 'images');
    const prefix = fillPrefix(readText(inputs, 'filename_prefix'), context.promptText);
    return {
      outputs: [],
      ui: await saveFrames(image, context, { type: 'output', prefix, level: 4 }),
    };
  },
};

/** @param suffix five letters that keep the temporary files of one process apart from another's */
function createPreviewImage(suffix: string): NodeDefinition {
  const prefix = `ComfyUI_temp_${suffix}`;
  return {
    class_type: 'PreviewImage',
    display_name: 'Preview Image',
    category: 'image',
    description: 'Saves the input images to your ComfyUI output directory.',
    output_node: true,
    input: {
      required: { images: ['IMAGE'] },
      hidden: { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' },
    },
    output: [],
    pictureName: () => ({ type: 'temp', prefix }),
    async run(inputs, context) {
      const image = readImage(inputs, 'images');
      return {
        outputs: [],
        ui: await saveFrames(image, context, { type: 'temp', prefix, level: 1 }),
      };
    },
  };
}

export function createFileNodes(previewSuffix: string): NodeDefinition[] {
  return [loadImage, loadImageOutput, saveImage, createPreviewImage(previewSuffix)];
}
