"""ChatStream on streams that are whole, and on others."""

import io
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from chat_stream import ChatStream  # noqa: E402

ROLE = {"choices": [{"delta": {"role": "assistant", "content": ""}}], "usage": None}
WORD = {"choices": [{"delta": {"content": "word "}}], "usage": None}
FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}
USAGE = {"choices": [], "usage": {"completion_tokens": 7}}
ERROR = {"error": {"message": "the provider left", "code": "llm_error"}}
DONE = "[DONE]"


class Lines(io.BytesIO):
    """Lines as Locust's client reads them: it is told what ends one."""

    def readline(self, separator: bytes) -> bytes:
        return super().readline()


def read(*events) -> ChatStream:
    stream = ChatStream(time.perf_counter())
    text = "".join(f"data: {event if event is DONE else json.dumps(event)}\n\n" for event in events)
    stream.read(Lines(b": a comment\n\n" + text.encode()))
    return stream


class Streams(unittest.TestCase):
    def test_a_whole_stream_has_its_tokens_and_times(self):
        stream = read(ROLE, WORD, WORD, WORD, FINISH, USAGE, DONE)
        self.assertIsNone(stream.fault)
        self.assertEqual(stream.tokens, 7)
        self.assertTrue(0 < stream.first_token < stream.last_token)

    def test_a_role_is_no_token(self):
        self.assertIsNone(read(ROLE).first_token)

    def test_every_other_stream_is_at_fault(self):
        for says, events in {
            "without [DONE]": [(), (ROLE, WORD), (ROLE, WORD, FINISH, USAGE)],
            "broke: llm_error": [(ERROR,), (ROLE, WORD, ERROR)],
            "no text, or no usage": [(DONE,), (ROLE, FINISH, USAGE, DONE), (ROLE, WORD, FINISH, DONE)],
        }.items():
            for sequence in events:
                with self.subTest(sequence):
                    self.assertIn(says, read(*sequence).fault or "")


if __name__ == "__main__":
    unittest.main()
