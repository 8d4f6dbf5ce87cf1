// The Vercel AI SDK with a provider of each dialect behind the gateway, and with one of its own without it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { Output, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import { z } from 'zod';

import { Routes, check, dialects, expected, pixel, scenarios, withTools } from './standin.js';

const person = z.object({ name: z.string(), age: z.number().int() });
const weather = { Paris: '18 degrees', Rome: '25 degrees' };
const tools = {
  get_weather: tool({
    description: 'The weather of a city.',
    inputSchema: jsonSchema({
      type: 'object',
      properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['c', 'f'] } },
      required: ['city'],
    }),
    execute: ({ city }) => weather[city],
  }),
  get_time: tool({
    description: 'The time now.',
    inputSchema: jsonSchema({ type: 'object', properties: { zone: { type: 'string' } } }),
    execute: () => '12:30',
  }),
};
// The same, for the caller to run.
const declared = Object.fromEntries(Object.entries(tools).map(([name, { execute, ...rest }]) => [name, rest]));

const clients = {
  openai: {
    model: ({ url, key, model }, scenario) =>
      createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).chat(model(scenario)),
    thinking: { openai: { reasoningEffort: 'high' } },
    showsThoughts: false, // OpenAI's own API has none
  },
  anthropic: {
    model: ({ url, key, model }, scenario) =>
      createAnthropic({ baseURL: `${url}/v1`, apiKey: key })(model(scenario)),
    thinking: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } },
    showsThoughts: true,
  },
  gemini: {
    model: ({ url, key, model }, scenario) =>
      createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key })(`models/${model(scenario)}`),
    thinking: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } },
    showsThoughts: true,
  },
};
const ends = { stop: 'done', 'tool-calls': 'calls', length: 'length' };

let routes;

before(async () => {
  routes = await Routes.start();
});

after(() => routes?.stop());

/** Asks, whole or streamed, and gives what both have. */
async function ask(request, stream) {
  if (!stream) return generateText({ maxRetries: 0, ...request });
  let failure;
  const result = streamText({ maxRetries: 0, ...request, onError: ({ error }) => (failure = error) });
  await result.consumeStream();
  if (failure) throw failure;
  const names = ['text', 'reasoningText', 'toolCalls', 'finishReason', 'usage', ...(request.output ? ['output'] : [])];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await result[name]])));
}

function request(client, route, scenario) {
  const image = [
    { type: 'text', text: 'What is on it?' },
    { type: 'file', mediaType: 'image/png', data: pixel },
  ];
  return {
    model: client.model(route, scenario),
    instructions: 'Be terse.',
    messages: [{ role: 'user', content: scenario === 'image' ? image : 'Grüße, “world” 🎉' }],
    ...(withTools.includes(scenario) && { tools: declared }),
    ...(scenario === 'reasoning' && { providerOptions: client.thinking }),
    ...(scenario === 'length' && { maxOutputTokens: 5 }),
    ...(scenario === 'structured_output' && {
      output: Output.object({ schema: person }),
      // Of models whose names it does not know the SDK believes that they want a tool for it.
      providerOptions: { anthropic: { structuredOutputMode: 'outputFormat' } },
    }),
  };
}

for (const [dialect, client] of Object.entries(clients)) {
  for (const provider of ['direct', ...dialects]) {
    const route = () => (provider === 'direct' ? routes.direct(dialect) : routes.through(provider));

    describe(`@ai-sdk/${dialect}, ${provider}`, () => {
      for (const scenario of scenarios) {
        for (const stream of [false, true]) {
          test(`${scenario} is what the provider said, ${stream ? 'streamed' : 'whole'}`, async () => {
            const result = await ask(request(client, route(), scenario), stream);
            const { usage } = result;
            const answer = {
              text: result.text,
              thoughts: client.showsThoughts ? (result.reasoningText ?? '') : null,
              calls: result.toolCalls.map((call) => [call.toolName, call.input]),
              ids: result.toolCalls.map((call) => call.toolCallId),
              parsed: scenario === 'structured_output' ? result.output : null,
              end: ends[result.finishReason],
              usage: {
                fresh: usage.inputTokenDetails.noCacheTokens,
                cache_read: usage.inputTokenDetails.cacheReadTokens ?? 0,
                cache_write: usage.inputTokenDetails.cacheWriteTokens ?? null,
                output: usage.outputTokens,
                thoughts: usage.outputTokenDetails.reasoningTokens ?? null,
              },
            };
            check(answer, scenario, null, route().provider);
          });
        }
      }

      for (const stream of [false, true]) {
        for (const thinks of [false, true]) {
          const how = `${stream ? 'streamed' : 'whole'}${thinks ? ', with thoughts' : ''}`;
          test(`an agent comes to its end, ${how}`, async () => {
            const { text } = await ask(
              {
                model: client.model(route(), 'agent'),
                prompt: 'What is the weather in Paris and Rome, and the time?',
                tools,
                stopWhen: isStepCount(5),
                ...(thinks && { providerOptions: client.thinking }),
              },
              stream,
            );
            // For OpenAI's API the SDK keeps no field that OpenAI does not have. Anthropic signs thoughts only.
            const from = route().provider;
            const kept = dialect !== 'openai' && (thinks || from === 'gemini') && expected.signatures[dialect][from];
            assert.equal(text, `${expected.agent} Signatures: ${kept || 'none'}.`);
          });
        }
      }

      if (provider === 'direct') return;
      for (const scenario of ['status_400', 'status_429', 'status_500', 'error', 'cut_100', 'cut_900']) {
        test(`a stream that fails with ${scenario} rejects`, async () => {
          await assert.rejects(ask(request(client, route(), scenario), true));
        });
      }
    });
  }
}
