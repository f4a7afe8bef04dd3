import { stringifyJson, isJsonObject, toPythonJson, type OutputRef } from '@tiercel/contracts';
import {
  NodeFailure,
  readKind,
  readNumber,
  readText,
  type ImageValue,
  type NodeContext,
  type NodeResult,
  type NodeValue,
  type RunNode,
} from './node-class.ts';
import { colourOf, encodePng, readPicture, type Picture } from './pictures.ts';

const resize = (width: number, height: number): ((image: ImageValue) => ImageValue) => {
  return ({ pictures }) => ({
    kind: 'image',
    pictures: pictures.map(({ colour }) => ({ width, height, colour })),
  });
};

/** Saves every picture of a batch as PNG, with the prompt and what `extra_pnginfo` holds as text. */
function savePngs(
  image: ImageValue,
  context: NodeContext,
  target: { readonly type: 'output' | 'temp'; readonly prefix: string },
): OutputRef[] {
  const texts = { prompt: toPythonJson(stringifyJson(context.prompt)), ...readPngInfo(context) };
  return image.pictures.map((picture) =>
    context.files.save(target.type, target.prefix, 'png', encodePng(picture, texts)),
  );
}

function readPngInfo({ extraData }: NodeContext): Record<string, string> {
  const info = extraData.extra_pnginfo;
  if (!isJsonObject(info)) return {};
  return Object.fromEntries(
    Object.entries(info).map(([key, value]) => [key, toPythonJson(stringifyJson(value))]),
  );
}

/** The bytes of a named input file. @throws NodeFailure FileNotFoundError */
export function loadFile(name: string, { files }: NodeContext): Buffer {
  const bytes = files.readAnnotated(name);
  if (bytes !== undefined) return bytes;
  const message = `[Errno 2] No such file or directory: '/opt/ComfyUI/input/${name}'`;
  throw new NodeFailure('FileNotFoundError', message);
}

const oneImage = (picture: Picture): NodeResult => ({
  outputs: [{ kind: 'image', pictures: [picture] }],
});

const mask: NodeValue = { kind: 'opaque', type: 'MASK', name: 'mask' };

export const IMAGE_NODES: Readonly<Record<string, RunNode>> = {
  EmptyImage: (inputs) => {
    const picture = {
      width: readNumber(inputs.width),
      height: readNumber(inputs.height),
      colour: readNumber(inputs.color),
    };
    const pictures = Array<Picture>(readNumber(inputs.batch_size, 1)).fill(picture);
    return { outputs: [{ kind: 'image', pictures }] };
  },
  ImageScale: (inputs) => {
    const scale = resize(readNumber(inputs.width), readNumber(inputs.height));
    return { outputs: [scale(readKind(inputs.image, 'image'))] };
  },
  ImageScaleBy: (inputs) => {
    const image = readKind(inputs.image, 'image');
    const factor = readNumber(inputs.scale_by, 1);
    const [first] = image.pictures;
    const sides = [first?.width ?? 1, first?.height ?? 1].map((side) => Math.round(side * factor));
    return { outputs: [resize(sides[0] ?? 1, sides[1] ?? 1)(image)] };
  },
  ImageInvert: (inputs) => {
    const { pictures } = readKind(inputs.image, 'image');
    const inverted = pictures.map(({ width, height, colour }) => ({
      ...{ width, height, colour: 0xffffff - colour },
    }));
    return { outputs: [{ kind: 'image', pictures: inverted }] };
  },
  LoadImage: (inputs, context) => {
    const bytes = loadFile(readText(inputs.image), context);
    return { outputs: [{ kind: 'image', pictures: [readPicture(bytes)] }, mask] };
  },
  LoadImageMask: (inputs, context) => {
    loadFile(readText(inputs.image), context);
    return { outputs: [mask] };
  },
  SolidMask: () => ({ outputs: [mask] }),
  SaveImage: (inputs, context) => {
    const image = readKind(inputs.images, 'image');
    const prefix = readText(inputs.filename_prefix, 'ComfyUI');
    return { ui: { images: savePngs(image, context, { type: 'output', prefix }) } };
  },
  PreviewImage: (inputs, context) => {
    const image = readKind(inputs.images, 'image');
    const target = { type: 'temp', prefix: context.files.tempPrefix } as const;
    return { ui: { images: savePngs(image, context, target) } };
  },
  /** Sends its pictures to the client's socket and stores nothing; the steps count from 0, as there. */
  SaveImageWebsocket: async (inputs, context) => {
    const { pictures } = readKind(inputs.images, 'image');
    for (const [index, picture] of pictures.entries()) {
      await context.progress(index, pictures.length, encodePng(picture, {}));
    }
    return {};
  },
  /** Blocks what comes after it, with a message unless that is empty. */
  BlockBranch: (inputs) => {
    const message = readText(inputs.message);
    return { outputs: [{ kind: 'blocked', message: message === '' ? null : message }] };
  },
  /** Works for `ms` milliseconds; an interrupt ends it at once. 0: not even a timer. */
  RunMs: async (inputs, context) => {
    const end = performance.now() + readNumber(inputs.ms);
    for (let left = readNumber(inputs.ms); left > 0; left = end - performance.now()) {
      await context.sleep(Math.min(left, 25));
      await context.checkpoint();
    }
    return oneImage({ width: 64, height: 64, colour: colourOf(readText(inputs.seed)) });
  },
};
