import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type MetricsRegistry = Registry;

/** One process's metrics. Names are `comfy_<noun>_<unit>`; label values come from bounded sets. */
export interface Metrics {
  readonly registry: MetricsRegistry;
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

/** One line of a metric; `suffix` for the lines of a histogram (`_bucket`, `_sum`, `_count`). */
export interface Sample {
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function createMetrics(processKind: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ process: processKind });
  collectDefaultMetrics({ register: registry, prefix: 'comfy_' });
  return {
    registry,
    histogram: ({ name, help, labelNames, buckets }) =>
      new Histogram({
        name,
        help,
        labelNames: [...labelNames],
        buckets: [...buckets],
        registers: [registry],
      }),
    gauge: ({ name, help, read }) => {
      const gauge: Gauge = new Gauge({
        name,
        help,
        registers: [registry],
        async collect() {
          gauge.set(await read());
        },
      });
    },
    readings: ({ kind, name, help, read }) => {
      const get = async () => ({
        ...{ name, help, type: kind, aggregator: 'sum' },
        values: (await read()).map(({ suffix = '', labels, value }) => ({
          ...{ labels, value },
          metricName: `${name}${suffix}`,
        })),
      });
      // The registry only asks a metric for its name, its values and to be reset.
      registry.registerMetric({ name, help, get, reset: () => undefined } as unknown as Gauge);
    },
  };
}
