import { until, type RawHttp } from '@tiercel/testkit';

/** Prompts that tests send, and the ways to wait for them. */

let nextColor = 1;

/** EmptyImage -> SaveImage in a colour of its own, so that nothing is cached. */
export function saveImage(prefix = 'e2e', color = (nextColor += 1)): Record<string, unknown> {
  return {
    '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 48, batch_size: 1, color } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: prefix } },
  };
}

/** A run of `steps` times `delay` seconds with progress and previews. */
export function slow(steps: number, delay: number, failAt = -1): Record<string, unknown> {
  return {
    '1': { class_type: 'SlowPreview', inputs: { steps, delay, fail_at: failAt } },
    '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  };
}

/** One output node fed by a node of a test plug-in. */
export function single(classType: string, inputs: object = {}): Record<string, unknown> {
  return {
    '1': { class_type: classType, inputs },
    '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  };
}

export async function post(
  api: RawHttp,
  prompt: object,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const answer = await api.post('/prompt', { prompt, ...more });
  if (answer.status !== 200) throw new Error(`POST /prompt: ${answer.status} ${answer.text}`);
  return (answer.json() as { prompt_id: string }).prompt_id;
}

export interface HistoryItem {
  readonly outputs: Record<
    string,
    { images: { filename: string; subfolder: string; type: string }[] }
  >;
  readonly status: {
    readonly status_str: string;
    readonly completed: boolean;
    readonly messages: [string, Record<string, unknown>][];
  };
  readonly meta: Record<string, unknown>;
  readonly prompt: unknown[];
}

export async function readHistory(api: RawHttp, id: string): Promise<HistoryItem | undefined> {
  const answer = await api.get(`/history/${encodeURIComponent(id)}`);
  return (answer.json() as unknown as Record<string, HistoryItem>)[id];
}

export async function waitForEnd(
  api: RawHttp,
  id: string,
  timeoutMs = 20_000,
): Promise<HistoryItem> {
  return await until(() => readHistory(api, id), timeoutMs);
}

/** The data of the terminal message. */
export function lastMessage(item: HistoryItem): [string, Record<string, unknown>] {
  return item.status.messages.at(-1)!;
}

/** Waits until a worker has said what it can run; /object_info answers before that too. */
export async function waitForWorker(api: RawHttp): Promise<void> {
  await until(async () => (await api.get('/prompt')).status === 200, 20_000);
}

export async function waitForRunning(api: RawHttp, id: string): Promise<void> {
  await until(async () => {
    const queue = (await api.get('/queue')).json() as unknown as { queue_running: unknown[][] };
    return queue.queue_running.some((item) => item[1] === id);
  });
}
