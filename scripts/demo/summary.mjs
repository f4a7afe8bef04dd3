import { describeFailure } from './describe-report.mjs';

/** The one job that is to fail: its content is refused, which no other tier may be asked about. */
function isRefusal({ report }) {
  return report.attempts.length === 1 && report.attempts[0].class === 'safety';
}

/** @param inHistory how many jobs have ended, as the API says */
export function isAsPlanned({ sent, succeeded, failed, problems }, inHistory) {
  const hasOneRefusal = failed.length === 1 && failed.every(isRefusal);
  return hasOneRefusal && problems.length === 0 && succeeded + 1 === sent && inHistory === sent;
}

export function describeSummary({ sent, succeeded, failed, served, problems }, inHistory) {
  const perTier = Array.from(served, ([tier, count]) => `${tier} ${count}`);
  const lost = sent - inHistory;
  const refused = failed.filter(isRefusal).length;
  return [
    '',
    'Summary',
    `  jobs       ${sent}`,
    `  succeeded  ${succeeded}`,
    `  refused    ${refused} (for its content, as announced)`,
    `  failed     ${failed.length - refused}`,
    `  lost       ${lost}${lost === 0 ? ': every job is in history' : ''}`,
    `  served by  ${perTier.join(', ')}`,
    ...failed.filter((end) => !isRefusal(end)).map((end) => `  failed: ${describeFailure(end)}`),
    ...problems.map((problem) => `  problem: ${problem}`),
    '',
  ].join('\n');
}
