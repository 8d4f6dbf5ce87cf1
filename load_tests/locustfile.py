"""The whole suite: the load of baseline_test.py, beside it users who run into their limit and users without a key.

    locust -f load_tests/locustfile.py --host http://localhost:8000 --headless --users 20 --spawn-rate 2 --run-time 60s
"""

import random
import uuid

from locust import FastHttpUser, between, task

import baseline_test
import outcomes
from credentials import credential

# A key with a high limit (1000 requests an hour), and one with a low limit (3 an hour). You may write them here instead.
API_KEY = credential("API_KEY")
RATE_LIMIT_KEY = credential("RATE_LIMIT_KEY")

# The ten sample prompts. For other ones in this file alone: PROMPTS = ["…", "…"]
PROMPTS = baseline_test.PROMPTS


class PromptAnalysisUser(baseline_test.PromptAnalysisUser):
    """Most users, as in baseline_test.py."""

    weight = 8
    api_key = API_KEY
    prompts = PROMPTS


class RateLimitTestUser(FastHttpUser):
    """Asks far more often than its key allows. 429 is what it expects, and has a row of its own."""

    weight = 1
    wait_time = between(0.5, 1.5)

    @task
    def exceed_the_limit(self):
        path = "/v1/analyze/"
        with self.client.post(path, name=path + " (low limit)", headers={"X-API-Key": RATE_LIMIT_KEY},
                              json={"prompt": random.choice(PROMPTS)}, catch_response=True) as response:
            if not outcomes.refused(response):
                outcomes.checked_json(response)


class UnauthenticatedUser(FastHttpUser):
    """Asks without a key, and with one that nobody has. 401 is what it expects; anything else is a failure."""

    weight = 1
    wait_time = between(1, 3)

    @task
    def ask_without_a_key(self):
        self.expect_401("no key", {})

    @task
    def ask_with_an_unknown_key(self):
        self.expect_401("unknown key", {"X-API-Key": "sp_" + uuid.uuid4().hex * 2})

    def expect_401(self, what: str, headers: dict[str, str]):
        path = "/v1/analyze/"
        with self.client.post(path, name=f"{path} ({what})", headers=headers,
                              json={"prompt": random.choice(PROMPTS)}, catch_response=True) as response:
            if response.status_code == 401:
                response.success()
            else:
                response.failure(f"{response.status_code}, not 401, with {what}")
