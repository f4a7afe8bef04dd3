/** Tiercel's report on a job (the `tiercel` object of history) in words: three lines, the last may be empty. */
export function describeReport({ number, ms, job, report }) {
  const by = report.served_by === null ? `ended as ${job.status}` : `by ${report.served_by.tier}`;
  // The worker's own executor is a tier too, which paints nothing: passed over by every job of the demo.
  const skipped = (report.skipped ?? []).filter(({ tier }) => tier !== 'embedded');
  const { attempts, dropped_params: dropped, changed_params: changed = [] } = report;
  const rest = [
    list('passed over', skipped, ({ tier }) => tier),
    list('dropped', dropped, String),
    list('changed', changed, ({ param, asked, used }) => `${param} ${asked} to ${used}`),
  ];
  return [
    `job ${number} ${by}, ${Math.round(ms)} ms${report.degraded ? ', degraded' : ''}`,
    list('attempts', attempts, (attempt) => {
      return `${attempt.tier} ${attempt.class} ${Math.round(attempt.ms)} ms`;
    }),
    rest.filter((fact) => fact !== '').join('; '),
  ];
}

/** What a failed job tells its caller, without the list of attempts. */
export function describeFailure({ job }) {
  const message = job.execution_error?.exception_message ?? 'no message';
  return message.trim().split('\n')[0];
}

function list(name, values, describe) {
  return values.length === 0 ? '' : `${name}: ${values.map(describe).join(', ')}`;
}
