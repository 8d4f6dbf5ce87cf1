// Runs the gateway's binary for a test: one process, its own port, its own data directory.

import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const repository = path.resolve(import.meta.dirname, '../..');
const binary = path.resolve(process.env.GATEWAY_BIN ?? path.join(repository, 'bin/caddy'));
const defaultCaddyfile = path.join(repository, 'Caddyfile');

const startMilliseconds = 30_000;
const stopMilliseconds = 30_000;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A running gateway. With its default Caddyfile the demo provider answers. */
export class Gateway {
  static async start(caddyfile = defaultCaddyfile, environment = {}) {
    const gateway = new Gateway();
    gateway.caddyfile = caddyfile;
    gateway.directory = await mkdtemp(path.join(tmpdir(), 'gateway-'));
    const home = path.join(gateway.directory, 'home');
    await mkdir(home);
    const port = await freePort();
    gateway.url = `http://127.0.0.1:${port}`;
    // Nothing of the caller's environment but PATH, so that no provider's variable switches a provider on.
    gateway.environment = {
      PATH: process.env.PATH,
      HOME: home,
      GATEWAY_ADDR: `:${port}`,
      GATEWAY_DATA: path.join(gateway.directory, 'data'),
      ...environment,
    };
    gateway.log = path.join(gateway.directory, 'gateway.log');
    const log = await open(gateway.log, 'w');
    gateway.process = spawn(binary, ['run', '--config', caddyfile, '--adapter', 'caddyfile'], {
      cwd: gateway.directory,
      env: gateway.environment,
      stdio: ['ignore', 'ignore', log.fd],
    });
    await once(gateway.process, 'spawn');
    gateway.exit = once(gateway.process, 'exit');
    await log.close();
    try {
      await gateway.#ready();
    } catch (error) {
      gateway.process.kill('SIGKILL');
      throw error;
    }
    return gateway;
  }

  /** What an OpenAI SDK takes as its base URL. */
  get baseURL() {
    return `${this.url}/v1`;
  }

  async #ready() {
    const deadline = Date.now() + startMilliseconds;
    let answer = 'no answer';
    while (Date.now() < deadline && this.process.exitCode === null) {
      try {
        const response = await fetch(`${this.url}/v1/ready`, { signal: AbortSignal.timeout(2000) });
        if (response.ok) return;
        answer = `${response.status} ${await response.text()}`;
      } catch (error) {
        answer = String(error.cause ?? error);
      }
      await delay(50); // between two questions: there is nothing to wait on
    }
    throw new Error(`the gateway is not ready, last: ${answer}\n${await readFile(this.log, 'utf8')}`);
  }

  /** Imports a fresh key from the command line, as an operator would. */
  async newKey(limit = '1000000/1h') {
    const key = `sp_${randomBytes(32).toString('hex')}`;
    await promisify(execFile)(
      binary,
      ['llm', 'keys', 'import', '--key', key, '--name', 'e2e-node', '--limit', limit, '--config', this.caddyfile, '--json'],
      { cwd: repository, env: this.environment, timeout: 30_000 },
    );
    return key;
  }

  /** Stops the gateway as an init system would, and fails unless it leaves with status 0. */
  async stop() {
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), stopMilliseconds);
    const [status, signal] = await this.exit;
    clearTimeout(timer);
    if (status !== 0) {
      throw new Error(`the gateway ended with ${signal ?? status}\n${await readFile(this.log, 'utf8')}`);
    }
    await rm(this.directory, { recursive: true });
  }
}
