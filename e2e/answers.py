"""What an answer says, whichever SDK read it, and what the stand-in's transcripts say."""

import dataclasses
import json
import pathlib

import pydantic

EXPECTED = json.loads((pathlib.Path(__file__).parent / "expected.json").read_text())
SCENARIOS = list(EXPECTED["answers"])
DIALECTS = list(EXPECTED["ends"])
WITH_TOOLS = {"one_tool", "parallel_tools", "zero_argument_tool"}
# A PNG of one pixel, which the scenario image sends.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


@dataclasses.dataclass
class Usage:
    """Tokens, each counted in one field only but for thoughts, which are part of output."""

    fresh: int
    cache_read: int
    cache_write: int | None  # None where the SDK does not tell: they are in fresh then
    output: int
    thoughts: int | None  # None where the SDK does not tell


@dataclasses.dataclass
class Answer:
    """An answer as the SDK's own parser gave it. None is what the SDK has no place for."""

    text: str
    end: str
    usage: Usage
    calls: list[tuple[str, dict]] = dataclasses.field(default_factory=list)
    ids: list[str] = dataclasses.field(default_factory=list)
    thoughts: str | None = ""
    parsed: dict | None = None


class Person(pydantic.BaseModel):
    """What the scenario structured_output asks for."""

    name: str
    age: int


def expected(scenario: str, client: str, provider: str, got: Answer) -> Answer:
    """What got must be, with nothing for what its SDK has no place for."""
    answer = EXPECTED["answers"][scenario]
    usage = Usage(**EXPECTED["usage_of_reasoning" if scenario == "reasoning" else "usage"][provider])
    if got.usage.cache_write is None:
        usage = dataclasses.replace(usage, fresh=usage.fresh + usage.cache_write, cache_write=None)
    if got.usage.thoughts is None:
        usage = dataclasses.replace(usage, thoughts=None)
    return Answer(
        text=answer.get("text", ""),
        end=EXPECTED["ends"][client][answer["end"]],
        usage=usage,
        calls=[(name, arguments) for name, arguments in answer.get("calls", [])],
        ids=got.ids,
        thoughts=None if got.thoughts is None else answer.get("thoughts", ""),
        parsed=answer.get("parsed"),
    )


def check(got: Answer, scenario: str, client: str, provider: str) -> None:
    """Fails where an answer is not the one of its transcript."""
    assert got == expected(scenario, client, provider, got)
    assert len(set(got.ids)) == len(got.calls) and all(got.ids), f"the calls' ids: {got.ids}"
