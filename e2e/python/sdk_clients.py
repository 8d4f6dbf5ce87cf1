"""The official SDKs for Python, asked for each scenario in the same way and read by their own types."""

import json

import anthropic
import openai
from google import genai
from google.genai import types

from answers import PIXEL, WITH_TOOLS, Answer, Person, Usage
from standin import Route

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
    "required": ["city"],
}
TIME = {"type": "object", "properties": {"zone": {"type": "string"}}}
TOOLS = {"get_weather": ("The weather of a city.", WEATHER), "get_time": ("The time now.", TIME)}


class OpenAI:
    """The package openai, which speaks chat completions."""

    dialect = "openai"
    failures = {
        400: openai.BadRequestError, 404: openai.NotFoundError, 429: openai.RateLimitError,
        500: openai.InternalServerError, 503: openai.InternalServerError,
    }
    broken = openai.APIError

    def __init__(self, route: Route):
        self.route = route
        self.sdk = openai.OpenAI(base_url=route.url + "/v1", api_key=route.key, max_retries=0, timeout=30)

    def request(self, scenario: str) -> dict:
        content = "Grüße, “world” 🎉"
        if scenario == "image":
            content = [
                {"type": "text", "text": "What is on it?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            ]
        request = {"model": self.route.model(scenario), "messages": [
            {"role": "system", "content": "Be terse."}, {"role": "user", "content": content}]}
        if scenario in WITH_TOOLS:
            request["tools"] = [
                {"type": "function", "function": {"name": name, "description": text, "parameters": schema}}
                for name, (text, schema) in TOOLS.items()
            ]
        if scenario == "reasoning":
            request["reasoning_effort"] = "high"
        if scenario == "length":
            request["max_completion_tokens"] = 5
        if scenario == "structured_output":
            request["response_format"] = Person
        return request

    def completion(self, scenario: str, stream: bool):
        request = self.request(scenario)
        if stream:
            with self.sdk.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
                try:
                    return events.get_final_completion()
                except openai.LengthFinishReasonError as ended:
                    return ended.completion
        if scenario == "structured_output":
            return self.sdk.chat.completions.parse(**request)
        return self.sdk.chat.completions.create(**request)

    def ask(self, scenario: str, stream: bool) -> Answer:
        completion = self.completion(scenario, stream)
        (choice,) = completion.choices
        message, usage = choice.message, completion.usage
        assert message.role == "assistant" and message.refusal is None
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        read = usage.prompt_tokens_details.cached_tokens or 0 if usage.prompt_tokens_details else 0
        write = getattr(usage.prompt_tokens_details, "cache_write_tokens", None) or 0
        details = usage.completion_tokens_details
        calls = message.tool_calls or []
        parsed = getattr(message, "parsed", None)
        return Answer(
            text=message.content or "",
            thoughts=getattr(message, "reasoning_content", None) or "",
            calls=[(call.function.name, json.loads(call.function.arguments or "{}")) for call in calls],
            ids=[call.id for call in calls],
            end=choice.finish_reason,
            parsed=parsed.model_dump() if parsed else None,
            usage=Usage(
                fresh=usage.prompt_tokens - read - write, cache_read=read, cache_write=write,
                output=usage.completion_tokens, thoughts=details and details.reasoning_tokens or 0),
        )

    def refused(self, stream: bool) -> dict:
        if not stream:
            (choice,) = self.completion("refusal", stream).choices
            return {"end": choice.finish_reason, "text": choice.message.content or "", "refusal": choice.message.refusal}
        # The helper for streams raises an error where an answer is withheld, so that the chunks are read here.
        chunks = list(self.sdk.chat.completions.create(**self.request("refusal"), stream=True))
        choices = [choice for chunk in chunks for choice in chunk.choices]
        return {
            "end": choices[-1].finish_reason, "text": "".join(choice.delta.content or "" for choice in choices),
            "refusal": "".join(choice.delta.refusal or "" for choice in choices),
        }


class Anthropic:
    """The package anthropic, which speaks messages."""

    dialect = "anthropic"
    failures = {
        400: anthropic.BadRequestError, 404: anthropic.NotFoundError, 429: anthropic.RateLimitError,
        500: anthropic.InternalServerError, 503: anthropic.InternalServerError,
    }
    broken = anthropic.APIError

    def __init__(self, route: Route):
        self.route = route
        self.sdk = anthropic.Anthropic(base_url=route.url, api_key=route.key, max_retries=0, timeout=30)

    def request(self, scenario: str) -> dict:
        content = "Grüße, “world” 🎉"
        if scenario == "image":
            content = [
                {"type": "text", "text": "What is on it?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            ]
        request = {
            "model": self.route.model(scenario), "max_tokens": 5 if scenario == "length" else 2048,
            "system": "Be terse.", "messages": [{"role": "user", "content": content}],
        }
        if scenario in WITH_TOOLS:
            request["tools"] = [
                {"name": name, "description": text, "input_schema": schema} for name, (text, schema) in TOOLS.items()]
        if scenario == "reasoning":
            request["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if scenario == "structured_output":
            request["output_format"] = Person
        return request

    def message(self, scenario: str, stream: bool):
        request = self.request(scenario)
        if stream:
            with self.sdk.messages.stream(**request) as events:
                return events.get_final_message()
        if scenario == "structured_output":
            return self.sdk.messages.parse(**request)
        return self.sdk.messages.create(**request)

    def ask(self, scenario: str, stream: bool) -> Answer:
        message = self.message(scenario, stream)
        usage = message.usage
        assert message.type == "message" and message.role == "assistant"
        calls = [block for block in message.content if block.type == "tool_use"]
        details = getattr(usage, "output_tokens_details", None)
        parsed = getattr(message, "parsed_output", None)
        return Answer(
            text="".join(block.text for block in message.content if block.type == "text"),
            thoughts="".join(block.thinking for block in message.content if block.type == "thinking"),
            calls=[(call.name, call.input) for call in calls],
            ids=[call.id for call in calls],
            end=message.stop_reason,
            parsed=parsed.model_dump() if parsed else None,
            usage=Usage(
                fresh=usage.input_tokens, cache_read=usage.cache_read_input_tokens or 0,
                cache_write=usage.cache_creation_input_tokens or 0, output=usage.output_tokens,
                thoughts=getattr(details, "thinking_tokens", 0) or 0),
        )

    def refused(self, stream: bool) -> dict:
        message = self.message("refusal", stream)
        return {
            "end": message.stop_reason, "text": "".join(block.text for block in message.content),
            "refusal": message.stop_details and message.stop_details.explanation,
        }


class Google:
    """The package google-genai, which speaks generateContent."""

    dialect = "gemini"
    failures = {
        400: genai.errors.ClientError, 404: genai.errors.ClientError, 429: genai.errors.ClientError,
        500: genai.errors.ServerError, 503: genai.errors.ServerError,
    }
    broken = genai.errors.APIError

    def __init__(self, route: Route):
        self.route = route
        self.sdk = genai.Client(api_key=route.key, http_options=types.HttpOptions(base_url=route.url, timeout=30_000))

    def request(self, scenario: str) -> dict:
        contents: list = ["Grüße, “world” 🎉"]
        if scenario == "image":
            contents = ["What is on it?", types.Part(inline_data=types.Blob(mime_type="image/png", data=PIXEL))]
        config = types.GenerateContentConfig(system_instruction="Be terse.")
        if scenario in WITH_TOOLS:
            config.tools = [types.Tool(function_declarations=[
                types.FunctionDeclaration(name=name, description=text, parameters_json_schema=schema)
                for name, (text, schema) in TOOLS.items()
            ])]
        if scenario == "reasoning":
            config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        if scenario == "length":
            config.max_output_tokens = 5
        if scenario == "structured_output":
            config.response_mime_type, config.response_schema = "application/json", Person
        return {"model": self.route.model(scenario), "contents": contents, "config": config}

    def responses(self, scenario: str, stream: bool) -> list[types.GenerateContentResponse]:
        request = self.request(scenario)
        if stream:
            return list(self.sdk.models.generate_content_stream(**request))
        return [self.sdk.models.generate_content(**request)]

    def ask(self, scenario: str, stream: bool) -> Answer:
        responses = self.responses(scenario, stream)
        parts = [part for r in responses for c in r.candidates for part in (c.content and c.content.parts or [])]
        usage = responses[-1].usage_metadata
        thoughts, read = usage.thoughts_token_count or 0, usage.cached_content_token_count or 0
        prompt = usage.prompt_token_count + (usage.tool_use_prompt_token_count or 0)
        assert usage.total_token_count == prompt + usage.candidates_token_count + thoughts
        calls = [part.function_call for part in parts if part.function_call]
        text = "".join(part.text for part in parts if part.text and not part.thought)
        parsed = None
        if scenario == "structured_output":
            parsed = Person.model_validate_json(text) if stream else responses[0].parsed
        return Answer(
            text=text,
            thoughts="".join(part.text for part in parts if part.text and part.thought),
            calls=[(call.name, call.args or {}) for call in calls],
            # Google's API may leave them out.
            ids=[call.id or f"{call.name} without an id" for call in calls],
            end=responses[-1].candidates[0].finish_reason.value,
            parsed=parsed.model_dump() if parsed else None,
            usage=Usage(
                fresh=prompt - read, cache_read=read, cache_write=None,
                output=usage.candidates_token_count + thoughts, thoughts=thoughts),
        )

    def refused(self, stream: bool) -> dict:
        response = self.responses("refusal", stream)
        text = "".join(part.text for r in response for c in r.candidates or [] for part in c.content.parts or [])
        if feedback := response[-1].prompt_feedback:
            return {"end": "SAFETY", "text": text, "refusal": feedback.block_reason_message}
        return {
            "end": response[-1].candidates[0].finish_reason.value, "text": text,
            "refusal": response[-1].candidates[0].finish_message,
        }


CLIENTS = [OpenAI, Anthropic, Google]
