// The official client of Azure OpenAI for Node against the gateway. The demo provider answers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { AuthenticationError, AzureOpenAI, NotFoundError } from 'openai';

import { Gateway } from './gateway.js';

const model = 'demo';
const messages = [{ role: 'user', content: 'Say hello to the world in a sentence or two.' }];

let gateway;
let client;

// No retries, so that a test sees the first answer.
const clientWith = (apiKey) =>
  new AzureOpenAI({ endpoint: gateway.url, apiKey, apiVersion: '2024-10-21', maxRetries: 0, timeout: 30_000 });

before(async () => {
  gateway = await Gateway.start();
  client = clientWith(await gateway.newKey());
});

after(() => gateway?.stop());

test('chat answers for a deployment', async () => {
  const completion = await client.chat.completions.create({ model, messages });
  assert.ok(completion.choices[0].message.content);
  assert.ok(completion.usage.total_tokens > 0);
});

test('a stream comes in several chunks', async () => {
  let pieces = 0;
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
    if (chunk.choices[0].delta.content) pieces++;
  }
  assert.ok(pieces > 1);
});

test('texts are embedded', async () => {
  const { data } = await client.embeddings.create({ model: 'demo-embedding', input: ['a', 'b'] });
  assert.equal(data.length, 2);
});

test('an unknown deployment is not found', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'nobody-serves-this', messages }), NotFoundError);
});

test('an unknown key is refused', async () => {
  await assert.rejects(clientWith(`sp_${'0'.repeat(64)}`).chat.completions.create({ model, messages }), AuthenticationError);
});
