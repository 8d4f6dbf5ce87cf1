"""The official OpenAI SDK for Python against the gateway's Responses API: translated for the demo provider, which speaks chat
completions, and for a provider of Anthropic's dialect, and passed to a provider that has the API itself."""

import asyncio
import json
import pathlib

import openai
import pydantic
import pytest

from gateway import Gateway

MODEL = "demo"
HELLO = "Say hello to the world in a sentence or two."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture(scope="module", params=["chat completions", "Anthropic's API", "the Responses API"])
def way(request, start_gateway, gateway: Gateway, key: str) -> Gateway:
    """A gateway by what its provider speaks."""
    if request.param == "chat completions":
        return gateway
    caddyfile = "relay.Caddyfile" if request.param == "Anthropic's API" else "responses.Caddyfile"
    return start_gateway(pathlib.Path(__file__).parent / caddyfile, {"UPSTREAM_URL": gateway.url, "UPSTREAM_KEY": key})


@pytest.fixture(scope="module")
def client(way: Gateway):
    # No retries, so that a test sees the first answer.
    with openai.OpenAI(base_url=way.base_url, api_key=way.new_key(), max_retries=0, timeout=30) as client:
        yield client


def test_a_response_has_text_and_usage(client: openai.OpenAI):
    response = client.responses.create(model=MODEL, input=HELLO, instructions="Be brief.", metadata={"a": "b"})
    assert response.object == "response" and response.status == "completed" and response.error is None
    assert response.id.startswith("resp_") and response.created_at > 0
    assert response.output_text
    assert response.instructions == "Be brief." and response.metadata == {"a": "b"}
    assert response.usage.input_tokens > 0 and response.usage.output_tokens > 0
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_the_same_answer_comes_whole_and_streamed(client: openai.OpenAI):
    whole = client.responses.create(model=MODEL, input=HELLO, temperature=0)
    with client.responses.stream(model=MODEL, input=HELLO, temperature=0) as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert len(texts) > 1 and "".join(texts) == final.output_text == whole.output_text
    assert final.status == "completed" and final.usage.total_tokens == whole.usage.total_tokens


def test_events_are_numbered_and_in_order(client: openai.OpenAI):
    events = list(client.responses.create(model=MODEL, input=HELLO, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]


def test_a_cached_answer_is_replayed_as_a_stream(client: openai.OpenAI):
    asked = {"model": MODEL, "input": "What comes back from the cache?", "temperature": 0}
    whole = client.responses.create(**asked)
    hit = client.responses.with_raw_response.create(**asked, stream=True)
    assert hit.headers["x-cache"] == "HIT"
    events = list(hit.parse())
    assert events[-1].response.output_text == whole.output_text and events[-1].response.id == whole.id


def test_a_bound_on_tokens_leaves_a_response_incomplete(client: openai.OpenAI):
    response = client.responses.create(model=MODEL, input=HELLO, max_output_tokens=16)
    with client.responses.stream(model=MODEL, input=HELLO, max_output_tokens=16) as stream:
        last = list(stream)[-1]
    if response.status == "completed":
        pytest.fail(f"the demo said all it had in {response.usage.output_tokens} tokens")
    assert response.incomplete_details.reason == "max_output_tokens"
    assert last.type == "response.incomplete" and last.response.output_text == response.output_text


def test_a_tool_is_called_and_its_result_is_answered(client: openai.OpenAI):
    conversation = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = client.responses.create(model=MODEL, input=conversation, tools=[WEATHER], tool_choice="required")
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert call.name == "get_weather" and call.call_id
    assert isinstance(json.loads(call.arguments)["city"], str)

    conversation += [item.to_dict() for item in asked.output]
    conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": json.dumps({"celsius": 21})})
    answered = client.responses.create(model=MODEL, input=conversation, tools=[WEATHER])
    assert answered.status == "completed" and answered.output_text


def test_a_streamed_tool_call_adds_up_to_valid_arguments(client: openai.OpenAI):
    with client.responses.stream(
        model=MODEL, input="What is the weather in Paris?", tools=[WEATHER], tool_choice="required",
    ) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.function_call_arguments.delta")
        (call,) = [item for item in stream.get_final_response().output if item.type == "function_call"]
    assert call.arguments == deltas and isinstance(json.loads(deltas)["city"], str)


class Sighting(pydantic.BaseModel):
    animal: str
    count: int
    places: list[str]


def test_structured_output_is_parsed_into_the_model(client: openai.OpenAI):
    response = client.responses.parse(model=MODEL, input="Three otters at the pond and the mill.", text_format=Sighting)
    assert isinstance(response.output_parsed, Sighting)
    with client.responses.stream(model=MODEL, input="Two owls in the barn.", text_format=Sighting) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Sighting)


@pytest.mark.parametrize("field", [
    {"previous_response_id": "resp_1"}, {"store": True}, {"tools": [{"type": "web_search"}]}, {"truncation": "auto"}])
def test_what_no_translation_can_express_raises_bad_request(client: openai.OpenAI, field: dict):
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model=MODEL, input=HELLO, **field)
    (name,) = field
    assert raised.value.param.startswith(name) and raised.value.code == "unsupported_parameter"


def test_background_is_refused_and_stored_responses_are_not_found(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model=MODEL, input=HELLO, background=True)
    assert raised.value.param == "background"
    for operation in (client.responses.retrieve, client.responses.delete, client.responses.cancel, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError, match="keeps no responses"):
            operation("resp_1")


def test_errors_raise_the_exceptions_that_users_know(way: Gateway, client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.create(model="nope", input=HELLO)
    assert raised.value.code == "model_not_found"
    with openai.OpenAI(base_url=way.base_url, api_key="sp_" + "0" * 64, max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            stranger.responses.create(model=MODEL, input=HELLO)


@pytest.mark.parametrize("passed_on", [False, True])
def test_a_stream_that_breaks_raises(start_gateway, passed_on: bool):
    here = pathlib.Path(__file__).parent
    way = start_gateway(here / "broken.Caddyfile")
    if passed_on:
        way = start_gateway(here / "responses.Caddyfile", {"UPSTREAM_URL": way.url, "UPSTREAM_KEY": way.new_key()})
    with openai.OpenAI(base_url=way.base_url, api_key=way.new_key(), max_retries=0, timeout=30) as client:
        events = []
        with pytest.raises(openai.APIError, match="cut the connection") as raised:
            for event in client.responses.create(model=MODEL, input=HELLO, stream=True):
                events.append(event.type)
    assert raised.value.code == "llm_error"
    assert events[0] == "response.created" and "response.output_text.delta" in events and "response.completed" not in events


def test_the_async_client_makes_many_calls_at_once(way: Gateway):
    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=way.base_url, api_key=way.new_key(), max_retries=0, timeout=30) as client:

            async def one(number: int) -> str:
                stream = await client.responses.create(model=MODEL, input=f"Repeat the number {number}.", stream=True)
                return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

            return await asyncio.gather(*(one(n) for n in range(10)))

    assert all(asyncio.run(run()))
