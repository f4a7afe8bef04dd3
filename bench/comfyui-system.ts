import { startFakeComfyUi, type FakeComfyUiOptions } from '@tiercel/testkit';
import type { BenchmarkContext } from './benchmark.ts';
import { startBenchSystem, type BenchSystem } from './system.ts';

export interface ComfyuiBenchSystem extends BenchSystem {
  /** The fake ComfyUI servers, each a process. */
  readonly serverUrls: readonly string[];
}

/** A Tiercel with one tier, a pool of fake ComfyUI servers. */
export async function startComfyuiSystem(
  context: BenchmarkContext,
  options: {
    readonly servers: number;
    readonly server?: FakeComfyUiOptions;
    readonly workers: number;
    /** Of each worker. */
    readonly concurrency: number;
  },
): Promise<ComfyuiBenchSystem> {
  const servers = await Promise.all(
    Array.from({ length: options.servers }, () => startFakeComfyUi(options.server)),
  );
  const serverUrls = servers.map(({ url }) => url);
  const system = await startBenchSystem(context, {
    workers: options.workers,
    configYaml: `tiers: [{ name: gpu, driver: comfyui, urls: [${serverUrls.join(', ')}] }]\n`,
    env: { WORKER_CONCURRENCY: String(options.concurrency) },
  });
  return { ...system, serverUrls };
}
