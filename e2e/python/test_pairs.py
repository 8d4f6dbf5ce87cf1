"""Each official SDK for Python with a provider of each dialect behind the gateway, and with one of its own without it,
which shows that the transcripts are what the SDK takes."""

import pytest

from answers import DIALECTS, EXPECTED, SCENARIOS, check
from sdk_agents import WORK
from sdk_clients import CLIENTS
from standin import Routes

PAIRS = [(client, provider) for client in CLIENTS for provider in DIALECTS]


def name(value) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def routed(test):
    """Runs a test for each SDK without the gateway and with each provider behind it."""
    ways = [(client, "direct") for client in CLIENTS] + PAIRS
    return pytest.mark.parametrize(("client", "provider"), ways, ids=name)(test)


@pytest.fixture
def sdk(routes: Routes, client, provider: str):
    return client(routes.direct(client.dialect) if provider == "direct" else routes.through(provider))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", SCENARIOS)
@routed
def test_an_answer_is_what_the_provider_said(sdk, scenario: str, stream: bool):
    check(sdk.ask(scenario, stream), scenario, sdk.dialect, sdk.route.provider)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@routed
def test_a_refusal_tells_its_words(sdk, stream: bool):
    said = EXPECTED["refusals"][sdk.route.provider]
    got = sdk.refused(stream)
    # OpenAI's own refusals end as any answer does.
    end = "done" if sdk.dialect == sdk.route.provider == "openai" else "withheld"
    want = {"text": "", **said, "end": EXPECTED["ends"][sdk.dialect][end]}
    if sdk.dialect == "gemini" != sdk.route.provider:
        want["refusal"] = None  # the SDK drops finishMessage
    assert got == want


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
@routed
def test_a_providers_error_raises_the_exception_of_its_kind(sdk, status: int, stream: bool):
    with pytest.raises(sdk.failures[status]) as raised:
        sdk.ask(f"status_{status}", stream)
    code = getattr(raised.value, "status_code", None) or raised.value.code
    # What is the provider's trouble is a bad gateway before it.
    assert code == status or code // 100 == status // 100 == 5


@pytest.mark.parametrize(("client", "provider"), PAIRS, ids=name)
def test_an_error_in_a_stream_is_raised(sdk):
    with pytest.raises(sdk.broken):
        sdk.ask("error", stream=True)


@pytest.mark.parametrize(("count", "stream"), [(0, False), (100, False), (400, False), (0, True), (100, True), (900, True)])
@pytest.mark.parametrize(("client", "provider"), PAIRS, ids=name)
def test_a_connection_that_is_cut_is_an_error(sdk, count: int, stream: bool):
    with pytest.raises(sdk.broken):
        sdk.ask(f"cut_{count}", stream)


@routed
def test_an_agent_comes_to_its_end(sdk, client):
    final = WORK[client](sdk, "agent")
    assert final == f"{EXPECTED['agent']} Signatures: {EXPECTED['signatures'][sdk.dialect][sdk.route.provider]}."


@pytest.mark.parametrize(("client", "provider"), [(client, "gemini") for client in CLIENTS], ids=name)
def test_results_reach_their_calls_where_the_provider_gave_no_ids(sdk, client):
    assert WORK[client](sdk, "agent_without_ids").startswith(EXPECTED["agent"])
