import type { ChildMessage } from '@tiercel/runtime';
import type { FakeComfyUiOptions } from './options.ts';
import { serveFakeComfyUi } from './server.ts';

/** A fake ComfyUI as a process of its own, which a test may kill; ends with its parent. */
export async function runFakeComfyUi(
  options: FakeComfyUiOptions & { readonly folder: string },
): Promise<void> {
  const { url } = await serveFakeComfyUi(options, () => {
    process.kill(process.pid, 'SIGKILL');
  });
  process.on('disconnect', () => process.exit(0));
  // Not runtime's reportReady: loading that package would double the time of every start.
  process.send?.({ type: 'ready', url } satisfies ChildMessage);
}
