// The official SDKs for Node, asked for each scenario in the same way and read by their own types.

import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { ApiError, GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { pixel, withTools } from './standin.js';

const greeting = 'Grüße, “world” 🎉';
const person = z.object({ name: z.string(), age: z.number().int() });
const tools = {
  get_weather: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['c', 'f'] } },
    required: ['city'],
  },
  get_time: { type: 'object', properties: { zone: { type: 'string' } } },
};

/** The package openai, which speaks chat completions. */
export class OpenAIClient {
  static dialect = 'openai';
  static broken = OpenAI.APIError;
  static failures = {
    400: OpenAI.BadRequestError,
    404: OpenAI.NotFoundError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
    503: OpenAI.InternalServerError,
  };

  constructor(route) {
    this.route = route;
    this.sdk = new OpenAI({ baseURL: `${route.url}/v1`, apiKey: route.key, maxRetries: 0, timeout: 30_000 });
  }

  request(scenario) {
    const image = [
      { type: 'text', text: 'What is on it?' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
    ];
    return {
      model: this.route.model(scenario),
      messages: [
        { role: 'system', content: 'Be terse.' },
        { role: 'user', content: scenario === 'image' ? image : greeting },
      ],
      ...(withTools.includes(scenario) && {
        tools: Object.entries(tools).map(([name, parameters]) => ({ type: 'function', function: { name, parameters } })),
      }),
      ...(scenario === 'reasoning' && { reasoning_effort: 'high' }),
      ...(scenario === 'length' && { max_completion_tokens: 5 }),
      ...(scenario === 'structured_output' && { response_format: zodResponseFormat(person, 'person') }),
    };
  }

  completion(scenario, stream) {
    const request = this.request(scenario);
    if (stream) {
      return this.sdk.chat.completions
        .stream({ ...request, stream_options: { include_usage: true } })
        .finalChatCompletion();
    }
    return scenario === 'structured_output'
      ? this.sdk.chat.completions.parse(request)
      : this.sdk.chat.completions.create(request);
  }

  async ask(scenario, stream) {
    const { choices, usage } = await this.completion(scenario, stream);
    const [{ message, finish_reason: end }] = choices;
    const calls = message.tool_calls ?? [];
    const { cached_tokens: read = 0, cache_write_tokens: write = 0 } = usage.prompt_tokens_details ?? {};
    return {
      text: message.content ?? '',
      // Its helper for streams adds up the fields that it knows, and thoughts are none of them.
      thoughts: stream ? null : (message.reasoning_content ?? ''),
      calls: calls.map((call) => [call.function.name, JSON.parse(call.function.arguments || '{}')]),
      ids: calls.map((call) => call.id),
      parsed: message.parsed ?? null,
      end,
      usage: {
        fresh: usage.prompt_tokens - read - write,
        cache_read: read,
        cache_write: write,
        output: usage.completion_tokens,
        thoughts: usage.completion_tokens_details?.reasoning_tokens ?? 0,
      },
    };
  }
}

/** The package @anthropic-ai/sdk, which speaks messages. */
export class AnthropicClient {
  static dialect = 'anthropic';
  static broken = Anthropic.APIError;
  static failures = {
    400: Anthropic.BadRequestError,
    404: Anthropic.NotFoundError,
    429: Anthropic.RateLimitError,
    500: Anthropic.InternalServerError,
    503: Anthropic.InternalServerError,
  };

  constructor(route) {
    this.route = route;
    this.sdk = new Anthropic({ baseURL: route.url, apiKey: route.key, maxRetries: 0, timeout: 30_000 });
  }

  request(scenario) {
    const image = [
      { type: 'text', text: 'What is on it?' },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } },
    ];
    return {
      model: this.route.model(scenario),
      max_tokens: scenario === 'length' ? 5 : 2048,
      system: 'Be terse.',
      messages: [{ role: 'user', content: scenario === 'image' ? image : greeting }],
      ...(withTools.includes(scenario) && {
        tools: Object.entries(tools).map(([name, input_schema]) => ({ name, input_schema })),
      }),
      ...(scenario === 'reasoning' && { thinking: { type: 'enabled', budget_tokens: 1024 } }),
      ...(scenario === 'structured_output' && { output_config: { format: zodOutputFormat(person) } }),
    };
  }

  async ask(scenario, stream) {
    const request = this.request(scenario);
    const { content, stop_reason: end, usage, parsed_output: parsed } = await (stream
      ? this.sdk.messages.stream(request).finalMessage()
      : scenario === 'structured_output'
        ? this.sdk.messages.parse(request)
        : this.sdk.messages.create(request));
    const of = (type) => content.filter((block) => block.type === type);
    return {
      text: of('text').map((block) => block.text).join(''),
      thoughts: of('thinking').map((block) => block.thinking).join(''),
      calls: of('tool_use').map((block) => [block.name, block.input]),
      ids: of('tool_use').map((block) => block.id),
      parsed: parsed ?? null,
      end,
      usage: {
        fresh: usage.input_tokens,
        cache_read: usage.cache_read_input_tokens,
        cache_write: usage.cache_creation_input_tokens,
        output: usage.output_tokens,
        thoughts: usage.output_tokens_details?.thinking_tokens ?? 0,
      },
    };
  }
}

/** The package @google/genai, which speaks generateContent. */
export class GoogleClient {
  static dialect = 'gemini';
  static broken = Error; // of a stream that breaks it makes plain ones
  static failures = { 400: ApiError, 404: ApiError, 429: ApiError, 500: ApiError, 503: ApiError };

  constructor(route) {
    this.route = route;
    this.sdk = new GoogleGenAI({
      apiKey: route.key,
      httpOptions: { baseUrl: route.url, timeout: 30_000, retryOptions: { attempts: 1 } },
    });
  }

  request(scenario) {
    return {
      model: this.route.model(scenario),
      contents:
        scenario === 'image'
          ? ['What is on it?', { inlineData: { mimeType: 'image/png', data: pixel } }]
          : [greeting],
      config: {
        systemInstruction: 'Be terse.',
        ...(withTools.includes(scenario) && {
          tools: [
            {
              functionDeclarations: Object.entries(tools).map(([name, parametersJsonSchema]) => ({
                name,
                parametersJsonSchema,
              })),
            },
          ],
        }),
        ...(scenario === 'reasoning' && { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } }),
        ...(scenario === 'length' && { maxOutputTokens: 5 }),
        ...(scenario === 'structured_output' && {
          responseMimeType: 'application/json',
          responseJsonSchema: z.toJSONSchema(person),
        }),
      },
    };
  }

  async ask(scenario, stream) {
    const request = this.request(scenario);
    const responses = stream
      ? await Array.fromAsync(await this.sdk.models.generateContentStream(request))
      : [await this.sdk.models.generateContent(request)];
    const parts = responses.flatMap((response) => response.candidates[0].content?.parts ?? []);
    const textOf = (thought) =>
      parts
        .filter((part) => Boolean(part.thought) === thought)
        .map((part) => part.text ?? '')
        .join('');
    const calls = parts.flatMap((part) => part.functionCall ?? []);
    const usage = responses.at(-1).usageMetadata;
    const { thoughtsTokenCount: thoughts = 0, cachedContentTokenCount: read = 0, toolUsePromptTokenCount: tool = 0 } = usage;
    return {
      text: textOf(false),
      thoughts: textOf(true),
      calls: calls.map((call) => [call.name, call.args ?? {}]),
      // Google's API may leave them out.
      ids: calls.map((call) => call.id ?? `${call.name} without an id`),
      parsed: scenario === 'structured_output' ? person.parse(JSON.parse(textOf(false))) : null,
      end: responses.at(-1).candidates[0].finishReason,
      usage: {
        fresh: usage.promptTokenCount + tool - read,
        cache_read: read,
        cache_write: null,
        output: usage.candidatesTokenCount + thoughts,
        thoughts,
      },
    };
  }
}
