export { AddressGuard } from './address-guard.ts';
export { WebhookDeliverer } from './deliverer.ts';
export { DeliveryLog, type DeliveryView } from './delivery-log.ts';
export { WebhookDispatcher } from './dispatcher.ts';
export { acceptJobWebhook, checkReceiver } from './job-webhook.ts';
export { isWebhookSecret } from './sign-webhook.ts';
export { createTurnQueue } from './turns.ts';
export { WebhookCounters } from './webhook-counters.ts';
export { WebhookStore, type Endpoint } from './webhook-store.ts';
