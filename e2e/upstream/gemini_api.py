"""Google's generateContent and streamGenerateContent, as a server has them."""

import base64
import json
import re

import agent
from asked import Asked, Call, Refused, Round, known, present

NAME = "gemini"
PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+):(generateContent|streamGenerateContent)")

FIELDS = {"cachedContent", "contents", "generationConfig", "safetySettings", "serviceTier", "store", "systemInstruction", "toolConfig", "tools"}
CONFIG_FIELDS = {
    "candidateCount", "enableEnhancedCivicAnswers", "frequencyPenalty", "imageConfig", "logprobs", "maxOutputTokens", "mediaResolution",
    "presencePenalty", "responseJsonSchema", "responseLogprobs", "responseMimeType", "responseModalities",
    "responseSchema", "seed", "speechConfig", "stopSequences", "temperature", "thinkingConfig", "topK", "topP",
}
ERRORS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}
# What Google documents for a call that another model made, or whose signature was lost: the words, or their base64.
SKIP = "skip_thought_signature_validator"
SKIPS = {SKIP, base64.b64encode(SKIP.encode()).decode()}


def credential(headers) -> str | None:
    return headers.get("X-Goog-Api-Key")


def error(status: int, message: str) -> dict:
    return {"error": {"code": status, "message": message, "status": ERRORS.get(status, "UNKNOWN")}}


# Below these, names are the client's own.
OPAQUE = {"args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "responseSchema"}


def camel(value):
    """The value with its fields' names in one of the two spellings that Google takes."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    spelled = {re.sub(r"_([a-z])", lambda m: m[1].upper(), name): under for name, under in value.items()}
    return {name: under if name in OPAQUE else camel(under) for name, under in spelled.items()}


def read(path: re.Match, query: dict, headers, body: dict) -> Asked:
    body = camel(body)
    model, method = path.groups()
    stream = method == "streamGenerateContent"
    if stream and query.get("alt") != ["sse"]:
        raise Refused("only alt=sse is spoken here")
    known(body, FIELDS)
    present(body, "contents")
    config = body.get("generationConfig") or {}
    known(config, CONFIG_FIELDS, "generationConfig")
    rounds: list[Round] = []
    waiting: list[Call] = []
    images = []
    for content in body["contents"]:
        parts = content.get("parts") or []
        if not parts:
            raise Refused("contents: parts must not be empty")
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if len(answers) != len(waiting):
            raise Refused("Please ensure that the number of function response parts is equal to the number of function call "
                          f"parts of the function call turn: {len(answers)} for {len(waiting)}")
        for answer in answers:
            call = next((c for c in waiting if c.name == answer["name"] and answer.get("id") in (None, c.id)), None)
            if call is None:
                raise Refused(f"function response {answer.get('id')} of {answer['name']} is for no call")
            waiting.remove(call)
            if not isinstance(answer["response"], dict):
                raise Refused("functionResponse.response must be an object")
            call.result = json.dumps(answer["response"], ensure_ascii=False)
        images += [(p["inlineData"]["mimeType"], p["inlineData"]["data"]) for p in parts if "inlineData" in p]
        made = []
        for part in parts:
            if "functionCall" in part:
                f = part["functionCall"]
                made.append(Call(f.get("id"), f["name"], f.get("args") or {}, part.get("thoughtSignature")))
        if made:
            if not made[0].signature:
                raise Refused(f"Function call `{made[0].name}` is missing a thought_signature in functionCall parts")
            if made[0].signature in SKIPS:
                made[0].signature = None
            rounds.append(Round(made))
            waiting = list(made)
    if waiting:
        raise Refused("Please ensure that each function call is followed by its function response")
    return Asked(
        model=model,
        stream=stream,
        tools={
            f["name"]: f.get("parametersJsonSchema") or f.get("parameters") or {}
            for tool in body.get("tools") or [] for f in tool.get("functionDeclarations") or []
        },
        images=images,
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        prompt="".join(part["text"] for part in (body.get("systemInstruction") or {}).get("parts", [])),
        thinks=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
        rounds=rounds,
    )


def parts_of(asked: Asked, turn: agent.Turn) -> list[dict]:
    parts = []
    if asked.thinks:
        parts.append({"text": turn.thought, "thought": True})
    if turn.text:
        parts.append({"text": turn.text})
    for i, (name, arguments) in enumerate(turn.calls):
        call = {"name": name, "args": arguments}
        if asked.model != "agent_without_ids":
            call["id"] = f"fc_{len(asked.rounds)}_{i}"
        signed = {"thoughtSignature": agent.signature(turn)} if i == 0 else {}
        parts.append({"functionCall": call, **signed})
    return parts


def answer(parts: list[dict], finish: str | None) -> dict:
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate], "modelVersion": "gemini-3-flash", "responseId": "D4k2aM-hE7S",
        "usageMetadata": {"promptTokenCount": 40, "candidatesTokenCount": 9, "totalTokenCount": 49},
    }


def whole(asked: Asked, turn: agent.Turn) -> dict:
    return answer(parts_of(asked, turn), "STOP")


def events(asked: Asked, turn: agent.Turn):
    """The turn as a stream, a part in each event."""
    for part in parts_of(asked, turn):
        yield f"data: {json.dumps(answer([part], None), ensure_ascii=False)}\r\n\r\n"
    yield f"data: {json.dumps(answer([{'text': ''}], 'STOP'), ensure_ascii=False)}\r\n\r\n"
