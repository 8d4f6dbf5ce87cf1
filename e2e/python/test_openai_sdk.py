"""The official OpenAI SDK for Python against the gateway's OpenAI surface. The demo provider answers."""

import asyncio
import json

import openai
import pydantic
import pytest

from gateway import Gateway

MODEL = "demo"
EMBEDDING_MODEL = "demo-embedding"
HELLO = [{"role": "user", "content": "Say hello to the world in a sentence or two."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str):
    # No retries, so that a test sees the first answer.
    with openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=0, timeout=30) as client:
        yield client


def test_chat_answers_with_text_and_usage(client: openai.OpenAI):
    completion = client.chat.completions.create(model=MODEL, messages=HELLO)
    choice = completion.choices[0]
    assert completion.object == "chat.completion"
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    assert completion.usage.prompt_tokens > 0
    assert completion.usage.completion_tokens > 0
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_every_answer_has_a_request_id_of_its_own(client: openai.OpenAI):
    ids = {client.chat.completions.create(model=MODEL, messages=HELLO)._request_id for _ in range(3)}
    assert len(ids) == 3 and None not in ids


def test_a_stream_comes_in_several_chunks_and_without_usage(client: openai.OpenAI):
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(texts) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({c.id for c in chunks}) == 1
    assert all(c.object == "chat.completion.chunk" for c in chunks)
    assert all(c.choices and c.usage is None for c in chunks), "usage came unasked"


def test_a_stream_ends_with_usage_where_it_is_asked_for(client: openai.OpenAI):
    chunks = list(client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}))
    *content, last = chunks
    assert last.choices == []
    assert last.usage.prompt_tokens > 0 and last.usage.completion_tokens > 0
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert all(c.usage is None for c in content)


def test_the_same_answer_comes_whole_and_streamed(client: openai.OpenAI):
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0)
    with client.chat.completions.stream(model=MODEL, messages=HELLO, temperature=0) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.choices[0].finish_reason == whole.choices[0].finish_reason


def test_a_stream_can_be_left(client: openai.OpenAI):
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert next(stream).id
    stream.close()
    assert stream.response.is_closed
    assert client.chat.completions.create(model=MODEL, messages=HELLO).choices


def test_a_tool_is_called_and_its_result_is_answered(client: openai.OpenAI):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], tool_choice="required")
    assert asked.choices[0].finish_reason == "tool_calls"
    (call,) = asked.choices[0].message.tool_calls
    assert call.id and call.type == "function" and call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)

    messages += [
        asked.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"celsius": 21})},
    ]
    answered = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert answered.choices[0].finish_reason == "stop"
    assert answered.choices[0].message.content


def test_a_streamed_tool_call_adds_up_to_valid_arguments(client: openai.OpenAI):
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[WEATHER], tool_choice="required",
    ) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


class Sighting(pydantic.BaseModel):
    animal: str
    count: int
    places: list[str]


def test_structured_output_is_parsed_into_the_model(client: openai.OpenAI):
    completion = client.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": "Two herons at the pond."}], response_format=Sighting)
    assert isinstance(completion.choices[0].message.parsed, Sighting)


def test_embeddings_are_the_same_as_floats_and_as_base64(client: openai.OpenAI):
    texts = ["a heron", "a pond"]
    # The SDK asks for base64 by itself and decodes it.
    packed = client.embeddings.create(model=EMBEDDING_MODEL, input=texts)
    floats = client.embeddings.create(model=EMBEDDING_MODEL, input=texts, encoding_format="float")
    assert packed.usage.prompt_tokens > 0
    assert [e.index for e in packed.data] == [0, 1]
    for a, b in zip(packed.data, floats.data, strict=True):
        assert len(a.embedding) > 0
        assert a.embedding == pytest.approx(b.embedding, abs=1e-6)
    assert packed.data[0].embedding != packed.data[1].embedding


def test_base64_embeddings_travel_as_text(client: openai.OpenAI):
    raw = client.embeddings.with_raw_response.create(model=EMBEDDING_MODEL, input="a heron", encoding_format="base64")
    assert isinstance(json.loads(raw.text)["data"][0]["embedding"], str)


def test_models_are_listed_with_a_chat_model_first(client: openai.OpenAI):
    models = list(client.models.list())
    ids = [m.id for m in models]
    assert {MODEL, EMBEDDING_MODEL} <= set(ids)
    assert client.chat.completions.create(model=ids[0], messages=HELLO).choices[0].message.content


def test_one_model_can_be_retrieved(client: openai.OpenAI):
    model = client.models.retrieve(MODEL)
    assert (model.id, model.object) == (MODEL, "model")


def flip_last_bit(key: str) -> str:
    return key[:-1] + format(int(key[-1], 16) ^ 1, "x")


@pytest.mark.parametrize("spoil", [
    pytest.param(lambda key: "sp_" + "0" * 64, id="unknown"),
    pytest.param(flip_last_bit, id="one bit off"),
    pytest.param(lambda key: key[:-1], id="too short"),
    pytest.param(lambda key: key.upper(), id="upper case"),
    pytest.param(lambda key: "sk-proj-abc", id="another service's"),
])
def test_a_wrong_key_raises_authentication_error(client: openai.OpenAI, key: str, spoil):
    with pytest.raises(openai.AuthenticationError) as raised:
        client.with_options(api_key=spoil(key)).chat.completions.create(model=MODEL, messages=HELLO)
    assert raised.value.status_code == 401
    assert raised.value.code == "invalid_api_key"


def test_an_unknown_model_raises_not_found_error(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize("body, param", [
    pytest.param({"messages": "hello"}, "messages", id="messages is text"),
    pytest.param({"messages": [7]}, "messages", id="a message is a number"),
    pytest.param({"temperature": "hot"}, "temperature", id="temperature is text"),
    pytest.param({"max_tokens": "many"}, "max_tokens", id="max_tokens is text"),
    pytest.param({"stream": "yes"}, "stream", id="stream is text"),
    pytest.param({"model": 7}, "model", id="model is a number"),
])
def test_a_field_of_the_wrong_type_raises_bad_request_error(client: openai.OpenAI, body: dict, param: str):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=MODEL, messages=HELLO, extra_body=body)
    assert raised.value.type == "invalid_request_error"
    assert param in (raised.value.param or raised.value.message)


def test_the_call_over_the_limit_raises_rate_limit_error(gateway: Gateway):
    client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.new_key(limit="2/1h"), max_retries=0)
    remaining = []
    for _ in range(2):
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
        remaining.append(raw.headers["x-ratelimit-remaining"])
    assert remaining == ["1", "0"]
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model=MODEL, messages=HELLO)
    assert raised.value.status_code == 429
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 3600
    assert raised.value.code == "rate_limit_exceeded"


def test_the_async_client_makes_many_calls_at_once(gateway: Gateway, key: str):
    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=key, max_retries=0, timeout=30) as client:

            async def one(number: int) -> str:
                stream = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": f"Repeat the number {number}."}], stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

            return await asyncio.gather(*(one(n) for n in range(20)))

    assert all(asyncio.run(run()))


def test_the_async_client_can_leave_a_stream(gateway: Gateway, key: str):
    async def run() -> str:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=key, max_retries=0, timeout=30) as client:
            async with await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
                async for _ in stream:
                    break
            completion = await client.chat.completions.create(model=MODEL, messages=HELLO)
            return completion.choices[0].message.content

    assert asyncio.run(run())
