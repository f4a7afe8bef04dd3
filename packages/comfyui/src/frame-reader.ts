import { isJsonObject, type NodeIdentity } from '@tiercel/contracts';
import { decodeBinaryFrame } from './binary-frames.ts';
import { readMessage, readRunning, type ComfyMessage } from './text-frames.ts';

/** A preview picture. */
export interface ComfyPreview {
  /** Event 1 names no node: it is then the one that runs for us, undefined when none is known to. */
  readonly node: NodeIdentity | undefined;
  /** Only event 4 names it. */
  readonly promptId: string | undefined;
  readonly mediaType: 'image/jpeg' | 'image/png';
  /** A view into the frame; custom nodes put more than a picture into event 1. */
  readonly bytes: Uint8Array;
}

/** A frame of ComfyUI's socket, read; `unknown` is of a later version, or of an extension. */
export type ComfyFrame =
  | { readonly kind: 'message'; readonly message: ComfyMessage }
  | { readonly kind: 'preview'; readonly preview: ComfyPreview }
  | { readonly kind: 'text'; readonly nodeId: string; readonly text: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'garbage' };

/** Reads the frames of one connection; remembers which node runs, as some previews name none. */
export class FrameReader {
  #running: NodeIdentity | undefined;

  /** Never throws. */
  read(frame: Buffer, isBinary: boolean): ComfyFrame {
    return isBinary ? this.#readBinary(frame) : this.#readText(frame.toString('utf8'));
  }

  #readText(raw: string): ComfyFrame {
    const message = readMessage(raw);
    if (message === undefined) return { kind: 'garbage' };
    const { type, data } = message;
    if (type === 'executing' && isJsonObject(data)) this.#running = readRunning(data);
    return { kind: 'message', message };
  }

  #readBinary(frame: Buffer): ComfyFrame {
    const decoded = decodeBinaryFrame(frame);
    if (decoded.kind === 'preview') {
      const { mediaType, bytes } = decoded;
      const preview = { node: this.#running, promptId: undefined, mediaType, bytes };
      return { kind: 'preview', preview };
    }
    if (decoded.kind === 'preview-of-node') {
      const { node, promptId, mediaType, bytes } = decoded;
      return { kind: 'preview', preview: { node, promptId, mediaType, bytes } };
    }
    return decoded;
  }
}
