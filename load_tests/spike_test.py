"""A spike: from nobody to 100 users and back to nobody, and then ten users who show whether the gateway recovered.

    locust -f load_tests/spike_test.py --host http://localhost:8000 --headless --run-time 60s

--run-time stretches the whole; --users and --spawn-rate have no say here.
"""

from locust import LoadTestShape

import baseline_test

PEAK = 100
AFTER = 10


class PromptAnalysisUser(baseline_test.PromptAnalysisUser):
    """Those who make the spike."""


class RecoveryUser(baseline_test.PromptAnalysisUser):
    """Those who come after it. Their rows show how the gateway answers then."""

    label = " (after the spike)"


class Spike(LoadTestShape):
    """Up within a sixth of the time, at the peak until its half, down to nobody, and recovery in the last quarter."""

    use_common_options = True  # lets --run-time through

    def tick(self):
        duration = self.runner.environment.parsed_options.run_time or 60
        elapsed = self.get_run_time()
        rate = PEAK / (duration / 6)
        if elapsed < duration / 2:
            return PEAK, rate, [PromptAnalysisUser]
        if elapsed < duration * 3 / 4:
            return 0, rate, [PromptAnalysisUser]
        if elapsed < duration:
            return AFTER, 3, [RecoveryUser]
        return None
