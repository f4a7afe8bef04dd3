import { sliceMembers } from '@tiercel/contracts';
import type { PreviewAudience } from './job-reporter.ts';

const ASKED: ReadonlySet<string> = new Set(['"auto"', '"latent2rgb"', '"taesd"']);

/**
 * Who is to be sent a sampler's previews, by `extra_data.preview_method` as newer ComfyUI versions read it:
 * a method asks for them, `none` for none, `default` or anything else leaves it to the server.
 */
export function readPreviewAudience(extraText: string): PreviewAudience {
  if (!extraText.includes('"preview_method"')) return 'announced';
  const method = sliceMembers(extraText).get('preview_method')?.trim() ?? '';
  if (method === '"none"') return 'nobody';
  return ASKED.has(method) ? 'all' : 'announced';
}
