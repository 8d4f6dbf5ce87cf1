"""Reads a streamed chat as it comes, and keeps its times."""

import json
import time


class ChatStream:
    """A stream of chat completion chunks. Times are seconds since start, by time.perf_counter."""

    def __init__(self, start: float):
        self.start = start
        self.length = 0
        self.tokens = 0
        self.first_token = self.last_token = None
        # What is wrong with it. Only [DONE] makes a stream whole.
        self.fault: str | None = "the stream ended without [DONE]"

    def read(self, lines) -> None:
        """Reads to the end of what has a readline."""
        while line := lines.readline(b"\n"):
            self.length += len(line)
            if line.startswith(b"data:"):
                self.take(line.removeprefix(b"data:").strip(), time.perf_counter() - self.start)

    def take(self, data: bytes, now: float) -> None:
        if data == b"[DONE]":
            self.fault = None if self.tokens and self.first_token else "the stream has no text, or no usage"
            return
        event = json.loads(data)
        if error := event.get("error"):
            # An error is the last event: what follows is the end, without [DONE].
            self.fault = f"the stream broke: {error.get('code') or error.get('type')}"
        if usage := event.get("usage"):
            self.tokens = usage["completion_tokens"]
        for choice in event.get("choices", ()):
            if choice["delta"].get("content"):
                self.first_token = self.first_token or now
                self.last_token = now
