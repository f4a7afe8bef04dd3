import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { formatLogLine } from './log-line.ts';

type Stream = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'hasColors'>>;

/** Where the launcher speaks: its own words, and those of its children. */
export interface Terminal {
  /** One line (or several) for the person who started us, on stdout. */
  readonly say: (text: string) => void;
  /** The same on stderr. */
  readonly complain: (text: string) => void;
  /** Passes a child's stdout on: readable lines on a terminal, else the JSON as it is. */
  readonly showLogs: (logs: Readable, source: string) => Promise<void>;
  /** Passes a child's stderr on, line by line. */
  readonly showErrors: (errors: Readable) => Promise<void>;
}

export function createTerminal(out: Stream, err: Stream): Terminal {
  // A closed pipe (`npm start | head`) is no reason to stop working.
  out.on('error', () => undefined);
  err.on('error', () => undefined);
  const isTerminal = out.isTTY === true;
  const colors = isTerminal && out.hasColors?.() === true;
  return {
    say: (text) => {
      out.write(`${text}\n`);
    },
    complain: (text) => {
      err.write(`${text}\n`);
    },
    showLogs: (logs, source) =>
      passOn(logs, out, (line) => (isTerminal ? formatLogLine(line, source, colors) : line)),
    showErrors: (errors) => passOn(errors, err, (line) => line),
  };
}

/** Reads no faster than the other end takes it: a stopped pager must not fill our memory. */
async function passOn(from: Readable, to: Stream, format: (line: string) => string): Promise<void> {
  for await (const line of createInterface({ input: from })) {
    if (to.writable && !to.write(`${format(line)}\n`)) {
      await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => undefined);
    }
  }
}
