import { systemClock, type RunningProcess } from '@tiercel/runtime';
import {
  AddressGuard,
  createTurnQueue,
  WebhookDeliverer,
  WebhookDispatcher,
  WebhookStore,
  type WebhookCounters,
} from '@tiercel/webhooks';

/** Tells webhooks what happens to jobs: every worker does its share, and the rest when others die. */
export function startWebhooks(
  parts: RunningProcess,
  secretKey: Uint8Array,
  counters: WebhookCounters,
): void {
  const { redis, names, log, lifecycle } = parts;
  const config = parts.config.webhooks;
  const { lockMs } = parts.config.queue;
  const clock = systemClock;
  const bullRedis = parts.connect('blocking');
  const turns = createTurnQueue(bullRedis, names);
  const store = new WebhookStore({ redis, names, secretKey, limits: config, clock });
  const deliverer = new WebhookDeliverer({
    ...{ redis, bullRedis, names, store, secretKey, config, lockMs, clock, counters, log },
    guard: new AddressGuard(config.allow),
    random: Math.random,
  });
  const dispatcher = new WebhookDispatcher({
    ...{ redis, names, turns, store, secretKey, config, lockMs, counters, log },
    blocking: parts.connect('blocking'),
  });
  lifecycle.onClose('webhooks', async () => {
    await Promise.all([dispatcher.stop(), deliverer.stop()]);
    await turns.close();
  });
  deliverer.start();
  dispatcher.start();
}
