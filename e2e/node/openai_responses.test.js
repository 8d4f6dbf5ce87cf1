// The official OpenAI SDK for Node against the gateway's Responses API. The demo provider answers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import OpenAI from 'openai';

import { Gateway } from './gateway.js';

const model = 'demo';
const input = 'Say hello to the world in a sentence or two.';
const weather = {
  type: 'function',
  name: 'get_weather',
  description: 'The weather in a city.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
  strict: true,
};

let gateway;
let client;

before(async () => {
  gateway = await Gateway.start();
  // No retries, so that a test sees the first answer.
  client = new OpenAI({ baseURL: gateway.baseURL, apiKey: await gateway.newKey(), maxRetries: 0, timeout: 30_000 });
});

after(() => gateway?.stop());

test('a response has text and usage', async () => {
  const response = await client.responses.create({ model, input });
  assert.equal(response.status, 'completed');
  assert.ok(response.output_text);
  const { input_tokens, output_tokens, total_tokens } = response.usage;
  assert.ok(input_tokens > 0 && output_tokens > 0);
  assert.equal(total_tokens, input_tokens + output_tokens);
});

test('the same answer comes whole and streamed', async () => {
  const whole = await client.responses.create({ model, input, temperature: 0 });
  let text = '';
  const stream = client.responses.stream({ model, input, temperature: 0 });
  stream.on('response.output_text.delta', (event) => (text += event.delta));
  const final = await stream.finalResponse();
  assert.equal(final.output_text, whole.output_text);
  assert.equal(text, whole.output_text);
});

test('a tool is called and its result is answered', async () => {
  const conversation = [{ role: 'user', content: 'What is the weather in Paris?' }];
  const asked = await client.responses.create({ model, input: conversation, tools: [weather], tool_choice: 'required' });
  const [call] = asked.output.filter((item) => item.type === 'function_call');
  assert.equal(call.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.arguments).city, 'string');

  const output = JSON.stringify({ celsius: 21 });
  const answered = await client.responses.create({
    model,
    input: [...conversation, ...asked.output, { type: 'function_call_output', call_id: call.call_id, output }],
    tools: [weather],
  });
  assert.equal(answered.status, 'completed');
  assert.ok(answered.output_text);
});

test('structured output is parsed', async () => {
  const schema = {
    type: 'object',
    properties: { animal: { type: 'string' }, count: { type: 'integer' } },
    required: ['animal', 'count'],
    additionalProperties: false,
  };
  const response = await client.responses.parse({
    model,
    input: 'Three otters.',
    text: { format: { type: 'json_schema', name: 'sighting', schema, strict: true } },
  });
  assert.equal(typeof response.output_parsed.animal, 'string');
  assert.ok(Number.isInteger(response.output_parsed.count));
});

test('what a provider has to store rejects with BadRequestError', async () => {
  await assert.rejects(client.responses.create({ model, input, previous_response_id: 'resp_1' }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'previous_response_id');
    return true;
  });
  await assert.rejects(client.responses.retrieve('resp_1'), OpenAI.NotFoundError);
});
