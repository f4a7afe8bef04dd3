// npm test: everything a fresh clone needs, then Jest; its arguments are passed on. The last line is
// "N passed, N failed".
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureInstalled, ensureTestsBuilt, fail, ROOT } from './bootstrap.mjs';

await ensureInstalled();
await ensureTestsBuilt();

// Before Jest: two of its workers must not install Redis at once.
const { findRedisServer } = await import('../packages/redis-server/dist/index.js');
try {
  await findRedisServer({ say: (line) => console.log(line) });
} catch (error) {
  fail(error.message);
}

const folder = mkdtempSync(join(tmpdir(), 'tiercel-test-'));
const report = join(folder, 'report.json');
const jest = spawn(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join(ROOT, 'node_modules/jest/bin/jest.js'),
    '--json',
    `--outputFile=${report}`,
    ...process.argv.slice(2),
  ],
  // Jest's own words go to stderr; its stdout only says where the report is.
  { cwd: ROOT, stdio: ['inherit', 'inherit', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));

jest.on('exit', (code) => {
  const { passed, failed } = readReport();
  rmSync(folder, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = code ?? 1;
});

function readReport() {
  try {
    const results = JSON.parse(readFileSync(report, 'utf8'));
    // A file that could not be run has no failed tests of its own, but it is a failure.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    return { passed: results.numPassedTests, failed };
  } catch {
    return { passed: 0, failed: 0 }; // Jest did not get that far; its exit code tells
  }
}
