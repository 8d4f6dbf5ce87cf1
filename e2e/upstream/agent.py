"""Plays a model that works with two tools in three turns. It goes by the conversation alone, so that it can finish only
where each of its calls came back to it unchanged and with its result."""

import base64
import dataclasses
import hashlib
import re

from asked import Asked, Refused


@dataclasses.dataclass(frozen=True)
class Turn:
    """What the model does next: calls tools, or gives its final answer."""

    thought: str
    text: str
    calls: tuple[tuple[str, dict], ...] = ()


SCRIPT = (
    Turn(
        thought="Two cities are two questions.",
        text="I ask for both cities.",
        calls=(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})),
    ),
    Turn(thought="Now the time.", text="", calls=(("get_time", {"zone": "Europe/Paris"}),)),
)


# Base64 has two alphabets, and Google's SDK for Python answers in the other one.
URL_SAFE = str.maketrans("+/", "-_")


def signature(turn: Turn) -> str:
    """The signature of a turn, which nobody else can make up by chance."""
    return base64.b64encode(hashlib.sha256(turn.thought.encode()).digest()).decode()


def next_turn(asked: Asked) -> Turn:
    """The model's next turn. Refuses a conversation that is not the one that it had."""
    for name in ("get_weather", "get_time"):
        if name not in asked.tools:
            raise Refused(f"the tool {name} is not declared, only {sorted(asked.tools)}")
    if len(asked.rounds) > len(SCRIPT):
        raise Refused(f"{len(asked.rounds)} turns called tools, the model's did {len(SCRIPT)} times")
    found: list[str] = []
    for turn, told in zip(SCRIPT, asked.rounds):
        calls = [(call.name, call.arguments) for call in told.calls]
        if calls != list(turn.calls):
            raise Refused(f"the model called {list(turn.calls)}, but is told that it called {calls}")
        for call in told.calls:
            found.append(finding(call.name, call.result))
    if len(asked.rounds) < len(SCRIPT):
        return SCRIPT[len(asked.rounds)]
    paris, rome, time = found
    return Turn(
        thought="That is all.",
        text=f"Paris has {paris}, Rome has {rome}, it is {time}. Signatures: {signatures(asked)}.",
    )


def finding(name: str, result: str | None) -> str:
    pattern = r"\d\d:\d\d" if name == "get_time" else r"-?\d+ degrees"
    match = re.search(pattern, result or "")
    if not match:
        raise Refused(f"the result of {name} tells nothing: {result!r}")
    return match[0]


def signatures(asked: Asked) -> str:
    """Which signatures came back: all, none or some. A changed one is refused."""
    came = []
    for turn, told in zip(SCRIPT, asked.rounds):
        signed = told.signature or told.calls[0].signature
        if signed and signed.translate(URL_SAFE) != signature(turn).translate(URL_SAFE):
            raise Refused(f"signature {signed!r} is not the one that was given with {turn.thought!r}")
        came.append(signed is not None)
    return "all" if all(came) else "some" if any(came) else "none"
