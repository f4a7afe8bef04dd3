const LATELY_MS = 4_000;

/** The figures of all tenants, as the screen shows them. */
export function describeFairness(system) {
  const now = performance.now();
  const lately = (tenant) =>
    tenant.recent
      .filter(({ at }) => at > now - LATELY_MS)
      .reduce((sum, { ranMs }) => sum + ranMs, 0);
  const tenants = [...system.tenants.values()];
  const total = tenants.reduce((sum, tenant) => sum + lately(tenant), 0) || 1;
  const rows = tenants.map((tenant) => {
    const { id, limits, waiting, ended, waits } = tenant;
    const share = lately(tenant) / total;
    const cap = limits.maxRunning === undefined ? '-' : String(limits.maxRunning);
    const cells = [
      ...[id.padEnd(8), String(limits.weight).padStart(6), cap.padStart(4)],
      ...[String(waiting).padStart(8), String(system.runningOf(id)).padStart(8)],
      ...[String(ended).padStart(7), `${waits.at(-1) ?? 0} ms`.padStart(10)],
      `  ${'■'.repeat(Math.round(20 * share))} ${Math.round(100 * share)} %`,
    ];
    const short = `${id} ${Math.round(100 * share)} %, ${waiting} wait, last waited ${waits.at(-1) ?? 0} ms`;
    return { text: cells.join(''), short, colour: 'closed' };
  });
  return {
    head: 'tenant  weight cap waiting running  ended last wait  share of run time, last 4 s',
    rows,
    figures: '',
    report: [],
  };
}
