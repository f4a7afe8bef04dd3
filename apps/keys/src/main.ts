import { KeyStore, readPlanNames } from '@tiercel/accounts';
import { RedisNames } from '@tiercel/contracts';
import { loadConfig, runMain } from '@tiercel/runtime';
import { readCommand, USAGE, UsageError } from './arguments.ts';
import { openRedis } from './open-redis.ts';
import { runCommand } from './run-command.ts';

const EX_USAGE = 64;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function main(): Promise<void> {
  const command = readOrExplain();
  if (command === undefined) return;
  const config = loadConfig();
  const { redis, close } = await openRedis(config, say);
  try {
    const names = new RedisNames(config.redisPrefix);
    const keys = new KeyStore(redis, names, config.auth.auditMaxEntries);
    const plans = await readPlanNames(redis, names, config);
    await runCommand(command, { keys, plans, print, say });
  } finally {
    await close();
  }
}

function readOrExplain() {
  try {
    const command = readCommand(process.argv.slice(2));
    if (command.name !== 'help') return command;
    print(USAGE);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`${error.message}\n${USAGE}`);
    process.exitCode = EX_USAGE;
  }
  return undefined;
}

await runMain(main, say);
