import type { Metrics } from '../metrics.ts';
import type { OverloadWatch } from './overload-watch.ts';

/** What every process shows of its overload. */
export function addOverloadMetrics(
  metrics: Metrics,
  watch: Pick<OverloadWatch, 'level' | 'state'>,
) {
  metrics.gauge({
    name: 'comfy_overload_level',
    help: 'Steps that this process takes because of overload: 0 none, 1 fewer previews, 2 less progress, 3 fewer status messages, 4 jobs of the plans with the least weight refused',
    read: () => watch.level,
  });
  metrics.gauge({
    name: 'comfy_overload_event_loop_lag_seconds',
    help: 'How late the event loop of this process is, the median of some seconds',
    read: () => watch.state.lagMs / 1_000,
  });
}
