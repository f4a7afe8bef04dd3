import {
  http,
  startFakeComfyUi,
  startSystem,
  until,
  type FakeComfyUi,
  type FakeComfyUiOptions,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';

/** A Tiercel in front of (fake) ComfyUI servers, for the tests of the ComfyUI tier. */
export interface ComfyUiSystem {
  readonly servers: readonly FakeComfyUi[];
  readonly first: FakeComfyUi;
  readonly system: TestSystem;
  readonly api: RawHttp;
}

export interface ComfyUiSystemOptions {
  /** One server each; default: one. */
  readonly servers?: readonly FakeComfyUiOptions[];
  /** Lines of the configuration file below the tiers. */
  readonly config?: string;
  /** Entries of the list of tiers after the pool, as YAML. */
  readonly moreTiers?: string;
  /** For one attempt on the pool. */
  readonly timeoutMs?: number;
  /** Default 1. */
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The line of a configuration file that makes these servers the tier `gpu`. */
export function tiersLine(
  urls: readonly string[],
  { moreTiers, timeoutMs }: Pick<ComfyUiSystemOptions, 'moreTiers' | 'timeoutMs'> = {},
): string {
  const limit = timeoutMs === undefined ? '' : `, timeoutMs: ${timeoutMs}`;
  const more = moreTiers === undefined ? '' : `, ${moreTiers}`;
  return `tiers: [{ name: gpu, driver: comfyui, urls: [${urls.join(', ')}]${limit} }${more}]\n`;
}

export async function startComfyUiSystem(
  options: ComfyUiSystemOptions = {},
): Promise<ComfyUiSystem> {
  const servers = await Promise.all(
    (options.servers ?? [{}]).map((fake, n) => startFakeComfyUi({ name: `s${n}`, ...fake })),
  );
  const [first] = servers;
  if (first === undefined) throw new Error('no server was asked for');
  const tiers = tiersLine(
    servers.map(({ url }) => url),
    options,
  );
  const system = await startSystem({
    configYaml: `${tiers}${options.config ?? ''}`,
    workers: options.workers ?? 1,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return { servers, first, system, api: http(system.url) };
}

/** How often nodes ran on these servers: each prompt of the tests' runs once. */
export async function countRuns(...servers: readonly FakeComfyUi[]): Promise<number> {
  const states = await Promise.all(servers.map((server) => server.state()));
  return states.reduce((sum, { runs }) => sum + Object.values(runs).reduce((a, b) => a + b, 0), 0);
}

/** Counts from now on. */
export async function startCounting(
  ...servers: readonly FakeComfyUi[]
): Promise<() => Promise<number>> {
  const before = await countRuns(...servers);
  return async () => (await countRuns(...servers)) - before;
}

/** Ends what earlier tests did to a server, and waits until the worker hears it (again). */
export async function settle(server: FakeComfyUi): Promise<void> {
  await server.reset();
  await until(async () => (await server.state()).sockets.length > 0, 20_000);
}

/** Whether `executing` says that this job is over. */
export function isIdleAfter(id: string): (data: unknown) => boolean {
  return (data) => {
    const { node, prompt_id: promptId } = data as { node?: unknown; prompt_id?: unknown };
    return node === null && promptId === id;
  };
}

/** The ids that run or wait on a server. */
export async function readUpstreamIds(server: FakeComfyUi): Promise<string[]> {
  const queue = (await http(server.url).get('/queue')).json() as unknown as Record<
    'queue_running' | 'queue_pending',
    [number, string][]
  >;
  return [...queue.queue_running, ...queue.queue_pending].map(([, id]) => id);
}

/** Whether the server's history was freed of every prompt it took. */
export async function isForgotten(server: FakeComfyUi): Promise<boolean> {
  const { prompts, historyDeletes } = await server.state();
  return prompts.every(({ promptId }) => historyDeletes.flat().includes(promptId));
}

/** What served a job, and what was tried. */
export interface Report {
  readonly served_by: { readonly tier: string } | null;
  readonly attempts: readonly { readonly tier: string; readonly class: string }[];
}

export async function readReport(api: RawHttp, id: string): Promise<Report> {
  const items = (await api.get(`/history/${id}`)).json() as unknown as Record<
    string,
    { tiercel: Report }
  >;
  const item = items[id];
  if (item === undefined) throw new Error(`${id} is not in history`);
  return item.tiercel;
}
