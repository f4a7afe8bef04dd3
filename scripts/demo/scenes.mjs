import { describeFailure, describeReport } from './describe-report.mjs';

/** Longest wait for a tier to be back, on a busy machine. */
const PATIENCE_MS = 15_000;

/**
 * What happens, in order. `act` makes it happen, `lastsMs` is how long it can be watched at least, `until` what
 * is waited for after that, `close` ends it and may tell how it went.
 */
export function createScenes({ system, traffic }) {
  const { primary, dreamshaper, turbo } = system;
  const [firstServer, secondServer] = turbo;
  const isClosed = (tier) => () => system.breakers().get(tier) === 'closed';
  return [
    {
      title: 'all is well',
      words: 'The primary serves every job. The other tiers wait.',
      // The first jobs of fresh processes are slow: one alone.
      act: async () => {
        await traffic.runOne('a lighthouse at dawn');
        traffic.resume();
      },
      lastsMs: 5_000,
    },
    {
      title: 'the primary answers every request with 500',
      words:
        'A failed job goes on to dreamshaper at once. After 3 failures in a row the primary is not asked any\n' +
        'more (its breaker is open); now and then one job tries whether it is back.',
      act: () => primary.control({ fault: 'error' }),
      lastsMs: 7_000,
    },
    {
      title: 'the primary does not answer at all',
      words:
        'The job that tries it gives up after 2 s, this tier’s limit, and goes on. All others do not wait:\n' +
        'the breaker is still open.',
      act: () => primary.control({ fault: 'hang' }),
      lastsMs: 8_000,
    },
    {
      title: 'dreamshaper has used up the quota of the day',
      words:
        'Its vendor’s quota begins anew at 00:00 UTC, so it is not asked again before: no tries in between.\n' +
        'Turbo takes over, with two servers.',
      act: () => dreamshaper.control({ fault: 'quota' }),
      lastsMs: 6_000,
    },
    {
      title: 'turbo’s first server dies (kill -9)',
      words: 'Inside the tier the second server takes its jobs.',
      act: () => firstServer.kill(),
      lastsMs: 5_000,
    },
    {
      title: 'turbo’s second server dies too: only ComfyUI is left',
      words: 'The last guarantee: slow, one prompt at a time, but it runs any graph.',
      act: () => secondServer.kill(),
      lastsMs: 8_000,
    },
    {
      title: 'turbo’s second server is back',
      words: 'The next try finds it; its breaker closes and turbo serves again.',
      act: () => secondServer.restart(),
      lastsMs: 4_000,
      until: isClosed('turbo'),
      patienceMs: PATIENCE_MS,
    },
    {
      title: 'turbo’s first server is back',
      words:
        'Both share the work again. Dreamshaper stays out until 00:00 UTC, whatever its state.',
      act: async () => {
        await firstServer.restart();
        await dreamshaper.heal();
      },
      lastsMs: 4_000,
    },
    {
      title: 'the primary is back',
      words: 'One job tries it and succeeds; from then on all jobs are the primary’s again.',
      act: () => primary.heal(),
      lastsMs: 6_000,
      until: isClosed('primary'),
      patienceMs: PATIENCE_MS,
    },
    {
      title: 'the primary refuses what a prompt asks for',
      words: 'That is no trouble of the tier’s: it is reported, and no other tier is asked.',
      act: () => traffic.pause(),
      lastsMs: 0,
      close: async () => {
        await primary.control({ fault: 'safety', times: 1 });
        const end = await traffic.runOne('something that the vendor refuses');
        await primary.heal();
        if (end === undefined) return undefined;
        return {
          title: `the caller is told: ${describeFailure(end)}`,
          words: describeReport(end).join('\n'),
        };
      },
    },
    {
      title: 'and all is well again',
      words: 'The refusal did not count against the primary.',
      act: () => traffic.resume(),
      lastsMs: 3_000,
    },
  ];
}
