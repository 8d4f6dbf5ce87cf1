"""The official OpenAI SDK for Python against what the gateway passes on: completions, images, audio, moderations and files."""

import io
import pathlib

import openai
import pytest

import studio
from gateway import Gateway

CADDYFILE = pathlib.Path(__file__).with_name("studio.Caddyfile")


@pytest.fixture(scope="module")
def upstream():
    with studio.Studio().running() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(start_gateway, upstream: studio.Studio) -> Gateway:
    return start_gateway(CADDYFILE, {"STUDIO_URL": upstream.url, "STUDIO_KEY": studio.KEY})


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str):
    with openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=0, timeout=30) as client:
        yield client


def recording() -> io.BytesIO:
    file = io.BytesIO(studio.SOUND)
    file.name = "hello.wav"
    return file


def test_a_completion_whole_and_streamed(client: openai.OpenAI):
    assert client.completions.create(model="studio/m", prompt="ping").choices[0].text == "pong"
    chunks = list(client.completions.create(model="studio/m", prompt="ping", stream=True))
    assert "".join(c.choices[0].text for c in chunks) == "pong"


def test_an_image_whole_and_streamed(client: openai.OpenAI, upstream: studio.Studio):
    image = client.images.generate(model="painter", prompt="a cat")
    assert image.data[0].b64_json == studio.IMAGE and image.usage.total_tokens == 111
    assert upstream.asked[-1][1]["model"] == "gpt-image-1"
    events = list(client.images.generate(model="painter", prompt="a cat", stream=True, partial_images=1))
    assert [e.type for e in events] == ["image_generation.partial_image", "image_generation.completed"]


def test_images_are_edited_and_varied(client: openai.OpenAI, upstream: studio.Studio):
    assert client.images.edit(model="painter", prompt="a hat", image=[recording(), recording()]).data[0].b64_json == studio.IMAGE
    path, fields = upstream.asked[-1]
    assert path == "/images/edits" and fields["model"] == b"gpt-image-1" and fields["image[]"] == studio.SOUND
    assert client.images.create_variation(image=recording()).data[0].b64_json == studio.IMAGE
    assert "model" not in upstream.asked[-1][1]


def test_speech_is_streamed(client: openai.OpenAI):
    with client.audio.speech.with_streaming_response.create(model="studio/tts-1", voice="alloy", input="hello") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert b"".join(answer.iter_bytes()) == studio.SOUND


def test_a_transcription_in_each_form(client: openai.OpenAI, upstream: studio.Studio):
    assert client.audio.transcriptions.create(model="ear", file=recording()).text == studio.TEXT
    path, fields = upstream.asked[-1]
    assert path == "/audio/transcriptions" and fields["model"] == b"gpt-4o-transcribe" and fields["file"] == studio.SOUND
    assert "-->" in client.audio.transcriptions.create(model="ear", file=recording(), response_format="srt")
    events = list(client.audio.transcriptions.create(model="ear", file=recording(), stream=True))
    assert [e.type for e in events] == ["transcript.text.delta", "transcript.text.done"]
    assert client.audio.translations.create(model="ear", file=recording()).text == studio.TEXT


def test_a_moderation_needs_no_model(client: openai.OpenAI):
    assert client.moderations.create(input="hello").results[0].flagged


def test_a_chat_does_not_go_to_a_provider_without(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError, match="no chat here"):
        client.chat.completions.create(model="ear", messages=[{"role": "user", "content": "hello"}])


def test_files_are_the_keys_own(client: openai.OpenAI, gateway: Gateway):
    files = [client.files.create(file=("a.jsonl", text.encode()), purpose="user_data") for text in ("one", "two", "three")]
    assert [f.id for f in client.files.list(limit=2, order="asc")] == [f.id for f in files]
    assert client.files.retrieve(files[0].id).bytes == 3
    assert client.files.content(files[1].id).read() == b"two"
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.new_key(), max_retries=0) as stranger:
        assert list(stranger.files.list()) == []
        for use in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
            with pytest.raises(openai.NotFoundError):
                use(files[0].id)
    for file in files:
        assert client.files.delete(file.id).deleted
    assert list(client.files.list()) == []
