"""How calls ended, as rows of Locust's statistics.

Locust has no columns for a cache or for limits. So a call that ended in a special way is moved to a row of its own:
`/v1/analyze/ [cached]` and `/v1/analyze/ [429]` stand beside `/v1/analyze/`, in the table, in the CSV files and in the web UI.
scripts/check_load_test_results.py knows these names.
"""

CACHED = " [cached]"
REFUSED = " [429]"


def refused(response) -> bool:
    """Tells whether a limit refused the call. That is no failure: a limit that holds works as it should."""
    if response.status_code != 429:
        return False
    response.request_meta["name"] += REFUSED
    if response.headers.get("Retry-After"):
        print("Rate limit hit (expected)")
        response.success()
    else:
        response.failure("429 without Retry-After")
    return True


def cached(response, latency_ms: int) -> None:
    """Marks an answer that came from the gateway's cache, within so many milliseconds of the gateway's time."""
    response.request_meta["name"] += CACHED
    print(f"Cache hit! Latency: {latency_ms}ms")


def checked_json(response) -> dict | None:
    """The body of a 200. Anything else is a failure, and None."""
    if response.status_code == 401:
        response.failure("401: the gateway does not know this key; make new ones with load_tests/create_keys.py")
    if response.status_code != 200:
        return None  # Locust counts it as a failure with its status, unless it is one already
    try:
        return response.json()
    except ValueError:
        response.failure("200, but the body is no JSON")
        return None
