// What must compile, and what must not. Checked by `tsc -p test`, never run.
import { type BmapError, type Client, createClient, init, type Problem, problemOf, type SignedEvent } from '@bmap/auth';
import { type Inspection, inspect } from '@bmap/auth/inspect';

const page: Client = createClient({
  issuer: 'https://auth.example',
  ticket: () => fetch('/bmap-ticket', { method: 'POST' }).then((r) => r.text()),
});
const places = page.tool('places');
export const response: Promise<Response> = places.fetch('/v1/search?q=Sofia');
// The method is a drop-in `fetch`.
export const dropIn: typeof fetch = places.fetch;
places.fetch(new URL('https://a.example'), { signal: AbortSignal.timeout(1), method: 'POST', body: new FormData() });
places.fetch(new Request('https://a.example'));

createClient({ issuer: new URL('https://auth.example'), ticket: async (tool: string) => ({ ticket: tool }) });
createClient({ issuer: 'https://auth.example', apiKey: { id: 'bmk_', secret: 'bms_' }, scope: 'a b' });
createClient({ issuer: 'https://auth.example', ticket: () => '', onSigned: async (event: SignedEvent) => void (await inspect(event)) });
export const inspection: Promise<Inspection> = inspect({ method: 'GET', url: 'https://a.example/', headers: {} });

await init();
await init({ wasm: new URL('https://a.example/sdk.wasm') });
await init({ wasm: fetch('https://a.example/sdk.wasm') });
await init({ wasm: new Uint8Array() });
export const problem: Problem | undefined = await problemOf(await response);
export const read = (error: BmapError): [string, boolean, string | undefined, string | undefined] => [error.code, error.retryable, error.field, error.hint];

{
  using client = createClient({ issuer: 'https://auth.example', ticket: () => '' });
  client.tool('places');
}

createClient({ issuer: 'https://auth.example', clientId: 'bmk_', accessToken: async () => 'a.b.c' });
// @ts-expect-error an access token goes with the key that registered the page
createClient({ issuer: 'https://auth.example', accessToken: () => 'a.b.c' });
// @ts-expect-error a ticket or an access token
createClient({ issuer: 'https://auth.example', clientId: 'bmk_', accessToken: () => 'a.b.c', ticket: () => '' });
// @ts-expect-error neither ticket nor apiKey
createClient({ issuer: 'https://auth.example' });
// @ts-expect-error both
createClient({ issuer: 'https://auth.example', ticket: () => '', apiKey: { id: '', secret: '' } });
// @ts-expect-error a scope is for direct callers: a page's is in its ticket
createClient({ issuer: 'https://auth.example', ticket: () => '', scope: 'x' });
// @ts-expect-error a number is no ticket
createClient({ issuer: 'https://auth.example', ticket: () => 1 });
// @ts-expect-error nothing is no source
init({ wasm: null });
