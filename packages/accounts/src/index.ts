export { AuditLog, type AuditEntry } from './audit-log.ts';
export { Authenticator, type Identity } from './authenticator.ts';
export { ChangeWatch } from './change-watch.ts';
export { describeKey, type KeyRecord } from './keys/key-record.ts';
export { KeyStore, type Actor, type MadeKey } from './keys/key-store.ts';
export type { EffectivePlan } from './policy/effective-plan.ts';
export {
  POLICY_KINDS,
  POLICY_SCHEMAS,
  type PolicyKind,
  type PolicySetting,
} from './policy/policy-kinds.ts';
export { PolicyStore, readPlanNames, type PolicyView } from './policy/policy-store.ts';
export {
  sumByTier,
  sumUsage,
  UsageStore,
  type TierUsage,
  type UsageRow,
} from './usage/usage-store.ts';
