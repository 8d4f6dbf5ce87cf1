// Starts the stand-in for the providers and a gateway before it, and says what its transcripts say.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { Gateway } from './gateway.js';

const e2e = path.resolve(import.meta.dirname, '..');
const providerKey = 'provider-key-of-the-stand-in';

export const expected = JSON.parse(readFileSync(path.join(e2e, 'expected.json'), 'utf8'));
export const dialects = Object.keys(expected.ends);
export const scenarios = Object.keys(expected.answers);
export const withTools = ['one_tool', 'parallel_tools', 'zero_argument_tool'];
export const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

/** The stand-in, a gateway before it, and the ways to both. */
export class Routes {
  static async start() {
    const routes = new Routes();
    routes.process = spawn('python3', [path.join(e2e, 'upstream/serve.py')], {
      env: { ...process.env, PROVIDER_KEY: providerKey },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    routes.exit = once(routes.process, 'exit');
    const [port] = await once(createInterface(routes.process.stdout), 'line');
    routes.url = `http://127.0.0.1:${port}`;
    try {
      routes.gateway = await Gateway.start(path.join(e2e, 'pairs.Caddyfile'), {
        UPSTREAM_URL: routes.url,
        PROVIDER_KEY: providerKey,
      });
      routes.key = await routes.gateway.newKey();
    } catch (error) {
      await routes.stop();
      throw error;
    }
    return routes;
  }

  /** The way to the stand-in without the gateway, to learn what an SDK makes of it. */
  direct(dialect) {
    return { url: this.url, key: providerKey, provider: dialect, model: (scenario) => scenario };
  }

  /** The way to one of the gateway's providers. */
  through(provider) {
    return { url: this.gateway.url, key: this.key, provider, model: (scenario) => `${provider}/${scenario}` };
  }

  async stop() {
    await this.gateway?.stop();
    this.process.stdin.end();
    await this.exit;
  }
}

/** Fails where an answer is not the one of its transcript. What an SDK has no place for is null in it. */
export function check(got, scenario, client, provider) {
  const said = expected.answers[scenario];
  const usage = { ...expected[scenario === 'reasoning' ? 'usage_of_reasoning' : 'usage'][provider] };
  if (got.usage.cache_write === null) {
    usage.fresh += usage.cache_write;
    usage.cache_write = null;
  }
  if (got.usage.thoughts === null) usage.thoughts = null;
  const { ids, ...answer } = got;
  assert.deepEqual(answer, {
    text: said.text ?? '',
    thoughts: got.thoughts === null ? null : (said.thoughts ?? ''),
    calls: said.calls ?? [],
    parsed: said.parsed ?? null,
    end: client === null ? said.end : expected.ends[client][said.end],
    usage,
  });
  assert.equal(new Set(ids).size, answer.calls.length);
  assert.ok(ids.every(Boolean), `the calls' ids: ${ids}`);
}
