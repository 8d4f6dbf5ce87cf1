"""Load on the OpenAI surface: chats, whole and streamed, with the time to the first token and the tokens per second.

    locust -f load_tests/native_test.py --host http://localhost:8000 --headless --users 10 --spawn-rate 2 --run-time 60s

Locust knows milliseconds only. The rows of the type TTFT are milliseconds; those of the type TOK/S are tokens per second, of a
whole stream from the sending of the request to the last token.
"""

import os
import random
import time

from locust import FastHttpUser, between, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS

import outcomes
from baseline_test import API_KEY, PROMPTS
from chat_stream import ChatStream

PATH = "/v1/chat/completions"
STREAMED = PATH + " (stream)"

# The model that is asked. Without it, the first that the gateway lists.
MODEL = os.environ.get("MODEL")


class NativeUser(FastHttpUser):
    """Somebody who chats: most answers are streamed."""

    wait_time = between(1, 3)
    model = MODEL

    def __init__(self, environment):
        self.default_headers = {"Authorization": f"Bearer {API_KEY}"}
        super().__init__(environment)

    def find_model(self) -> bool:
        """Asks the gateway for a model, once for each user, where MODEL names none."""
        if self.model:
            return True
        with self.client.get("/v1/models", catch_response=True) as response:
            if not outcomes.refused(response) and (answer := outcomes.checked_json(response)) is not None:
                if models := answer["data"]:
                    self.model = models[0]["id"]
                else:
                    response.failure("the gateway lists no model; name one by MODEL")
        return bool(self.model)

    def body(self, **members) -> dict:
        messages = [{"role": "user", "content": random.choice(PROMPTS)}]
        return {"model": self.model, "messages": messages, "max_tokens": 200, **members}

    @task(1)
    def chat(self):
        if not self.find_model():
            return
        with self.client.post(PATH, json=self.body(), catch_response=True) as response:
            if outcomes.refused(response):
                return
            answer = outcomes.checked_json(response)
            if answer is not None and not answer["choices"][0]["message"]["content"]:
                response.failure("200, but the answer is empty")

    @task(3)
    def stream_chat(self):
        if not self.find_model():
            return
        body = self.body(stream=True, stream_options={"include_usage": True})
        start = time.perf_counter()
        with self.client.post(PATH, name=STREAMED, json=body, stream=True, catch_response=True) as response:
            if outcomes.refused(response) or response.status_code != 200:
                return
            stream = ChatStream(start)
            try:
                stream.read(response.stream)
            except FAILURE_EXCEPTIONS as error:
                stream.fault = f"the stream broke: {error!r}"
            # Locust's own figure ends with the header.
            response.request_meta["response_time"] = (time.perf_counter() - start) * 1000
            response.request_meta["response_length"] = stream.length
            if stream.fault:
                response.failure(stream.fault)
                return
        self.measure("TTFT", stream.first_token * 1000)
        self.measure("TOK/S", stream.tokens / stream.last_token)

    def measure(self, kind: str, value: float):
        self.environment.events.request.fire(
            request_type=kind, name=STREAMED, response_time=value, response_length=0, exception=None, context={})
