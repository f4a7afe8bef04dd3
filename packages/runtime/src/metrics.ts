import { collectDefaultMetrics, Counter, Histogram, Registry, type Gauge } from 'prom-client';
import { inTime, LATE } from './waiting.ts';

export type MetricsRegistry = Registry;

/** One process's metrics. Names are `comfy_<noun>_<unit>`; label values come from bounded sets. */
export interface Metrics {
  readonly registry: MetricsRegistry;
  counter<L extends string>(options: {
    name: string;
    help: string;
    labelNames: readonly L[];
  }): Counter<L>;
  histogram<L extends string>(options: {
    name: string;
    help: string;
    labelNames: readonly L[];
    buckets: readonly number[];
  }): Histogram<L>;
  /** A gauge that is read when it is scraped. */
  gauge(options: { name: string; help: string; read: () => number | Promise<number> }): void;
  /** Values that are counted elsewhere, read when they are scraped. */
  readings(options: {
    kind: 'counter' | 'gauge' | 'histogram';
    name: string;
    help: string;
    read: () => Promise<readonly Sample[]>;
  }): void;
}

/** Scrapers give up after 10 s; one reading that waits must not take the others with it. */
const READ_TIMEOUT_MS = 2_000;

/** One line of a metric; `suffix` for the lines of a histogram (`_bucket`, `_sum`, `_count`). */
export interface Sample {
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * @param onFailed told of what could not be read; the rest is shown all the same: a page of metrics that
 *        goes away with Redis would be missed most then
 */
export function createMetrics(
  processKind: string,
  onFailed: (error: unknown, name: string) => void = () => undefined,
): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ process: processKind });
  collectDefaultMetrics({ register: registry, prefix: 'comfy_' });
  const readings: Metrics['readings'] = ({ kind, name, help, read }) => {
    const get = async () => ({
      ...{ name, help, type: kind, aggregator: 'sum' },
      values: (await readOrNothing(read, name)).map(({ suffix = '', labels, value }) => ({
        ...{ labels, value },
        metricName: `${name}${suffix}`,
      })),
    });
    // The registry only asks a metric for its name, its values and to be reset.
    registry.registerMetric({ name, help, get, reset: () => undefined } as unknown as Gauge);
  };
  const readOrNothing = async (
    read: () => Promise<readonly Sample[]>,
    name: string,
  ): Promise<readonly Sample[]> => {
    try {
      const samples = await inTime(read(), READ_TIMEOUT_MS);
      if (samples !== LATE) return samples;
      throw new Error(`${name} was not read within ${READ_TIMEOUT_MS} ms`);
    } catch (error) {
      onFailed(error, name);
      return [];
    }
  };
  return {
    registry,
    readings,
    counter: ({ name, help, labelNames }) =>
      new Counter({ name, help, labelNames: [...labelNames], registers: [registry] }),
    histogram: ({ name, help, labelNames, buckets }) =>
      new Histogram({
        name,
        help,
        labelNames: [...labelNames],
        buckets: [...buckets],
        registers: [registry],
      }),
    gauge: ({ name, help, read }) => {
      readings({
        kind: 'gauge',
        ...{ name, help },
        read: async () => [{ labels: {}, value: await read() }],
      });
    },
  };
}
