import type { CancelServer } from './cancel-prompt.ts';

/** What a run needs of the server it is on. */
export interface RunServer extends CancelServer {
  /** The prompt neither runs nor waits there any more: its place is free. */
  leave(): void;
  /** Nobody waits for the prompt any more: it is stopped there as soon as the server answers. */
  abandon(): void;
  /** The socket is open and says nothing: ComfyUI has forgotten it (wire 2.5). */
  renewSocket(): void;
  /** The prompt is there, and nothing has been heard of it for a while. */
  noteSilence(): void;
}
