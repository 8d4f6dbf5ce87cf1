"""The structured prompt surface, /v1/analyze/, over plain HTTP as CONTRACT.md has it. The demo provider answers."""

import datetime
import statistics
import uuid

import httpx
import jsonschema
import pytest

from gateway import Gateway
from prompts import PROMPTS

ANALYZE = "/v1/analyze/"
DATA_FIELDS = {"intent", "subject", "entities", "output_format", "original_language", "confidence_score"}
ANSWER_FIELDS = {
    "request_id", "data", "llm_provider", "model_name", "tokens_used", "latency_ms", "cached", "validated", "timestamp",
}
LARGEST_BODY = 32 << 20

# What the smallest max_tokens has room for.
FEW_TOKENS = {
    "type": "object",
    "properties": {"spam": {"type": "boolean"}},
    "required": ["spam"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str):
    with httpx.Client(base_url=gateway.url, headers={"X-API-Key": key}, timeout=30) as client:
        yield client


def unlike_any_other(prompt: str) -> str:
    """A prompt that no earlier test can have put into the cache."""
    return f"{prompt} ({uuid.uuid4()})"


def assert_error(response: httpx.Response, status: int, kind: str) -> dict:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error", "request_id", "timestamp"}
    assert body["error"]["type"] == kind
    assert body["error"]["message"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body["error"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_becomes_checked_data(client: httpx.Client, prompt: str):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    response = client.post(ANALYZE, json={"prompt": unlike_any_other(prompt)})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert set(answer) == ANSWER_FIELDS
    assert answer["request_id"] == response.headers["x-request-id"]
    assert answer["llm_provider"] == "demo"
    assert answer["model_name"]
    assert answer["tokens_used"] > 0
    assert isinstance(answer["latency_ms"], int) and answer["latency_ms"] >= 0
    assert answer["cached"] is False
    assert answer["validated"] is True
    stamp = datetime.datetime.fromisoformat(answer["timestamp"].replace("Z", "+00:00"))
    assert stamp.utcoffset() == datetime.timedelta(0)
    assert before <= stamp <= datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)

    data = answer["data"]
    assert set(data) == DATA_FIELDS
    assert data["intent"] and isinstance(data["intent"], str)
    assert data["subject"] and isinstance(data["subject"], str)
    assert isinstance(data["entities"], dict)
    assert data["output_format"] == "json"
    assert len(data["original_language"]) == 2
    assert 0 <= data["confidence_score"] <= 1


def test_the_second_call_comes_from_the_cache_within_a_millisecond(client: httpx.Client):
    request = {"prompt": unlike_any_other(PROMPTS[0])}
    first = client.post(ANALYZE, json=request)
    assert (first.json()["cached"], first.headers["x-cache"]) == (False, "MISS")
    latencies = []
    for _ in range(15):
        again = client.post(ANALYZE, json=request)
        answer = again.json()
        assert (answer["cached"], again.headers["x-cache"]) == (True, "HIT")
        assert "hit" in again.headers["cache-status"]
        assert answer["data"] == first.json()["data"]
        assert answer["tokens_used"] == 0
        assert answer["request_id"] != first.json()["request_id"]
        latencies.append(answer["latency_ms"])
    assert statistics.median(latencies) <= 1


def test_metadata_is_no_part_of_what_is_cached(client: httpx.Client):
    prompt = unlike_any_other(PROMPTS[1])
    cached = [client.post(ANALYZE, json={"prompt": prompt, "metadata": {"run": n}}).json()["cached"] for n in range(2)]
    assert cached == [False, True]


@pytest.mark.parametrize("change", [
    {"temperature": 0.7}, {"max_tokens": 500}, {"output_format": "xml"},
    {"schema_definition": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
], ids=lambda change: next(iter(change)))
def test_another_question_is_another_answer(client: httpx.Client, change: dict):
    request = {"prompt": unlike_any_other(PROMPTS[1])}
    assert client.post(ANALYZE, json=request).status_code == 200
    assert client.post(ANALYZE, json=request | change).json()["cached"] is False


def test_an_answer_is_not_shared_between_keys(client: httpx.Client, gateway: Gateway):
    request = {"prompt": unlike_any_other(PROMPTS[2])}
    assert client.post(ANALYZE, json=request).json()["cached"] is False
    other = client.post(ANALYZE, json=request, headers={"X-API-Key": gateway.new_key()})
    assert other.json()["cached"] is False


def test_a_ttl_of_zero_neither_reads_nor_writes_the_cache(client: httpx.Client):
    request = {"prompt": unlike_any_other(PROMPTS[3])}
    unkept = request | {"cache_ttl": 0}
    assert [client.post(ANALYZE, json=unkept).json()["cached"] for _ in range(2)] == [False, False]
    assert client.post(ANALYZE, json=request).json()["cached"] is False, "an answer with a TTL of zero was kept"
    assert client.post(ANALYZE, json=request).json()["cached"] is True
    assert client.post(ANALYZE, json=unkept).json()["cached"] is False, "a call with a TTL of zero read the cache"


@pytest.mark.parametrize("path", ["/v1/analyze", "/v1/analyze/"])
def test_the_path_may_end_with_a_slash_or_not(client: httpx.Client, path: str):
    assert client.post(path, json={"prompt": PROMPTS[0]}).status_code == 200


@pytest.mark.parametrize("name", ["auto", "demo", "gemini", "claude", "gpt-4"])
def test_demo_stands_in_for_every_alias(client: httpx.Client, name: str):
    response = client.post(ANALYZE, json={"prompt": PROMPTS[0], "llm_provider": name})
    assert response.status_code == 200, response.text
    assert response.json()["llm_provider"] == "demo"


@pytest.mark.parametrize("output_format", ["json", "xml"])
def test_data_names_the_output_format(client: httpx.Client, output_format: str):
    response = client.post(ANALYZE, json={"prompt": PROMPTS[0], "output_format": output_format})
    assert response.status_code == 200, response.text
    assert response.json()["data"]["output_format"] == output_format


def test_data_satisfies_the_clients_schema(client: httpx.Client):
    schema = {
        "type": "object",
        "properties": {
            "sentiment": {"type": "string", "enum": ["positive", "negative", "neutral"]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "words": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "source": {"type": "object", "properties": {"lines": {"type": "integer"}}, "required": ["lines"]},
        },
        "required": ["sentiment", "score", "words", "source"],
        "additionalProperties": False,
    }
    response = client.post(ANALYZE, json={"prompt": unlike_any_other(PROMPTS[1]), "schema_definition": schema})
    assert response.status_code == 200, response.text
    assert response.json()["validated"] is True
    jsonschema.validate(response.json()["data"], schema)


def test_the_models_text_comes_only_where_it_is_asked_for(client: httpx.Client):
    request = {"prompt": PROMPTS[0]}
    assert "raw_output" not in client.post(ANALYZE, json=request).json()
    assert isinstance(client.post(ANALYZE, params={"include_raw": "true"}, json=request).json()["raw_output"], str)


def test_providers_tell_their_state(client: httpx.Client):
    response = client.get("/v1/analyze/providers")
    assert response.status_code == 200, response.text
    (provider,) = response.json()["providers"]
    assert {"name", "status", "default", "models"} <= set(provider)
    assert provider["name"] == "demo"
    assert provider["status"] == "available"
    assert provider["default"] is True
    assert "demo" in provider["models"]


def test_cache_stats_count_hits_and_misses(client: httpx.Client):
    def stats() -> dict:
        response = client.get("/v1/analyze/cache/stats")
        assert response.status_code == 200, response.text
        return response.json()

    before = stats()
    request = {"prompt": unlike_any_other(PROMPTS[4])}
    for _ in range(3):
        client.post(ANALYZE, json=request)
    after = stats()
    assert set(after) == {
        "total_entries", "hits", "misses", "hit_rate", "memory_mb", "avg_hit_latency_ms", "avg_miss_latency_ms",
    }
    assert after["misses"] - before["misses"] == 1
    assert after["hits"] - before["hits"] == 2
    assert after["total_entries"] > 0
    assert after["memory_mb"] >= 0
    assert 0 < after["hit_rate"] <= 1


def test_a_request_id_is_the_clients_own_or_a_fresh_one(client: httpx.Client):
    own = client.post(ANALYZE, json={"prompt": PROMPTS[0]}, headers={"X-Request-Id": "e2e-4711"})
    assert own.headers["x-request-id"] == own.json()["request_id"] == "e2e-4711"
    unfit = client.post(ANALYZE, json={"prompt": PROMPTS[0]}, headers={"X-Request-Id": "x" * 5000})
    assert uuid.UUID(unfit.headers["x-request-id"])


@pytest.mark.parametrize("method, path", [
    ("POST", "/v1/analyze/"), ("GET", "/v1/analyze/providers"), ("GET", "/v1/analyze/cache/stats"),
])
@pytest.mark.parametrize("headers", [
    {}, {"X-API-Key": "sp_" + "0" * 64}, {"X-API-Key": "nonsense"}, {"Authorization": "Bearer sp_" + "0" * 64},
], ids=["none", "unknown", "malformed", "unknown bearer"])
def test_a_call_without_a_valid_key_is_401(gateway: Gateway, method: str, path: str, headers: dict):
    body = {"prompt": "x"} if method == "POST" else None
    response = httpx.request(method, gateway.url + path, headers=headers, json=body)
    assert_error(response, 401, "authentication_error")


def test_a_key_may_come_as_a_bearer_token(gateway: Gateway, key: str):
    bearer = {"Authorization": f"Bearer {key}"}
    response = httpx.post(gateway.url + ANALYZE, headers=bearer, json={"prompt": PROMPTS[0]})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("body", ["", "{", '{"prompt":', "[1,", "nul", '{"prompt":"a"} trailing'])
def test_a_body_that_does_not_parse_is_400(client: httpx.Client, body: str):
    response = client.post(ANALYZE, content=body, headers={"Content-Type": "application/json"})
    assert_error(response, 400, "invalid_json")


@pytest.mark.parametrize("change, field", [
    pytest.param({"prompt": None}, "prompt", id="no prompt"),
    pytest.param({"prompt": ""}, "prompt", id="empty prompt"),
    pytest.param({"prompt": " \n\t "}, "prompt", id="blank prompt"),
    pytest.param({"prompt": "a" * 10_001}, "prompt", id="long prompt"),
    pytest.param({"prompt": 7}, "prompt", id="prompt is a number"),
    pytest.param({"llm_provider": "no-such-provider"}, "llm_provider", id="unknown provider"),
    pytest.param({"llm_provider": 7}, "llm_provider", id="provider is a number"),
    pytest.param({"output_format": "yaml"}, "output_format", id="unknown format"),
    pytest.param({"schema_definition": "string"}, "schema_definition", id="schema is text"),
    pytest.param({"schema_definition": {"type": "strange"}}, "schema_definition", id="schema is none"),
    pytest.param({"temperature": 2.1}, "temperature", id="hot"),
    pytest.param({"temperature": -0.1}, "temperature", id="cold"),
    pytest.param({"temperature": "hot"}, "temperature", id="temperature is text"),
    pytest.param({"max_tokens": 49}, "max_tokens", id="few tokens"),
    pytest.param({"max_tokens": 8001}, "max_tokens", id="many tokens"),
    pytest.param({"max_tokens": 100.5}, "max_tokens", id="broken tokens"),
    pytest.param({"cache_ttl": -1}, "cache_ttl", id="negative TTL"),
    pytest.param({"cache_ttl": 86_401}, "cache_ttl", id="long TTL"),
    pytest.param({"metadata": [1]}, "metadata", id="metadata is a list"),
])
def test_a_field_that_breaks_its_rule_is_422_and_named(client: httpx.Client, change: dict, field: str):
    request = {"prompt": PROMPTS[0]} | change
    if request["prompt"] is None:
        del request["prompt"]
    assert assert_error(client.post(ANALYZE, json=request), 422, "validation_error")["field"] == field


@pytest.mark.parametrize("change", [
    {"prompt": "a" * 10_000}, {"prompt": " " * 200 + "é" * 10_000 + " " * 200},
    {"temperature": 0}, {"temperature": 2.0}, {"max_tokens": 50, "schema_definition": FEW_TOKENS}, {"max_tokens": 8000},
    {"cache_ttl": 86_400}, {"metadata": {"a": [1, {"b": None}]}},
], ids=["prompt", "trimmed prompt", "cold", "hot", "few tokens", "many tokens", "TTL", "metadata"])
def test_a_field_at_its_bound_is_taken(client: httpx.Client, change: dict):
    response = client.post(ANALYZE, json={"prompt": PROMPTS[0]} | change)
    assert response.status_code == 200, response.text


def test_an_unknown_path_is_404(client: httpx.Client):
    assert_error(client.get("/v1/analyze/nothing-here"), 404, "not_found")


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/analyze/"), ("DELETE", "/v1/analyze/"), ("POST", "/v1/analyze/providers"),
])
def test_a_wrong_method_is_405(client: httpx.Client, method: str, path: str):
    assert_error(client.request(method, path), 405, "method_not_allowed")


def test_a_body_over_32_mib_is_413(client: httpx.Client):
    body = b'{"prompt":"' + b"a" * LARGEST_BODY + b'"}'
    response = client.post(ANALYZE, content=body, headers={"Content-Type": "application/json"})
    assert_error(response, 413, "request_too_large")


def test_the_call_over_the_limit_is_429_and_says_when_to_come_again(client: httpx.Client, gateway: Gateway):
    headers = {"X-API-Key": gateway.new_key(limit="2/1h")}
    for remaining in ("1", "0"):
        response = client.post(ANALYZE, json={"prompt": PROMPTS[0]}, headers=headers)
        assert response.status_code == 200, response.text
        assert response.headers["x-ratelimit-limit"] == "2"
        assert response.headers["x-ratelimit-remaining"] == remaining
        assert int(response.headers["x-ratelimit-reset"]) > 0
    refused = client.post(ANALYZE, json={"prompt": PROMPTS[0]}, headers=headers)
    details = assert_error(refused, 429, "rate_limit_exceeded")["details"]
    assert {"limit", "remaining", "reset_at"} <= set(details)
    assert (details["limit"], details["remaining"]) == (2, 0)
    assert 1 <= int(refused.headers["retry-after"]) <= 3600
