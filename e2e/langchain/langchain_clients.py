"""LangChain's three chat models, asked for each scenario in the same way and read as LangChain shows them."""

import anthropic
import google.genai.errors
import langchain_google_genai.chat_models
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

from answers import PIXEL, WITH_TOOLS, Answer, Person, Usage
from standin import Route


# Where tokens that were written to the prompt cache are told by how long they stay, LangChain's sum of them is 0.
WRITES = ("cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return {"Paris": "18 degrees", "Rome": "25 degrees"}[city]


@tool
def get_time(zone: str = "UTC") -> str:
    """The time now."""
    return {"Europe/Paris": "12:30"}[zone]


TOOLS = [get_weather, get_time]


class Client:
    """One of the chat models."""

    dialect: str
    end_field: str
    broken: tuple[type[Exception], ...]

    def __init__(self, route: Route):
        self.route = route

    def model(self, scenario: str, thinks: bool) -> BaseChatModel:
        raise NotImplementedError

    def messages(self, scenario: str) -> list:
        content = "Grüße, “world” 🎉"
        if scenario == "image":
            content = [
                {"type": "text", "text": "What is on it?"},
                {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
            ]
        return [SystemMessage("Be terse."), HumanMessage(content)]

    def ask(self, scenario: str, stream: bool) -> Answer:
        model = self.model(scenario, thinks=scenario == "reasoning")
        parsed = None
        if scenario in WITH_TOOLS:
            model = model.bind_tools(TOOLS)
        if scenario == "structured_output":
            structured = model.with_structured_output(Person, method="json_schema", include_raw=True)
            found = joined(structured.stream(self.messages(scenario))) if stream else structured.invoke(self.messages(scenario))
            message, parsed = found["raw"], found["parsed"]
        elif stream:
            message = joined(model.stream(self.messages(scenario)))
        else:
            message = model.invoke(self.messages(scenario))
        return self.read(message, parsed)

    def read(self, message: AIMessage, parsed: Person | None) -> Answer:
        assert message.invalid_tool_calls == []
        usage = message.usage_metadata
        details = usage.get("input_token_details", {})
        read = details.get("cache_read") or 0
        writes = [details[name] for name in WRITES if name in details]
        write = sum(writes) if writes else None
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        return Answer(
            text=str(message.text),
            thoughts=self.thoughts(message),
            calls=[(call["name"], call["args"]) for call in message.tool_calls],
            ids=[call["id"] for call in message.tool_calls],
            end=message.response_metadata[self.end_field],
            parsed=parsed.model_dump() if parsed else None,
            usage=Usage(
                fresh=usage["input_tokens"] - read - (write or 0), cache_read=read, cache_write=write,
                output=usage["output_tokens"], thoughts=usage.get("output_token_details", {}).get("reasoning")),
        )

    def thoughts(self, message: AIMessage) -> str | None:
        return "".join(block.get("reasoning", "") for block in message.content_blocks if block["type"] == "reasoning")


def joined(chunks):
    """The sum of a stream's chunks."""
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


class OpenAI(Client):
    """ChatOpenAI, which speaks chat completions. It drops thoughts, which OpenAI's own API does not show."""

    dialect = "openai"
    end_field = "finish_reason"
    broken = (openai.APIError,)

    def model(self, scenario: str, thinks: bool) -> BaseChatModel:
        return ChatOpenAI(
            model=self.route.model(scenario), base_url=self.route.url + "/v1", api_key=self.route.key, max_retries=0,
            timeout=30, stream_usage=True, reasoning_effort="high" if thinks else None)

    def thoughts(self, message: AIMessage) -> str | None:
        return None


class Anthropic(Client):
    """ChatAnthropic, which speaks messages."""

    dialect = "anthropic"
    end_field = "stop_reason"
    broken = (anthropic.APIError,)

    def model(self, scenario: str, thinks: bool) -> BaseChatModel:
        return ChatAnthropic(
            model=self.route.model(scenario), base_url=self.route.url, api_key=self.route.key, max_retries=0, timeout=30,
            max_tokens=2048, thinking={"type": "enabled", "budget_tokens": 1024} if thinks else None)


class Google(Client):
    """ChatGoogleGenerativeAI, which speaks generateContent."""

    dialect = "gemini"
    end_field = "finish_reason"
    broken = (google.genai.errors.APIError, langchain_google_genai.chat_models.ChatGoogleGenerativeAIError)

    def model(self, scenario: str, thinks: bool) -> BaseChatModel:
        return ChatGoogleGenerativeAI(
            model=self.route.model(scenario), base_url=self.route.url, google_api_key=self.route.key, max_retries=1, timeout=30,
            include_thoughts=thinks or None, thinking_budget=1024 if thinks else None)


CLIENTS = [OpenAI, Anthropic, Google]
