"""The official Google SDK for Python against the gateway's surface of the Gemini API. The demo provider answers."""

import pytest
from google import genai
from google.genai import errors, types

from gateway import Gateway

MODEL = "demo"
HELLO = "Say hello to the world in a sentence or two."


@pytest.fixture(scope="module", params=["v1", "v1beta"])
def version(request) -> str:
    """The versions of the API that the SDK asks, the first one by default."""
    return request.param


def client_of(gateway: Gateway, key: str, version: str = "v1") -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway.url, api_version=version, timeout=30_000))


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str, version: str) -> genai.Client:
    return client_of(gateway, key, version)


def test_an_answer_has_text_and_usage(client: genai.Client):
    answer = client.models.generate_content(model=MODEL, contents=HELLO)
    assert answer.text and answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage.prompt_token_count > 0 and usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


def test_a_stream_comes_in_several_pieces(client: genai.Client):
    pieces = list(client.models.generate_content_stream(model=MODEL, contents=HELLO))
    assert len([piece for piece in pieces if piece.text]) > 1
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert pieces[-1].usage_metadata.candidates_token_count > 0


def test_a_chat_goes_on(client: genai.Client):
    chat = client.chats.create(model=MODEL)
    assert chat.send_message("My name is Ada.").text
    assert chat.send_message("Say it.").text
    assert len(chat.get_history()) == 4


def test_a_function_is_called_by_the_sdk_itself(client: genai.Client):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "21 degrees"

    answer = client.models.generate_content(
        model=MODEL, contents="What is the weather in Paris?", config=types.GenerateContentConfig(tools=[get_weather]))
    assert asked and answer.text


def test_tokens_are_counted(client: genai.Client):
    short = client.models.count_tokens(model=MODEL, contents=HELLO).total_tokens
    long = client.models.count_tokens(model=MODEL, contents=HELLO * 9).total_tokens
    assert 0 < short < long


def test_texts_are_embedded(client: genai.Client):
    heron, pond = client.models.embed_content(model="demo-embedding", contents=["a heron", "a pond"]).embeddings
    assert len(heron.values) == len(pond.values) > 0 and heron.values != pond.values


def test_models_are_listed_and_retrieved(client: genai.Client):
    names = [model.name for model in client.models.list(config={"query_base": True})]
    assert "models/demo" in names
    assert client.models.get(model=MODEL).name == "models/demo"


def test_a_wrong_key_is_refused(gateway: Gateway, version: str):
    stranger = client_of(gateway, "sp_" + "0" * 64, version)
    with pytest.raises(errors.ClientError) as raised:
        stranger.models.generate_content(model=MODEL, contents=HELLO)
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


def test_an_unknown_model_is_not_found(client: genai.Client):
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="no-such-model", contents=HELLO)
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_the_call_over_the_limit_is_refused(gateway: Gateway, version: str):
    limited = client_of(gateway, gateway.new_key("1/1h"), version)
    limited.models.generate_content(model=MODEL, contents=HELLO)
    with pytest.raises(errors.ClientError) as raised:
        limited.models.generate_content(model=MODEL, contents=HELLO)
    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")
