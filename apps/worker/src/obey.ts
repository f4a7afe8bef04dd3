import type { ComfyUiBackend } from '@tiercel/comfyui';
import { isJsonObject, parseJson } from '@tiercel/contracts';
import type { ControlMessage } from '@tiercel/events';
import type { Heartbeat } from './heartbeat.ts';
import type { Preemption } from './preemption.ts';

/**
 * Does what an order to all workers asks for.
 * @throws SyntaxError when the order holds what is no JSON
 */
export async function obey(
  message: Exclude<ControlMessage, { type: 'overload' }>,
  pools: readonly Pick<ComfyUiBackend, 'free' | 'refresh'>[],
  heartbeat: Pick<Heartbeat, 'reportRefresh'>,
  preemption: Pick<Preemption, 'answer'>,
): Promise<void> {
  if (message.type === 'preempt') {
    await preemption.answer(message.claim);
    return;
  }
  if (message.type === 'look') {
    await Promise.all(pools.map((pool) => pool.refresh(message.wish)));
    heartbeat.reportRefresh(message.id);
    return;
  }
  const body = parseJson(message.body);
  if (isJsonObject(body)) await Promise.all(pools.map((pool) => pool.free(body)));
}
