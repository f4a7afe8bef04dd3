import { createAdminRoutes, type AdminDependencies } from '../admin/create-admin-routes.ts';
import type { Route } from '../http/route.ts';
import { createLoginRoutes, type LoginDependencies } from '../identity/login.ts';
import { createSocketRoutes } from '../sockets/serve-upgrades.ts';
import { createEventsRoutes, type EventsDependencies } from './events.ts';
import { createInternalRoutes, type InternalDeps } from './internal.ts';
import { createJobsRoutes, type JobsDependencies } from './jobs.ts';
import { createModelRoutes, type ModelDeps } from './models.ts';
import { createPromptRoutes, type PromptDependencies } from './prompt.ts';
import { createQueueRoutes, type QueueDependencies } from './queue.ts';
import { createSettingsRoutes, type SettingsDeps } from './settings.ts';
import { createStaticAnswerRoutes, type StaticAnswerDeps } from './static-answers.ts';
import { createSystemRoutes, type SystemDependencies } from './system.ts';
import { createUsageRoutes, type UsageDependencies } from './usage.ts';
import { createUploadRoutes, type UploadDeps } from './uploads/uploads.ts';
import { createUserdataRoutes, type UserdataDeps } from './userdata.ts';
import { createViewRoutes, type ViewDeps } from './view/view.ts';
import { createWebhookRoutes, type WebhooksDependencies } from './webhooks.ts';
import { createWorkflowRoutes, type WorkflowDependencies } from './workflows.ts';

/** What each family of routes works with. */
export interface RouteParts {
  readonly prompt: PromptDependencies;
  readonly workflows: WorkflowDependencies;
  readonly queue: QueueDependencies;
  readonly jobs: JobsDependencies;
  readonly events: EventsDependencies;
  readonly system: SystemDependencies;
  readonly view: ViewDeps;
  readonly uploads: UploadDeps;
  readonly userdata: UserdataDeps;
  readonly settings: SettingsDeps;
  readonly webhooks: WebhooksDependencies;
  readonly usage: UsageDependencies;
  readonly internal: InternalDeps;
  readonly models: ModelDeps;
  readonly staticAnswers: StaticAnswerDeps;
  readonly admin: AdminDependencies;
  /** Undefined where everybody is let in. */
  readonly login: LoginDependencies | undefined;
  readonly findHandshakeRefusal: Parameters<typeof createSocketRoutes>[0];
}

/**
 * All routes of the API: the one table. A test walks it with what another tenant has (tests/e2e/isolation.test.ts), so a
 * route that is not in here must not be served.
 */
export function createRoutes(parts: RouteParts): Route[] {
  return [
    ...createPromptRoutes(parts.prompt),
    ...createWorkflowRoutes(parts.workflows),
    ...createQueueRoutes(parts.queue),
    ...createJobsRoutes(parts.jobs),
    ...createEventsRoutes(parts.events),
    ...createSystemRoutes(parts.system),
    ...createViewRoutes(parts.view),
    ...createUploadRoutes(parts.uploads),
    ...createUserdataRoutes(parts.userdata),
    ...createSettingsRoutes(parts.settings),
    ...createWebhookRoutes(parts.webhooks),
    ...createUsageRoutes(parts.usage),
    ...createInternalRoutes(parts.internal),
    ...createModelRoutes(parts.models),
    ...createStaticAnswerRoutes(parts.staticAnswers),
    ...createAdminRoutes(parts.admin),
    ...(parts.login === undefined ? [] : createLoginRoutes(parts.login)),
    ...createSocketRoutes(parts.findHandshakeRefusal),
  ];
}
