// The official OpenAI SDK for Node against the gateway's OpenAI surface. The demo provider answers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import OpenAI from 'openai';

import { Gateway } from './gateway.js';

const model = 'demo';
const embeddingModel = 'demo-embedding';
const messages = [{ role: 'user', content: 'Say hello to the world in a sentence or two.' }];
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
};

let gateway;
let key;
let client;

// No retries, so that a test sees the first answer.
const clientWith = (apiKey) => new OpenAI({ baseURL: gateway.baseURL, apiKey, maxRetries: 0, timeout: 30_000 });

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

before(async () => {
  gateway = await Gateway.start();
  key = await gateway.newKey();
  client = clientWith(key);
});

after(() => gateway?.stop());

test('chat answers with text and usage', async () => {
  const completion = await client.chat.completions.create({ model, messages });
  const [choice] = completion.choices;
  assert.equal(choice.message.role, 'assistant');
  assert.ok(choice.message.content);
  assert.equal(choice.finish_reason, 'stop');
  const { prompt_tokens, completion_tokens, total_tokens } = completion.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
  assert.ok(completion._request_id);
});

test('a stream comes in several chunks and without usage', async () => {
  const chunks = await collect(await client.chat.completions.create({ model, messages, stream: true }));
  assert.ok(chunks.filter((c) => c.choices[0]?.delta.content).length > 1);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  assert.ok(chunks.every((c) => c.choices.length > 0 && !c.usage), 'usage came unasked');
});

test('a stream ends with usage where it is asked for', async () => {
  const chunks = await collect(
    await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }),
  );
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.prompt_tokens > 0 && last.usage.completion_tokens > 0);
  assert.equal(last.usage.total_tokens, last.usage.prompt_tokens + last.usage.completion_tokens);
});

test('the same answer comes whole and streamed', async () => {
  const whole = await client.chat.completions.create({ model, messages, temperature: 0 });
  const streamed = await client.chat.completions.stream({ model, messages, temperature: 0 }).finalChatCompletion();
  assert.equal(streamed.choices[0].message.content, whole.choices[0].message.content);
});

test('a stream can be left', async () => {
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
  assert.ok(stream.controller.signal.aborted);
  assert.ok((await client.chat.completions.create({ model, messages })).choices.length);
});

test('a tool is called and its result is answered', async () => {
  const question = [{ role: 'user', content: 'What is the weather in Paris?' }];
  const asked = await client.chat.completions.create({
    model,
    messages: question,
    tools: [weather],
    tool_choice: 'required',
  });
  assert.equal(asked.choices[0].finish_reason, 'tool_calls');
  const [call] = asked.choices[0].message.tool_calls;
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');

  const answered = await client.chat.completions.create({
    model,
    messages: [
      ...question,
      asked.choices[0].message,
      { role: 'tool', tool_call_id: call.id, content: JSON.stringify({ celsius: 21 }) },
    ],
    tools: [weather],
  });
  assert.equal(answered.choices[0].finish_reason, 'stop');
  assert.ok(answered.choices[0].message.content);
});

test('a streamed tool call adds up to valid arguments', async () => {
  const completion = await client.chat.completions
    .stream({
      model,
      messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
      tools: [weather],
      tool_choice: 'required',
    })
    .finalChatCompletion();
  const [call] = completion.choices[0].message.tool_calls;
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
});

test('embeddings are the same as floats and as base64', async () => {
  const input = ['a heron', 'a pond'];
  // The SDK asks for base64 by itself and decodes it.
  const packed = await client.embeddings.create({ model: embeddingModel, input });
  const floats = await client.embeddings.create({ model: embeddingModel, input, encoding_format: 'float' });
  assert.ok(packed.usage.prompt_tokens > 0);
  assert.deepEqual(
    packed.data.map((e) => e.index),
    [0, 1],
  );
  packed.data.forEach(({ embedding }, i) => {
    const other = floats.data[i].embedding;
    assert.ok(embedding.length > 0);
    assert.equal(embedding.length, other.length);
    assert.ok(embedding.every((x, j) => Math.abs(x - other[j]) < 1e-6));
  });
});

test('models are listed with a chat model first', async () => {
  const ids = await collect(await client.models.list()).then((models) => models.map((m) => m.id));
  assert.ok(ids.includes(model) && ids.includes(embeddingModel));
  assert.ok((await client.chat.completions.create({ model: ids[0], messages })).choices[0].message.content);
});

test('a wrong key rejects with AuthenticationError', async () => {
  const oneBitOff = key.slice(0, -1) + (parseInt(key.at(-1), 16) ^ 1).toString(16);
  for (const wrong of [`sp_${'0'.repeat(64)}`, oneBitOff, 'sk-proj-abc']) {
    await assert.rejects(clientWith(wrong).chat.completions.create({ model, messages }), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError, String(error));
      assert.equal(error.status, 401);
      assert.equal(error.code, 'invalid_api_key');
      return true;
    });
  }
});

test('an unknown model rejects with NotFoundError', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'no-such-model', messages }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, String(error));
    assert.equal(error.code, 'model_not_found');
    return true;
  });
});

test('a field of the wrong type rejects with BadRequestError', async () => {
  await assert.rejects(
    client.chat.completions.create({ model, messages, temperature: 'hot' }),
    (error) => error instanceof OpenAI.BadRequestError && error.type === 'invalid_request_error',
  );
});

test('the call over the limit rejects with RateLimitError', async () => {
  const limited = clientWith(await gateway.newKey('2/1h'));
  for (const remaining of ['1', '0']) {
    const { response } = await limited.chat.completions.create({ model, messages }).withResponse();
    assert.equal(response.headers.get('x-ratelimit-remaining'), remaining);
  }
  await assert.rejects(limited.chat.completions.create({ model, messages }), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError, String(error));
    const wait = Number(error.headers.get('retry-after'));
    assert.ok(wait >= 1 && wait <= 3600, `Retry-After: ${wait}`);
    return true;
  });
});
