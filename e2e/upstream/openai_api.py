"""OpenAI's chat completions, as a server has them."""

import json
import re

import agent
from asked import Asked, Call, Refused, Round, known, present

NAME = "openai"
PATH = re.compile(r"/v1/chat/completions")

FIELDS = {
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "n", "parallel_tool_calls", "prediction",
    "presence_penalty", "prompt_cache_key", "reasoning_effort", "response_format", "safety_identifier", "seed",
    "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools",
    "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
}
ERRORS = {
    400: ("invalid_request_error", None), 401: ("invalid_request_error", "invalid_api_key"), 403: ("invalid_request_error", None),
    404: ("invalid_request_error", "model_not_found"), 429: ("rate_limit_error", "rate_limit_exceeded"),
}


def credential(headers) -> str | None:
    return (headers.get("Authorization") or "").removeprefix("Bearer ")


def error(status: int, message: str) -> dict:
    kind, code = ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def read(path: re.Match, query: dict, headers, body: dict) -> Asked:
    known(body, FIELDS)
    present(body, "model", "messages")
    rounds: list[Round] = []
    open_calls: dict[str, Call] = {}
    images = []
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if role == "tool":
            call = open_calls.pop(message["tool_call_id"], None)
            if call is None:
                raise Refused("messages with role 'tool' must be a response to a preceding message with 'tool_calls'")
            call.result = content if isinstance(content, str) else "".join(part["text"] for part in content)
            continue
        if open_calls:
            raise Refused(f"tool_call_ids without a response message: {', '.join(open_calls)}")
        for part in content if isinstance(content, list) else []:
            if part["type"] == "image_url":
                kind, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
                images.append((kind, data))
        if calls := message.get("tool_calls"):
            made = [Call(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]
            open_calls = {call.id: call for call in made}
            rounds.append(Round(made))
    if open_calls:
        raise Refused(f"tool_call_ids without a response message: {', '.join(open_calls)}")
    shape = body.get("response_format") or {}
    told = [m["content"] for m in body["messages"] if m["role"] in ("system", "developer")]
    return Asked(
        model=body["model"],
        stream=bool(body.get("stream")),
        tools={t["function"]["name"]: t["function"].get("parameters", {}) for t in body.get("tools") or []},
        images=images,
        schema=shape["json_schema"]["schema"] if shape.get("type") == "json_schema" else None,
        prompt=json.dumps(told, ensure_ascii=False),
        thinks=body.get("reasoning_effort", "none") != "none",
        rounds=rounds,
    )


COMMON = {"id": "chatcmpl-D4k2", "created": 1790000000, "model": "gpt-5-mini-2025-08-07", "system_fingerprint": "fp_44709d6fcb"}
USAGE = {"prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49}


def calls_of(asked: Asked, turn: agent.Turn) -> list[dict]:
    return [
        {"id": f"call_{len(asked.rounds)}_{i}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for i, (name, arguments) in enumerate(turn.calls)
    ]


def whole(asked: Asked, turn: agent.Turn) -> dict:
    message = {"role": "assistant", "content": turn.text or None, "refusal": None, "annotations": []}
    if turn.calls:
        message["tool_calls"] = calls_of(asked, turn)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if turn.calls else "stop"}
    return {**COMMON, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def events(asked: Asked, turn: agent.Turn):
    """The turn as a stream, each call's arguments in two pieces."""
    def chunk(delta: dict, finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data({**COMMON, "object": "chat.completion.chunk", "choices": [choice], "usage": None})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for word in re.findall(r"\S+\s*", turn.text):
        yield chunk({"content": word})
    for i, call in enumerate(calls_of(asked, turn)):
        arguments = call["function"]["arguments"]
        yield chunk({"tool_calls": [{"index": i, **call, "function": {**call["function"], "arguments": ""}}]})
        for piece in (arguments[:5], arguments[5:]):
            yield chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    yield chunk({}, "tool_calls" if turn.calls else "stop")
    yield data({**COMMON, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    yield "data: [DONE]\n\n"


def data(value: dict) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
