import { formatRequest, HttpConnection } from '../http-connection.ts';
import { describeJob, type JobKind } from '../prompts.ts';
import { isJobEnd, openJobSocket } from './job-socket.ts';

export interface CountPreviewsCommand {
  /** One client for each, with a socket of its own, all at once; a URL may come several times. */
  readonly urls: readonly string[];
  readonly job: Extract<JobKind, { readonly kind: 'previews' }>;
  readonly firstColor: number;
}

export interface PreviewCount {
  readonly arrived: number;
  /** Of all clients together: previews after each client's first, by the time they took. */
  readonly perSecond: number;
  readonly megabytesPerSecond: number;
}

const TIMEOUT_MS = 60_000;
const FEATURES = '{"type":"feature_flags","data":{"supports_preview_metadata":true}}';

/** Runs one job for each client and counts the previews that its socket gets. */
export async function countPreviews(command: CountPreviewsCommand): Promise<PreviewCount> {
  const counts = await Promise.all(
    command.urls.map((url, index) => countOne(url, command.job, command.firstColor + index)),
  );
  const sum = (pick: (count: PreviewCount) => number): number =>
    counts.map(pick).reduce((total, value) => total + value, 0);
  return {
    arrived: sum(({ arrived }) => arrived),
    perSecond: sum(({ perSecond }) => perSecond),
    megabytesPerSecond: sum(({ megabytesPerSecond }) => megabytesPerSecond),
  };
}

async function countOne(
  url: string,
  job: CountPreviewsCommand['job'],
  color: number,
): Promise<PreviewCount> {
  const clientId = `bench-${process.pid}-${color}`;
  const arrivals: { readonly atMs: number; readonly bytes: number }[] = [];
  let onEnd: () => void = () => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the job did not end; ${arrivals.length} previews came`));
    }, TIMEOUT_MS);
    onEnd = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  const socket = await openJobSocket(url, clientId, (data, isBinary) => {
    if (isJobEnd(data, isBinary)) onEnd();
    if (!isBinary) return;
    const { length: bytes } = data as Buffer; // ws gives one Buffer unless told otherwise
    if (bytes >= job.bytes) arrivals.push({ atMs: performance.now(), bytes });
  });
  socket.send(FEATURES);
  const connection = await HttpConnection.open(url);
  try {
    const status = await connection.send(
      formatRequest('/prompt', describeJob(job, color, clientId)),
    );
    if (status !== 200) throw new Error(`POST /prompt answered ${status}`);
    await ended;
  } finally {
    connection.close();
    socket.terminate();
  }
  const seconds = ((arrivals.at(-1)?.atMs ?? 0) - (arrivals[0]?.atMs ?? 0)) / 1_000;
  const later = arrivals.slice(1);
  const bytes = later.reduce((total, arrival) => total + arrival.bytes, 0);
  return {
    arrived: arrivals.length,
    perSecond: later.length / seconds,
    megabytesPerSecond: bytes / 1e6 / seconds,
  };
}
