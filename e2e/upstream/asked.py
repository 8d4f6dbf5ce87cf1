"""What a request asks for, whatever dialect it is in."""

import dataclasses


class Refused(Exception):
    """A request that the provider would answer with an error."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


@dataclasses.dataclass
class Call:
    """A tool's call in the conversation, and the result that came for it."""

    id: str
    name: str
    arguments: dict
    signature: str | None = None
    result: str | None = None


@dataclasses.dataclass
class Round:
    """A turn of the model's that called tools."""

    calls: list[Call]
    thought: str | None = None
    signature: str | None = None


@dataclasses.dataclass
class Asked:
    """A request."""

    model: str
    stream: bool
    tools: dict[str, dict]
    images: list[tuple[str, str]]  # media type, base64
    schema: dict | None  # of the answer
    prompt: str  # the system's
    thinks: bool  # whether thoughts are wanted
    rounds: list[Round]


def known(body: dict, fields: set[str], where: str = "the request") -> None:
    """Refuses what the API does not know, as the real ones do."""
    if unknown := body.keys() - fields:
        raise Refused(f"{where} has unknown fields: {', '.join(sorted(unknown))}")


def present(body: dict, *fields: str) -> None:
    if missing := [field for field in fields if body.get(field) in (None, [], "")]:
        raise Refused(f"missing: {', '.join(missing)}")
