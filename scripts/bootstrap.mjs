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
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const ROOT = join(import.meta.dirname, '..');

const CACHE = join(ROOT, 'node_modules/.cache');
const INSTALL_STAMP = join(CACHE, 'tiercel-install');
const BUILD_STAMP = join(CACHE, 'tiercel-build.json');
const APPS = ['apps/api', 'apps/worker', 'apps/launcher', 'apps/keys'];
/** Has the stand-ins for services: tests, benches and demos start them as processes, from their build. */
const TESTKIT = 'packages/testkit';
// Not in node_modules, which npm ci removes, nor in a folder that users share.
const LOCK = join(ROOT, '.bootstrap-lock');
const LOCK_STALE_MS = 15 * 60_000;

let sayLine = (line) => console.log(line);
let childOutput = 'inherit';

/** For a command whose standard output is data: what is done before it goes to standard error. */
export function reportOnStderr() {
  sayLine = (line) => console.error(line);
  childOutput = 2;
}

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
    sayLine('Installing dependencies (npm ci) ...');
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
  // Installed by hand. Times tell nothing: it may have been copied from an older checkout.
  return hasVersionsOf(readLock(installed), readLock(join(ROOT, 'package-lock.json')));
}

function readLock(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

/** Packages for other platforms are locked and not installed. */
function hasVersionsOf(installed, locked) {
  return Object.entries(locked).every(
    ([path, { version, link, optional }]) =>
      !path.startsWith('node_modules/') ||
      (installed[path] === undefined
        ? optional === true
        : link || installed[path].version === version),
  );
}

function hashLockFile() {
  const text = readFileSync(join(ROOT, 'package-lock.json'));
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Compiles the applications and what they use, unless nothing changed since. Only these: a type error
 * in a test must not keep the service from starting.
 */
export async function ensureBuilt() {
  await ensureProjects(APPS);
}

/** The same, with what tests, benches and demos start beside the applications. */
export async function ensureTestsBuilt() {
  await ensureProjects([...APPS, TESTKIT]);
}

async function ensureProjects(projects) {
  if (isBuilt(projects)) return;
  await withLock(() => {
    if (isBuilt(projects)) return;
    sayLine('Building ...');
    // From before the build: what is saved meanwhile differs from it and is built next time.
    const sources = readSources();
    const flags = isCompilerMisled(sources) ? ['--force'] : [];
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    run(process.execPath, [compiler, '-b', ...projects, ...flags], 'The build failed');
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(BUILD_STAMP, JSON.stringify({ builtAtMs: Date.now(), projects, sources }));
  });
}

function isBuilt(projects) {
  const last = readBuildStamp();
  if (last === undefined || !projects.every((project) => last.projects.includes(project))) {
    return false;
  }
  const isBuiltFolder = (folder) => existsSync(join(ROOT, folder, 'dist/.tsbuildinfo'));
  const needed = projectFolders().filter(
    (folder) => projects.includes(folder) || (folder.startsWith('packages/') && folder !== TESTKIT),
  );
  const isUnchanged = () => JSON.stringify(readSources()) === JSON.stringify(last.sources);
  return needed.every(isBuiltFolder) && isUnchanged();
}

function readBuildStamp() {
  try {
    return JSON.parse(readFileSync(BUILD_STAMP, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * The compiler takes a source that is older than its output for built. It is not when it came from an
 * archive or a copy that keeps times, nor may we trust a build that is not ours.
 */
function isCompilerMisled(sources) {
  const last = readBuildStamp();
  if (last === undefined) return projectFolders().some((f) => existsSync(join(ROOT, f, 'dist')));
  return Object.entries(sources).some(
    ([path, state]) => state !== last.sources[path] && timeOf(state) <= last.builtAtMs,
  );
}

/** Path -> size and time of every file that a build reads. */
function readSources() {
  const sources = {};
  const read = (path) => {
    const { size, mtimeMs } = statSync(path);
    sources[relative(ROOT, path)] = `${size} ${mtimeMs}`;
  };
  const readTree = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (['dist', 'node_modules'].includes(entry.name)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) readTree(path);
      else read(path);
    }
  };
  for (const name of ['package-lock.json', 'tsconfig.base.json']) read(join(ROOT, name));
  for (const folder of projectFolders()) readTree(join(ROOT, folder));
  return sources;
}

function timeOf(state) {
  return Number(state.split(' ')[1]);
}

/** Without those that an older version left behind: nothing but what is ignored is in them. */
function projectFolders() {
  return ['apps', 'packages'].flatMap((group) =>
    readdirSync(join(ROOT, group))
      .map((name) => `${group}/${name}`)
      .filter((folder) => existsSync(join(ROOT, folder, 'tsconfig.json'))),
  );
}

/** Two starts on a fresh clone (start:api and start:worker) must not install or build at once. */
async function withLock(work) {
  for (let told = false; !takeLock(); told = true) {
    if (isStale(LOCK)) removeStaleLock();
    else if (!told) sayLine('Waiting for another process that installs or builds ...');
    await sleep(200);
  }
  const release = () => {
    rmSync(LOCK, { recursive: true, force: true });
  };
  process.once('exit', release); // fail() leaves by process.exit
  try {
    work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}

function takeLock() {
  if (!makeFolder(LOCK)) return false;
  writeFileSync(join(LOCK, 'pid'), String(process.pid));
  return true;
}

/** One remover at a time: of two that saw the same dead owner, the later one must not remove the lock of the first. */
function removeStaleLock() {
  const guard = `${LOCK}-removal`;
  if (!makeFolder(guard)) {
    if (ageMs(guard) > LOCK_STALE_MS) rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    if (isStale(LOCK)) rmSync(LOCK, { recursive: true, force: true });
  } finally {
    rmSync(guard, { recursive: true, force: true });
  }
}

function makeFolder(path) {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    return fail(`Cannot write to ${ROOT}: ${error.message}`);
  }
}

function isStale(lock) {
  try {
    if (ageMs(lock) > LOCK_STALE_MS) return true;
    const pid = Number(readFileSync(join(lock, 'pid'), 'utf8'));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH'; // its owner is dead; anything else is only a moment's gap
  }
}

function ageMs(path) {
  return Date.now() - statSync(path).mtimeMs;
}

function run(command, args, failure) {
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ['inherit', childOutput, 'inherit'],
  });
  if (status !== 0) fail(`${failure}${error === undefined ? '' : `: ${error.message}`}.`);
}
