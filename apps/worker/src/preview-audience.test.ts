import { expect, test } from '@jest/globals';
import { readPreviewAudience } from './preview-audience.ts';

test.each([
  ['{}', 'announced'],
  ['{"preview_method":"auto"}', 'all'],
  ['{"a":{"preview_method":"auto"},"preview_method" : "latent2rgb"}', 'all'],
  ['{"preview_method":"taesd"}', 'all'],
  ['{"preview_method":"none"}', 'nobody'],
  ['{"preview_method":"default"}', 'announced'],
  ['{"preview_method":"sharpest"}', 'announced'],
  ['{"preview_method":null}', 'announced'],
  ['{"preview_method":["auto"]}', 'announced'],
  // Only extra_data's own member counts.
  ['{"extra_pnginfo":{"preview_method":"none"}}', 'announced'],
])('extra_data %s: previews go to %s', (extraText, audience) => {
  expect(readPreviewAudience(extraText)).toBe(audience);
});
