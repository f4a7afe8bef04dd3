import type { Writable } from 'node:stream';

/**
 * From now on, what is written to a stream in one turn of the event loop leaves in one call to the operating
 * system. For Redis in place of ioredis' automatic pipelining, whose pipelines cost 0.1 ms of CPU for each turn,
 * also where it has one command only (bench/README.md).
 */
export function writeTogether(stream: Writable): void {
  const write: (...args: Parameters<Writable['write']>) => boolean = stream.write.bind(stream);
  let isCorked = false;
  const uncork = (): void => {
    isCorked = false;
    stream.uncork();
  };
  const writeCorked = (...args: Parameters<Writable['write']>): boolean => {
    if (!isCorked) {
      isCorked = true;
      stream.cork();
      process.nextTick(uncork);
    }
    return write(...args);
  };
  stream.write = writeCorked as Writable['write']; // its overloads differ in where the encoding stands
}
