"""The official client of Azure OpenAI for Python against the gateway. The demo provider answers."""

import openai
import pytest

from gateway import Gateway

HELLO = [{"role": "user", "content": "Say hello to the world in a sentence or two."}]


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str):
    # No retries, so that a test sees the first answer.
    with openai.AzureOpenAI(azure_endpoint=gateway.url, api_key=key, api_version="2024-10-21", max_retries=0, timeout=30) as client:
        yield client


def test_chat_answers_for_a_deployment(client: openai.AzureOpenAI):
    completion = client.chat.completions.create(model="demo", messages=HELLO)
    assert completion.choices[0].message.content
    assert completion.usage.total_tokens > 0


def test_the_deployment_of_the_client_counts(gateway: Gateway, key: str):
    with openai.AzureOpenAI(azure_endpoint=gateway.url, azure_deployment="demo", api_key=key, api_version="2024-10-21", max_retries=0) as client:
        assert client.chat.completions.create(model="whatever", messages=HELLO).choices[0].message.content


def test_a_stream_comes_in_several_chunks(client: openai.AzureOpenAI):
    chunks = list(client.chat.completions.create(model="demo", messages=HELLO, stream=True))
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) > 1
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_texts_are_embedded(client: openai.AzureOpenAI):
    assert len(client.embeddings.create(model="demo-embedding", input=["a", "b"]).data) == 2


def test_an_unknown_deployment_is_not_found(client: openai.AzureOpenAI):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="nobody-serves-this", messages=HELLO)
    assert error.value.code == "model_not_found"


def test_an_unknown_key_is_refused(gateway: Gateway):
    with openai.AzureOpenAI(azure_endpoint=gateway.url, api_key="sp_" + "0" * 64, api_version="2024-10-21", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            stranger.chat.completions.create(model="demo", messages=HELLO)


def test_the_newer_form_needs_no_version(gateway: Gateway, key: str):
    with openai.OpenAI(base_url=f"{gateway.url}/openai/v1/", api_key=key, max_retries=0) as client:
        assert client.chat.completions.create(model="demo", messages=HELLO).choices[0].message.content
        assert "demo" in [model.id for model in client.models.list()]
