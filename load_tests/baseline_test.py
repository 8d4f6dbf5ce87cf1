"""The load that most users make: structured prompts, and now and then a look at providers and cache.

    locust -f load_tests/baseline_test.py --host http://localhost:8000 --headless --users 10 --spawn-rate 2 --run-time 120s
"""

import random
import uuid

import gevent
from locust import FastHttpUser, between, events, task

import outcomes
from credentials import credential

# A key with a high limit, 1000 requests an hour. You may write one here instead: API_KEY = "sp_…"
API_KEY = credential("API_KEY")

# Put your own prompts here.
PROMPTS = [
    "Translate 'Hello World' to French",
    "Analyze the sentiment of: I love this product!",
    "Extract entities from: John Smith works at Acme Corp in New York",
    "Summarize: The meeting moved to Thursday because two of the five engineers were travelling",
    "Classify this ticket: The invoice of October was charged twice",
    "Find the dates in: The lease runs from 1 March 2025 to 28 February 2027",
    "Explain to a child why the sky is blue",
    "Rewrite politely: Send me the report now",
    "List the ingredients in: Whisk three eggs with 200 ml of milk and a pinch of salt",
    "Which language is this: ¿Dónde está la biblioteca más cercana?",
]


@events.init.add_listener
def set_clock(**_):
    """gevent's clock stands still while Locust loads, and --run-time would begin back then: a short run would be over at once."""
    gevent.get_hub().loop.update_now()


class PromptAnalysisUser(FastHttpUser):
    """Somebody who has prompts analyzed, one every four seconds or so: ten of them make 2 to 3 requests a second."""

    wait_time = between(3, 5)
    api_key = API_KEY
    prompts = PROMPTS
    label = ""  # what the names of this class's rows end with

    def __init__(self, environment):
        self.default_headers = {"X-API-Key": self.api_key}
        super().__init__(environment)

    def on_start(self):
        """Begins with what all ask, so that a short run meets the cache too. Locust starts the users of a second at once;
        they come one after the other."""
        gevent.sleep(random.random())
        self.analyze_cached_prompt()
        self.wait()

    @task(10)
    def analyze_prompt(self):
        """Asks something that was not asked before, so that a model has to answer. The answer is kept for a minute only:
        nobody asks for it again, and a long test must not fill the cache."""
        self.analyze(f"{random.choice(self.prompts)} (reference {uuid.uuid4().hex[:12]})", cache_ttl=60)

    @task(2)
    def analyze_cached_prompt(self):
        """Asks what all ask, so that from the second time on the cache answers."""
        self.analyze(self.prompts[0], cache_ttl=3600)

    @task(1)
    def check_providers(self):
        self.look("/v1/analyze/providers", "providers")

    @task(1)
    def check_cache_stats(self):
        self.look("/v1/analyze/cache/stats", "hit_rate")

    def analyze(self, prompt: str, cache_ttl: int):
        path = "/v1/analyze/"
        body = {"prompt": prompt, "llm_provider": "auto", "output_format": "json", "cache_ttl": cache_ttl}
        with self.client.post(path, name=path + self.label, json=body, catch_response=True) as response:
            if outcomes.refused(response):
                return
            answer = outcomes.checked_json(response)
            if answer is None:
                return
            if not answer.get("data") or not answer.get("validated"):
                response.failure("200, but without data that was checked against its schema")
            elif answer["cached"]:
                outcomes.cached(response, answer["latency_ms"])

    def look(self, path: str, member: str):
        with self.client.get(path, name=path + self.label, catch_response=True) as response:
            if outcomes.refused(response):
                return
            answer = outcomes.checked_json(response)
            if answer is not None and member not in answer:
                response.failure(f"200, but without {member}")
