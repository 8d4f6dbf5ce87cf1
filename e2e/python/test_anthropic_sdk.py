"""The official Anthropic SDK for Python against the gateway's Messages API, and both SDKs against a gateway whose provider
speaks it. The demo provider, whose own dialect is OpenAI's, answers behind all of them."""

import asyncio
import pathlib

import anthropic
import httpx
import openai
import pydantic
import pytest

from gateway import Gateway

MODEL = "demo"
HELLO = [{"role": "user", "content": "Say hello to the world in a sentence or two."}]
ASK = {"model": MODEL, "max_tokens": 200, "messages": HELLO}
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
IN_PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]


@pytest.fixture(scope="module")
def relay(start_gateway, gateway: Gateway, key: str) -> Gateway:
    """A gateway that asks the other one in Anthropic's dialect."""
    return start_gateway(pathlib.Path(__file__).parent / "relay.Caddyfile", {"UPSTREAM_URL": gateway.url, "UPSTREAM_KEY": key})


@pytest.fixture(scope="module", params=["translated", "passed on"])
def asked(request, gateway: Gateway) -> Gateway:
    """The gateway that the tests ask: one whose provider speaks OpenAI's dialect, and one whose speaks Anthropic's."""
    return gateway if request.param == "translated" else request.getfixturevalue("relay")


def client_of(gateway: Gateway, key: str) -> anthropic.Anthropic:
    # No retries, so that a test sees the first answer.
    return anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def client(asked: Gateway):
    with client_of(asked, asked.new_key()) as client:
        yield client


def test_a_message_has_text_and_usage(client: anthropic.Anthropic):
    message = client.messages.create(**ASK)
    assert message.type == "message" and message.role == "assistant" and message.id
    assert [block.type for block in message.content] == ["text"] and message.content[0].text
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    assert message._request_id


def test_a_stream_comes_in_events_and_ends_with_usage(client: anthropic.Anthropic):
    events = list(client.messages.create(**ASK, stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_delta") > 1
    (delta,) = [event for event in events if event.type == "message_delta"]
    assert delta.delta.stop_reason == "end_turn" and delta.usage.output_tokens > 0


def test_the_same_message_comes_whole_and_streamed(client: anthropic.Anthropic):
    whole = client.messages.create(**ASK, extra_body={"temperature": 0})
    with client.messages.stream(**ASK, extra_body={"temperature": 0}) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens


def test_a_cached_message_is_replayed_as_a_stream(client: anthropic.Anthropic):
    ask = {"model": MODEL, "max_tokens": 200, "extra_body": {"temperature": 0}, "messages": [{"role": "user", "content": "What is kept?"}]}
    first = client.messages.with_raw_response.create(**ask)
    again = client.messages.with_raw_response.create(**ask)
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("MISS", "HIT")
    assert again.parse() == first.parse()
    with client.messages.stream(**ask) as stream:
        assert stream.get_final_message().content[0].text == first.parse().content[0].text
        assert stream.response.headers["x-cache"] == "HIT"


def test_a_tool_is_called_and_its_result_is_answered(client: anthropic.Anthropic):
    ask = {"model": MODEL, "max_tokens": 200, "tools": [WEATHER]}
    called = client.messages.create(**ask, messages=IN_PARIS, tool_choice={"type": "any"})
    assert called.stop_reason == "tool_use"
    (use,) = [block for block in called.content if block.type == "tool_use"]
    assert use.name == "get_weather" and isinstance(use.input["city"], str)
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}]}
    said = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in called.content]}
    answered = client.messages.create(**ask, messages=[*IN_PARIS, said, result])
    assert answered.stop_reason == "end_turn" and answered.content[0].text


def test_a_streamed_tool_call_adds_up_to_valid_input(client: anthropic.Anthropic):
    with client.messages.stream(
        model=MODEL, max_tokens=200, messages=IN_PARIS, tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"},
    ) as stream:
        message = stream.get_final_message()
    (use,) = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use" and isinstance(use.input["city"], str)


class Sighting(pydantic.BaseModel):
    species: str
    count: int


def test_structured_output_is_parsed_into_the_model(client: anthropic.Anthropic):
    message = client.messages.parse(
        model=MODEL, max_tokens=200, messages=[{"role": "user", "content": "Three herons."}], output_format=Sighting)
    assert isinstance(message.parsed_output, Sighting)


def test_tokens_are_counted(client: anthropic.Anthropic):
    short = client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    long = client.messages.count_tokens(model=MODEL, messages=HELLO * 9).input_tokens
    assert 0 < short < long


def test_models_are_listed_and_retrieved(client: anthropic.Anthropic):
    models = list(client.models.list())
    assert models[0].id == MODEL and models[0].type == "model"
    assert client.models.retrieve(MODEL).id == MODEL


def test_a_wrong_key_raises_authentication_error(asked: Gateway):
    with client_of(asked, "sp_" + "0" * 64) as client, pytest.raises(anthropic.AuthenticationError) as raised:
        client.messages.create(**ASK)
    assert raised.value.body["error"]["type"] == "authentication_error"


def test_a_bearer_token_is_a_key_too(asked: Gateway):
    with anthropic.Anthropic(base_url=asked.url, auth_token=asked.new_key(), max_retries=0) as client:
        assert client.messages.create(**ASK).content


def test_an_unknown_model_raises_not_found_error(client: anthropic.Anthropic):
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(**{**ASK, "model": "no-such-model"})
    assert raised.value.body["error"]["type"] == "not_found_error"
    assert raised.value.body["request_id"] == raised.value.response.headers["request-id"]


def test_a_message_without_messages_raises_bad_request_error(client: anthropic.Anthropic):
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**{**ASK, "messages": "hello"})
    assert "messages" in raised.value.body["error"]["message"]


def test_what_the_providers_dialect_lacks_raises_bad_request_error(gateway: Gateway, key: str):
    with client_of(gateway, key) as client, pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**ASK, extra_body={"top_k": 5})
    assert "top_k" in raised.value.body["error"]["message"]


def test_the_call_over_the_limit_raises_rate_limit_error(asked: Gateway):
    with client_of(asked, asked.new_key("1/1h")) as client:
        client.messages.create(**ASK)
        with pytest.raises(anthropic.RateLimitError) as raised:
            client.messages.create(**ASK)
    assert raised.value.body["error"]["type"] == "rate_limit_error"
    assert int(raised.value.response.headers["retry-after"]) > 0


def test_a_stream_can_be_left(client: anthropic.Anthropic):
    with client.messages.create(**ASK, stream=True) as stream:
        assert next(iter(stream)).type == "message_start"
    assert client.messages.create(**ASK).content


def test_the_async_client_makes_many_calls_at_once(asked: Gateway):
    async def ask() -> list:
        async with anthropic.AsyncAnthropic(base_url=asked.url, api_key=asked.new_key(), max_retries=0) as client:
            return await asyncio.gather(*(client.messages.create(**ASK) for _ in range(20)))

    assert all(message.content[0].text for message in asyncio.run(ask()))


@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_is_answered_by_anthropics_provider(relay: Gateway, stream: bool):
    ask = {"model": MODEL, "messages": HELLO}
    with openai.OpenAI(base_url=relay.base_url, api_key=relay.new_key(), max_retries=0) as client:
        if not stream:
            completion = client.chat.completions.create(**ask)
            assert completion.choices[0].message.content and completion.choices[0].finish_reason == "stop"
            assert completion.usage.total_tokens > 0
            return
        chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 1
    assert chunks[-1].usage.completion_tokens > 0


def test_a_structured_prompt_is_answered_by_anthropics_provider(relay: Gateway):
    answer = httpx.post(
        relay.url + "/v1/analyze/", headers={"X-API-Key": relay.new_key()}, timeout=30,
        json={"prompt": "Ada, 36", "llm_provider": "claude", "schema_definition": {
            "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["llm_provider"], body["model_name"], body["validated"]) == ("anthropic", MODEL, True)
    assert body["tokens_used"] > 0 and isinstance(body["data"]["name"], str)
