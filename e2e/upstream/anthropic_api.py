"""Anthropic's messages, as a server has them."""

import json
import re

import agent
from asked import Asked, Call, Refused, Round, known, present

NAME = "anthropic"
PATH = re.compile(r"/v1/messages")

FIELDS = {
    "container", "context_management", "inference_geo", "cache_control", "max_tokens", "mcp_servers", "messages", "metadata",
    "model", "output_config", "output_format", "service_tier", "speed", "stop_sequences", "stream", "system", "temperature",
    "thinking", "tool_choice", "tools", "top_k", "top_p",
}
ERRORS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
}


def credential(headers) -> str | None:
    return headers.get("X-Api-Key") or (headers.get("Authorization") or "").removeprefix("Bearer ")


def error(status: int, message: str) -> dict:
    return {"type": "error", "error": {"type": ERRORS.get(status, "api_error"), "message": message}, "request_id": "req_011CSHoEeq"}


def read(path: re.Match, query: dict, headers, body: dict) -> Asked:
    if not headers.get("Anthropic-Version"):
        raise Refused("anthropic-version: header is required")
    known(body, FIELDS)
    present(body, "model", "messages", "max_tokens")
    thinking = body.get("thinking") or {"type": "disabled"}
    rounds: list[Round] = []
    open_calls: dict[str, Call] = {}
    images = []
    for message in body["messages"]:
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        if not blocks:
            raise Refused("messages: content must not be empty")
        for block in blocks:
            if block["type"] == "text" and not block["text"].strip():
                raise Refused("messages: text content blocks must contain non-whitespace text")
            if block["type"] == "tool_result":
                call = open_calls.pop(block["tool_use_id"], None)
                if call is None:
                    raise Refused(f"unexpected tool_use_id found in tool_result blocks: {block['tool_use_id']}")
                result = block.get("content", "")
                call.result = result if isinstance(result, str) else "".join(part["text"] for part in result)
            elif open_calls:
                raise Refused(f"tool_use ids were found without tool_result blocks immediately after: {', '.join(open_calls)}")
            if block["type"] == "image":
                images.append((block["source"]["media_type"], block["source"]["data"]))
        if message["role"] != "assistant":
            continue
        if made := [Call(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]:
            thoughts = [b for b in blocks if b["type"] == "thinking"]
            if thinking["type"] == "enabled" and not (thoughts and blocks[0]["type"] == "thinking"):
                raise Refused("Expected `thinking` or `redacted_thinking`, but found `tool_use`: when `thinking` is enabled, "
                              "an assistant message that calls tools must start with a thinking block")
            first = thoughts[0] if thoughts else {}
            rounds.append(Round(made, first.get("thinking"), first.get("signature")))
            open_calls = {call.id: call for call in made}
    if open_calls:
        raise Refused(f"tool_use ids were found without tool_result blocks immediately after: {', '.join(open_calls)}")
    shape = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Asked(
        model=body["model"],
        stream=bool(body.get("stream")),
        tools={t["name"]: t["input_schema"] for t in body.get("tools") or []},
        images=images,
        schema=shape.get("schema") and closed(shape["schema"]),
        prompt=json.dumps(body.get("system", ""), ensure_ascii=False),
        thinks=thinking["type"] != "disabled",
        rounds=rounds,
    )


def closed(schema: dict) -> dict:
    """The schema, if it is one that Anthropic can keep to."""
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise Refused("output_config.format.schema: for 'object' type, 'additionalProperties' must be explicitly set to false")
    for name, property in schema.get("properties", {}).items():
        if refused := {"minimum", "maximum", "minLength", "maxLength", "pattern"} & property.keys():
            raise Refused(f"output_config.format.schema: {name}: {', '.join(refused)} not supported")
        closed(property)
    return schema


def message(asked: Asked, content: list[dict], stop: str | None) -> dict:
    return {
        "id": "msg_01D4k2", "type": "message", "role": "assistant", "model": "claude-opus-5-5", "content": content,
        "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": 40, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 9},
    }


def blocks_of(asked: Asked, turn: agent.Turn) -> list[dict]:
    blocks = []
    if asked.thinks:
        blocks.append({"type": "thinking", "thinking": turn.thought, "signature": agent.signature(turn)})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    for i, (name, arguments) in enumerate(turn.calls):
        blocks.append({"type": "tool_use", "id": f"toolu_{len(asked.rounds)}_{i}", "name": name, "input": arguments})
    return blocks


def whole(asked: Asked, turn: agent.Turn) -> dict:
    return message(asked, blocks_of(asked, turn), "tool_use" if turn.calls else "end_turn")


def events(asked: Asked, turn: agent.Turn):
    """The turn as a stream, each call's input in two pieces."""
    yield event("message_start", message=message(asked, [], None))
    for index, block in enumerate(blocks_of(asked, turn)):
        match block["type"]:
            case "thinking":
                empty = {**block, "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": block["thinking"]},
                    {"type": "signature_delta", "signature": block["signature"]},
                ]
            case "text":
                empty = {**block, "text": ""}
                deltas = [{"type": "text_delta", "text": word} for word in re.findall(r"\S+\s*", block["text"])]
            case "tool_use":
                empty = {**block, "input": {}}
                written = json.dumps(block["input"])
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in (written[:5], written[5:])]
        yield event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    end = {"stop_reason": "tool_use" if turn.calls else "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=end, usage={"output_tokens": 9})
    yield event("message_stop")


def event(kind: str, **fields) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n"
