// The official Anthropic SDK for Node against the gateway's Messages API. The demo provider answers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import { Gateway } from './gateway.js';

const messages = [{ role: 'user', content: 'Say hello to the world in a sentence or two.' }];
const ask = { model: 'demo', max_tokens: 200, messages };
const weather = {
  name: 'get_weather',
  description: 'The weather in a city.',
  input_schema: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};

let gateway;
let client;

// No retries, so that a test sees the first answer.
const clientWith = (apiKey) => new Anthropic({ baseURL: gateway.url, apiKey, maxRetries: 0, timeout: 30_000 });

before(async () => {
  gateway = await Gateway.start();
  client = clientWith(await gateway.newKey());
});

after(() => gateway?.stop());

test('a message has text and usage', async () => {
  const message = await client.messages.create(ask);
  assert.equal(message.role, 'assistant');
  assert.ok(message.content[0].text);
  assert.equal(message.stop_reason, 'end_turn');
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  assert.ok(message._request_id);
});

test('the same message comes whole and streamed', async () => {
  const whole = await client.messages.create({ ...ask, temperature: 0 });
  const stream = client.messages.stream({ ...ask, temperature: 0 });
  let text = '';
  stream.on('text', (piece) => (text += piece));
  const streamed = await stream.finalMessage();
  assert.equal(text, whole.content[0].text);
  assert.deepEqual(streamed.content.map((block) => block.text), [text]);
  assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens);
});

test('a streamed tool call adds up to valid input', async () => {
  const message = await client.messages
    .stream({ ...ask, tools: [weather], tool_choice: { type: 'tool', name: 'get_weather' } })
    .finalMessage();
  assert.equal(message.stop_reason, 'tool_use');
  const use = message.content.find((block) => block.type === 'tool_use');
  assert.equal(typeof use.input.city, 'string');
});

test('a stream can be left', async () => {
  const stream = await client.messages.create({ ...ask, stream: true });
  for await (const event of stream) {
    assert.equal(event.type, 'message_start');
    break;
  }
  assert.ok((await client.messages.create(ask)).content[0].text);
});

test('tokens are counted', async () => {
  assert.ok((await client.messages.countTokens({ model: 'demo', messages })).input_tokens > 0);
});

test('models are listed and retrieved', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.equal(ids[0], 'demo');
  assert.equal((await client.models.retrieve('demo')).id, 'demo');
});

test('each failure raises the error of its kind', async () => {
  await assert.rejects(clientWith(`sp_${'0'.repeat(64)}`).messages.create(ask), Anthropic.AuthenticationError);
  await assert.rejects(client.messages.create({ ...ask, model: 'no-such-model' }), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...ask, messages: 'hello' }), Anthropic.BadRequestError);
  const limited = clientWith(await gateway.newKey('1/1h'));
  await limited.messages.create(ask);
  await assert.rejects(limited.messages.create(ask), Anthropic.RateLimitError);
});
