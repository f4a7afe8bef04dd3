import type { ComfyPreview } from './frame-reader.ts';
import type { ComfyMessage } from './text-frames.ts';

/** Who is told, in the order of arrival. What a method throws is logged and goes no further. */
export interface ComfySocketListener {
  /** The server has registered us: what a prompt submitted from now on sends will arrive. */
  onOpen(isReconnect: boolean): void;
  /** The connection is lost, and frames with it: whoever waits must read the truth again after onOpen. */
  onGap(): void;
  onMessage(message: ComfyMessage): void;
  onPreview(preview: ComfyPreview): void;
  /** A frame came that could not be read. */
  onGarbage(): void;
  onText(text: { readonly nodeId: string; readonly text: string }): void;
}
