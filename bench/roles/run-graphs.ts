import { parseJson, type NewOutput, type PromptGraph } from '@tiercel/contracts';
import { readNodes } from '@tiercel/graph';
import { createBuiltinNodes, createRegistry, executeGraph, NodeCache } from '@tiercel/nodes';
import { MemoryBudget } from '@tiercel/pictures';

export interface RunGraphsCommand {
  readonly graph: PromptGraph;
  readonly output: string;
  /** The picture that LoadImage reads, whatever its name, as base64. */
  readonly picture: string;
  readonly count: number;
}

export interface GraphRuns {
  /** Of all threads, without the first run, which warms up. */
  readonly cpuMs: number;
  readonly peakBytes: number;
  /** The longest time that the event loop did not come round. */
  readonly longestTurnMs: number;
}

const MIB = 1024 * 1024;

/** Runs a graph again and again in the executor that a worker has, files in memory, nothing from the cache. */
export async function runGraphs(command: RunGraphsCommand): Promise<GraphRuns> {
  const registry = createRegistry(createBuiltinNodes());
  const run = () => runOnce(command, registry);
  await run();
  const before = process.cpuUsage();
  const turns = watchTurns();
  for (let i = 0; i < command.count; i += 1) await run();
  const { user, system } = process.cpuUsage(before);
  return {
    cpuMs: (user + system) / 1_000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    longestTurnMs: turns.stop(),
  };
}

async function runOnce(
  { graph, output, picture }: RunGraphsCommand,
  registry: ReturnType<typeof createRegistry>,
): Promise<void> {
  const promptText = JSON.stringify(graph);
  const nothing = () => undefined;
  await executeGraph({
    promptId: 'bench',
    graph: readNodes(parseJson(promptText)),
    ...{ promptText, extraPnginfo: undefined, outputs: [output], registry },
    cache: new NodeCache({ maxBytes: 0 }),
    signal: new AbortController().signal,
    maxPixels: 16 * MIB,
    memory: new MemoryBudget({ maxBytes: 512 * MIB, commonShare: 3 / 8, setting: '' }),
    files: {
      saveOutput: readAll,
      readInput: () => Promise.resolve(Buffer.from(picture, 'base64')),
      fingerprint: () => Promise.resolve('one'),
      outputExists: () => Promise.resolve(true),
    },
    listener: {
      ...{ cached: nothing, nodeStarted: nothing, progress: nothing, picture: nothing },
      ...{ executed: nothing, nodeFinished: nothing },
    },
  });
}

async function readAll({ bytes, type }: NewOutput) {
  let size = 0;
  if (!(bytes instanceof Uint8Array)) for await (const part of bytes) size += part.length;
  if (size === 0 && !(bytes instanceof Uint8Array)) throw new Error('an empty file');
  return { filename: 'a.png', subfolder: '', type };
}

function watchTurns(): { stop(): number } {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  return {
    stop() {
      clearInterval(timer);
      return longest;
    },
  };
}
