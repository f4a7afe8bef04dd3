// What a fresh clone needs before anything of ours can run: Node's version, dependencies, a build.
// Plain Node, no dependencies: it runs before they are there.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const ROOT = join(import.meta.dirname, '..');

const CACHE = join(ROOT, 'node_modules/.cache');
const INSTALL_STAMP = join(CACHE, 'tiercel-install');
const BUILD_STAMP = join(CACHE, 'tiercel-build');
const APPS = ['apps/api', 'apps/worker', 'apps/launcher'];
const LOCK_STALE_MS = 15 * 60_000;

/** Ends the process with one line. */
export function fail(message, exitCode = 1) {
  console.error(message);
  process.exit(exitCode);
}

/** Installs what package-lock.json says, unless that was done already. */
export async function ensureInstalled() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 20)) {
    fail(`Tiercel needs Node 20.20 or newer; this is ${process.versions.node}.`);
  }
  if (isInstalled()) return;
  await withLock(() => {
    if (isInstalled()) return;
    console.log('Installing dependencies (npm ci) ...');
    // Also where NODE_ENV=production: the build needs the compiler.
    run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], 'npm ci failed');
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(INSTALL_STAMP, hashLockFile());
  });
}

function isInstalled() {
  const installed = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  if (existsSync(INSTALL_STAMP)) return readFileSync(INSTALL_STAMP, 'utf8') === hashLockFile();
  // Installed by hand: npm writes its own copy of the lock file last.
  return statSync(installed).mtimeMs >= statSync(join(ROOT, 'package-lock.json')).mtimeMs;
}

function hashLockFile() {
  const text = readFileSync(join(ROOT, 'package-lock.json'));
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Compiles the applications and what they use, unless nothing changed since. Only these: a type error
 * in a test must not keep the service from starting. `more` names further projects.
 */
export async function ensureBuilt(more = []) {
  if (more.length === 0 && isBuilt()) return;
  await withLock(() => {
    if (more.length === 0 && isBuilt()) return;
    console.log('Building ...');
    const startedAt = new Date();
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    run(process.execPath, [compiler, '-b', ...APPS, ...more], 'The build failed');
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(BUILD_STAMP, '');
    // The time before the build: what was saved meanwhile is newer and is built next time.
    utimesSync(BUILD_STAMP, startedAt, startedAt);
  });
}

function isBuilt() {
  if (!existsSync(BUILD_STAMP)) return false;
  if (!APPS.every((app) => existsSync(join(ROOT, app, 'dist/main.js')))) return false;
  const builtAt = statSync(BUILD_STAMP).mtimeMs;
  const isOlder = (path) => statSync(path).mtimeMs <= builtAt;
  const configs = ['package-lock.json', 'tsconfig.base.json'].map((name) => join(ROOT, name));
  return configs.every(isOlder) && projectFolders().every((folder) => isTreeOlder(folder, isOlder));
}

function projectFolders() {
  return ['apps', 'packages'].flatMap((group) =>
    readdirSync(join(ROOT, group), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(ROOT, group, entry.name)),
  );
}

function isTreeOlder(folder, isOlder) {
  // A folder's own time tells of files that were removed or renamed.
  return readdirSync(folder, { withFileTypes: true }).every((entry) => {
    if (['dist', 'node_modules'].includes(entry.name)) return true;
    const path = join(folder, entry.name);
    return entry.isDirectory() ? isOlder(path) && isTreeOlder(path, isOlder) : isOlder(path);
  });
}

/** Two starts on a fresh clone (start:api and start:worker) must not install or build at once. */
async function withLock(work) {
  // Not in node_modules, which npm ci removes.
  const name = createHash('sha256').update(ROOT).digest('hex').slice(0, 12);
  const lock = join(tmpdir(), `tiercel-bootstrap-${name}`);
  for (let told = false; ;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isStale(lock)) rmSync(lock, { recursive: true, force: true });
    else if (!told) console.log('Waiting for another process that installs or builds ...');
    told = true;
    await sleep(200);
  }
  const release = () => {
    rmSync(lock, { recursive: true, force: true });
  };
  process.once('exit', release); // fail() leaves by process.exit
  try {
    writeFileSync(join(lock, 'pid'), String(process.pid));
    work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}

function isStale(lock) {
  try {
    if (Date.now() - statSync(lock).mtimeMs > LOCK_STALE_MS) return true;
    const pid = Number(readFileSync(join(lock, 'pid'), 'utf8'));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH'; // its owner is dead; anything else is only a moment's gap
  }
}

function run(command, args, failure) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) fail(`${failure}${error === undefined ? '' : `: ${error.message}`}.`);
}
