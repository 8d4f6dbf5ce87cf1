"""LangChain with a provider of each dialect behind the gateway, and with one of its own without it."""

import pytest
from langchain.agents import create_agent

from answers import DIALECTS, EXPECTED, SCENARIOS, check
from langchain_clients import CLIENTS, TOOLS
from standin import Routes

PAIRS = [(client, provider) for client in CLIENTS for provider in DIALECTS]
WAYS = [(client, "direct") for client in CLIENTS] + PAIRS


def name(value) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


@pytest.fixture
def chat(routes: Routes, client, provider: str):
    return client(routes.direct(client.dialect) if provider == "direct" else routes.through(provider))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(("client", "provider"), WAYS, ids=name)
def test_an_answer_is_what_the_provider_said(chat, scenario: str, stream: bool):
    check(chat.ask(scenario, stream), scenario, chat.dialect, chat.route.provider)


@pytest.mark.parametrize("scenario", ["status_400", "status_429", "status_500", "error", "cut_100", "cut_900"])
@pytest.mark.parametrize(("client", "provider"), PAIRS, ids=name)
def test_a_failure_is_raised(chat, scenario: str):
    with pytest.raises(chat.broken):
        chat.ask(scenario, stream=True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("thinks", [False, True], ids=["plain", "thinking"])
@pytest.mark.parametrize(("client", "provider"), WAYS, ids=name)
def test_an_agent_comes_to_its_end(chat, thinks: bool, stream: bool):
    agent = create_agent(chat.model("agent", thinks), TOOLS)
    asked = {"messages": [{"role": "user", "content": "What is the weather in Paris and Rome, and the time?"}]}
    if stream:
        final = "".join(
            str(chunk.text) for chunk, metadata in agent.stream(asked, stream_mode="messages")
            if metadata["langgraph_node"] == "model" and metadata["langgraph_step"] == 5)
    else:
        final = str(agent.invoke(asked)["messages"][-1].text)
    # ChatOpenAI keeps no field that OpenAI does not have. Anthropic signs thoughts only.
    provider = chat.route.provider
    kept = chat.dialect != "openai" and (thinks or provider == "gemini") and EXPECTED["signatures"][chat.dialect][provider]
    assert final == f"{EXPECTED['agent']} Signatures: {kept or 'none'}."
