import type { AttemptClass } from '@tiercel/contracts';
import {
  classifyRefusal,
  type Refusal,
  type VendorWords,
  type ClassifiedRefusal,
} from '../service/refusal.ts';

/**
 * Codes and types of `{error: {message, type, param, code}}` that say more than the status: OpenAI's own (for images
 * those of `ResponseErrorCode` in its npm package), Azure's, and those of gateways that speak the same API.
 */
const CODES: Readonly<Record<string, AttemptClass>> = {
  moderation_blocked: 'safety',
  content_policy_violation: 'safety',
  image_content_policy_violation: 'safety',
  content_filter: 'safety',
  contentFilter: 'safety',
  ResponsibleAIPolicyViolation: 'safety',
  insufficient_quota: 'quota',
  insufficient_user_quota: 'quota',
  billing_hard_limit_reached: 'quota',
  billing_not_active: 'quota',
  rate_limit_exceeded: 'rate',
  slow_down: 'rate',
  engine_overloaded: 'capacity',
  invalid_api_key: 'config',
  account_deactivated: 'config',
  model_not_found: 'config',
  DeploymentNotFound: 'config',
  invalid_prompt: 'caller',
  invalid_image: 'caller',
  invalid_image_file: 'caller',
  invalid_image_format: 'caller',
  invalid_image_mode: 'caller',
  invalid_base64_image: 'caller',
  image_too_large: 'caller',
  image_too_small: 'caller',
  image_file_too_large: 'caller',
  image_parse_error: 'caller',
  empty_image_file: 'caller',
  unsupported_image_media_type: 'caller',
};

/** A size is the driver's choice among the model's, and so are `n` and all the others. */
const WORDS: VendorWords = {
  codes: CODES,
  callersFields: new Set(['prompt', 'image', 'mask']),
};

export function classifyOpenAi(refusal: Refusal): ClassifiedRefusal | undefined {
  return classifyRefusal(refusal, WORDS);
}
