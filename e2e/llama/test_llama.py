"""The gateway before a real inference server that nobody here wrote: llama.cpp's, from llama-cpp-python.

The model is the tiny one of make_gguf.py, whose answers mean nothing. So these tests look at shape, streaming, usage
and validity, never at sense.
"""

import dataclasses
import pathlib
import secrets
import subprocess
import sys
import time

import httpx
import jsonschema
import openai
import pydantic
import pytest

from gateway import Gateway, await_ok, free_port
from prompts import PROMPTS

HERE = pathlib.Path(__file__).resolve().parent
MODEL = "tiny"
END_OF_TEXT = "2"  # the model's token that ends an answer
HELLO = [{"role": "user", "content": "Say hello."}]

# Asks the gateway's cache to stay out, so that every answer is the server's own.
UNCACHED = {"Cache-Control": "no-store"}

SCHEMA = {
    "type": "object",
    "properties": {
        "sentiment": {"type": "string", "enum": ["positive", "negative", "neutral"]},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "words": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "source": {
            "type": "object",
            "properties": {"lines": {"type": "integer"}, "author": {"type": ["string", "null"]}},
            "required": ["lines", "author"],
            "additionalProperties": False,
        },
    },
    "required": ["sentiment", "score", "words", "source"],
    "additionalProperties": False,
}


@dataclasses.dataclass
class Llama:
    """A running llama.cpp server."""

    port: int
    api_key: str
    log: pathlib.Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    directory = tmp_path_factory.mktemp("llama")
    model = directory / "tiny.gguf"
    subprocess.run([sys.executable, HERE / "make_gguf.py", model], check=True)
    llama = Llama(free_port(), "llama-" + secrets.token_hex(16), directory / "server.log")
    command = [
        sys.executable, "-m", "llama_cpp.server", "--model", model, "--model_alias", MODEL,
        "--host", "127.0.0.1", "--port", str(llama.port), "--api_key", llama.api_key,
        "--n_ctx", "16384", "--n_threads", "1", "--verbose", "false",
        # Else the server cuts a stream off, without a finish reason, as soon as another call comes.
        "--interrupt_requests", "false",
    ]
    # PYTHONUNBUFFERED, so that what the server logs can be seen while it runs.
    with llama.log.open("wb") as log, subprocess.Popen(
        command, cwd=directory, env={"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
    ) as process:
        try:
            await_ok(llama.url + "/models", process, llama.log, {"Authorization": f"Bearer {llama.api_key}"})
            yield llama
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def gateway(start_gateway, llama: Llama) -> Gateway:
    """Stands in for the suite-wide gateway."""
    return start_gateway(HERE / "llama.Caddyfile", {"LLAMA_PORT": str(llama.port), "LLAMA_API_KEY": llama.api_key})


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str):
    # No retries, so that a test sees the first answer.
    with openai.OpenAI(
        base_url=gateway.base_url, api_key=key, max_retries=0, timeout=60, default_headers=UNCACHED,
    ) as client:
        yield client


@pytest.fixture(scope="module")
def analyze(gateway: Gateway, key: str):
    """Posts to /v1/analyze/."""
    with httpx.Client(base_url=gateway.url, headers={"X-API-Key": key}, timeout=60) as client:
        yield lambda **request: client.post("/v1/analyze/", json=request)


def test_chat_answers_with_text_and_the_servers_usage(client: openai.OpenAI):
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, max_tokens=200)
    assert raw.headers["x-llm-provider"] == "llama"
    completion = raw.parse()
    choice = completion.choices[0]
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    # The model's tokens are bytes, so the server's count is known: the end of the text is not counted.
    assert completion.usage.completion_tokens == len(choice.message.content.encode())
    assert completion.usage.prompt_tokens > len(HELLO[0]["content"])
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_max_tokens_reaches_the_server(client: openai.OpenAI):
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=3)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 3


def test_a_stream_comes_in_several_chunks_and_without_usage(client: openai.OpenAI):
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=200, stream=True))
    assert sum(bool(c.choices[0].delta.content) for c in chunks) >= 5
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)


def test_a_stream_ends_with_usage_though_the_server_sends_none(client: openai.OpenAI):
    *content, last = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=200, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.prompt_tokens > 0
    assert last.usage.completion_tokens > 0
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert content[-1].choices[0].finish_reason == "stop"


def test_the_same_answer_comes_whole_and_streamed(client: openai.OpenAI):
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=200, temperature=0)
    with client.chat.completions.stream(model=MODEL, messages=HELLO, max_tokens=200, temperature=0) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.choices[0].finish_reason == whole.choices[0].finish_reason


def endless(client: openai.OpenAI, tokens: int) -> openai.Stream:
    """A stream that goes on for so many tokens, since the model may not end it."""
    return client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, max_tokens=tokens, logit_bias={END_OF_TEXT: -100})


def test_chunks_arrive_while_the_server_is_still_at_work(client: openai.OpenAI):
    begun = time.monotonic()
    arrivals = [time.monotonic() for chunk in endless(client, 1500) if chunk.choices[0].delta.content]
    assert len(arrivals) > 1000
    assert arrivals[0] - begun < (arrivals[-1] - begun) / 2


def test_a_client_that_leaves_stops_the_server(client: openai.OpenAI, llama: Llama):
    departures = llama.log.read_text().count("Disconnected from client")
    stream = endless(client, 15_000)
    for _ in range(5):
        next(stream)
    stream.close()
    deadline = time.monotonic() + 10
    while llama.log.read_text().count("Disconnected from client") == departures:
        assert time.monotonic() < deadline, "the server goes on for nobody"
        time.sleep(0.02)  # between two looks into the log: there is nothing to wait on
    assert client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=50).choices


def test_a_tool_call_has_arguments_that_fit_the_tool(client: openai.OpenAI):
    completion = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=500,
        tools=[{"type": "function", "function": {"name": "rate", "description": "Rates.", "parameters": SCHEMA}}],
        tool_choice={"type": "function", "function": {"name": "rate"}},
    )
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.name == "rate"
    jsonschema.validate(pydantic.TypeAdapter(dict).validate_json(call.function.arguments), SCHEMA)


class Sighting(pydantic.BaseModel):
    animal: str
    count: int
    places: list[str]


def test_a_json_schema_reaches_a_server_that_names_it_otherwise(client: openai.OpenAI):
    # The server answers 500 to OpenAI's {"type": "json_schema"}: it wants {"type": "json_object", "schema": …}.
    completion = client.chat.completions.parse(model=MODEL, messages=HELLO, max_tokens=500, response_format=Sighting)
    assert isinstance(completion.choices[0].message.parsed, Sighting)


def test_the_servers_models_are_listed(client: openai.OpenAI):
    assert MODEL in [m.id for m in client.models.list()]


def test_the_server_knows_only_the_gateways_credential(llama: Llama, key: str):
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=llama.url, api_key=key, max_retries=0).models.list()


def test_a_credential_that_the_server_refuses_is_not_the_clients_fault(start_gateway, llama: Llama):
    gateway = start_gateway(HERE / "llama.Caddyfile", {"LLAMA_PORT": str(llama.port), "LLAMA_API_KEY": "wrong"})
    client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.new_key(), max_retries=0, timeout=30)
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=5)
    assert raised.value.status_code == 502
    assert "Invalid API key" not in raised.value.response.text


def assert_analyzed(response: httpx.Response) -> dict:
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["llm_provider"] == "llama"
    assert answer["model_name"] == MODEL
    assert answer["validated"] is True
    assert answer["tokens_used"] > 0
    assert answer["cached"] is False
    return answer["data"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_becomes_checked_data(analyze, prompt: str):
    data = assert_analyzed(analyze(prompt=prompt, cache_ttl=0))
    assert isinstance(data["intent"], str) and isinstance(data["subject"], str)
    assert isinstance(data["entities"], dict)
    assert data["output_format"] == "json"
    assert len(data["original_language"]) == 2
    assert 0 <= data["confidence_score"] <= 1


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_becomes_data_of_the_clients_schema(analyze, prompt: str):
    data = assert_analyzed(analyze(prompt=prompt, llm_provider="llama", schema_definition=SCHEMA, cache_ttl=0))
    jsonschema.validate(data, SCHEMA)


def test_the_second_call_does_not_reach_the_server(analyze, llama: Llama):
    request = {"prompt": PROMPTS[0], "metadata": {"test": "cache"}}
    first = analyze(**request)
    asked = llama.log.read_text().count("POST /v1/chat/completions")
    second = analyze(**request)
    assert second.json()["cached"] is True
    assert second.json()["data"] == first.json()["data"]
    assert llama.log.read_text().count("POST /v1/chat/completions") == asked
