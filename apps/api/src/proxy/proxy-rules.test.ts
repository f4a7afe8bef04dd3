import { describe, expect, test } from '@jest/globals';
import { defaultRules } from './proxy.test-app.ts';
import { createOwnPathTest, createProxyMatcher } from './proxy-rules.ts';

const rules = { ...defaultRules(), customRoutes: ['/customnode', '/vhs/query'] };
const match = createProxyMatcher(rules);

describe('the list of what is proxied', () => {
  test.each([
    ['/'],
    ['/?x=/../y'],
    ['/assets/index-Bx1.js'],
    ['/assets/images/a%20b.png'],
    ['/extensions/pack/js/x.js?v=2'],
    ['/extensions/%E7%8C%AB/x.js'],
    ['/templates/index.json'],
    ['/materialdesignicons.min.css'],
    ['/favicon.ico'],
  ])('has the page %s, for reading only', (target) => {
    expect(match('GET', target)).toBe('page');
    expect(match('HEAD', target)).toBe('page');
    expect(match('POST', target)).toBeUndefined();
  });

  test.each([['/customnode'], ['/customnode/a/b?c'], ['/api/customnode/a'], ['/api/vhs/query']])(
    'has the custom route %s, for any method but TRACE',
    (target) => {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
        expect(match(method, target)).toBe('custom');
      }
      expect(match('TRACE', target)).toBeUndefined();
    },
  );

  test.each([
    ['/prompt'],
    ['/assets'],
    ['/assets/'],
    ['/assetsx/a'],
    ['/a/b.js'],
    ['/customnodes/x'],
    ['/vhs'],
    ['/api/assets/x.js'],
    ['/api/api/customnode/x'],
    ['http://elsewhere/assets/x.js'],
    ['//elsewhere/assets/x.js'],
    ['/assets//x.js'],
    ['/assets/../prompt'],
    ['/assets/./x.js'],
    ['/assets/..'],
    ['/assets/%2e%2e/prompt'],
    ['/assets/.%2E/prompt'],
    ['/assets/..%2fprompt'],
    ['/assets/%252e%252e%252fprompt'],
    ['/assets/%25252e%25252e/prompt'],
    ['/assets/..%5Cprompt'],
    ['/assets\\..\\prompt'],
    ['/assets/a%00.js'],
    ['/assets/a%0d%0a.js'],
    ['/assets/%zz'],
    ['/assets/%ff'],
    ['/%61ssets/x.js'],
    ['/customnode/../prompt'],
    ['/customnode/%2e%2e/prompt'],
    ['*'],
    [''],
  ])('has not %s', (target) => {
    expect(match('GET', target)).toBeUndefined();
  });

  test('takes the dots of a pattern for dots', () => {
    const only = createProxyMatcher({ paths: ['/*.js'], methods: ['GET'], customRoutes: [] });
    expect(only('GET', '/x.js')).toBe('page');
    expect(only('GET', '/xajs')).toBeUndefined();
    expect(only('GET', '/a/x.js')).toBeUndefined();
  });
});

test('another spelling of an own path is an own path', () => {
  const isOwn = createOwnPathTest(['/prompt', '/api/prompt', '/history/:id', '/api/assets/*rest']);
  const own = ['/prompt/', '/PROMPT', '/api/api/prompt', '/history/x/', '/history%2Fx?y=1'];
  for (const target of [...own, '/api/assets/a/b'])
    expect([target, isOwn(target)]).toEqual([target, true]);
  for (const target of ['/', '/prompts', '/history/a/b', '/assets/a/b', '/x/prompt']) {
    expect([target, isOwn(target)]).toEqual([target, false]);
  }
});
