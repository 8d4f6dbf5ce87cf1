// Each official SDK for Node with a provider of each dialect behind the gateway, and with one of its own without it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { AnthropicClient, GoogleClient, OpenAIClient } from './official_clients.js';
import { Routes, check, dialects, scenarios } from './standin.js';

let routes;

before(async () => {
  routes = await Routes.start();
});

after(() => routes?.stop());

for (const Client of [OpenAIClient, AnthropicClient, GoogleClient]) {
  for (const provider of ['direct', ...dialects]) {
    const client = () =>
      new Client(provider === 'direct' ? routes.direct(Client.dialect) : routes.through(provider));

    describe(`${Client.name}, ${provider}`, () => {
      for (const scenario of scenarios) {
        for (const stream of [false, true]) {
          test(`${scenario} is what the provider said, ${stream ? 'streamed' : 'whole'}`, async () => {
            const { route } = client();
            check(await client().ask(scenario, stream), scenario, Client.dialect, route.provider);
          });
        }
      }

      for (const [status, failure] of Object.entries(Client.failures)) {
        for (const stream of [false, true]) {
          test(`a provider's ${status} is an error of its kind, ${stream ? 'streamed' : 'whole'}`, async () => {
            await assert.rejects(client().ask(`status_${status}`, stream), (error) => {
              assert.ok(error instanceof failure, String(error));
              // What is the provider's trouble is a bad gateway before it.
              assert.ok(error.status === Number(status) || (error.status >= 500 && status >= 500), String(error));
              return true;
            });
          });
        }
      }

      if (provider === 'direct') return;
      for (const scenario of ['error', 'cut_0', 'cut_100', 'cut_900']) {
        test(`a stream that ends with ${scenario} rejects`, async () => {
          await assert.rejects(client().ask(scenario, true), (error) => {
            assert.ok(error instanceof Client.broken && !(error.status < 500), String(error));
            return true;
          });
        });
      }
    });
  }
}
