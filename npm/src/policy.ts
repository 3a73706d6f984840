/**
 * Requests that the page's Content-Security-Policy kept from being sent: `fetch` itself does not tell.
 *
 * @module
 */

const origins = new Set<string>();
let watching = false;

/** Listens for violations from now on. */
export function watchPolicy(): void {
  if (watching) return;
  watching = true;
  (globalThis as Partial<typeof globalThis>).addEventListener?.('securitypolicyviolation', (event) => {
    const { blockedURI, disposition, effectiveDirective } = event as SecurityPolicyViolationEvent;
    if (disposition === 'enforce' && effectiveDirective === 'connect-src') origins.add(blockedURI.split('/', 3).join('/'));
  });
}

/** Whether a request to there was kept from being sent. */
export function blocked(url: URL): boolean {
  return origins.has(url.origin);
}
