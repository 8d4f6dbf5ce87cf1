"""A load test must not pass before a gateway that fails."""

import csv
import unittest

from stack import Stack


def errors(stack: Stack) -> list[str]:
    with (stack.root / "results" / "run_failures.csv").open(newline="") as file:
        return [row["Error"] for row in csv.DictReader(file)]


class FailingGateway(unittest.TestCase):
    def stack(self, provider: str) -> Stack:
        stack = Stack(provider)
        self.addCleanup(stack.stop)
        stack.make_keys()
        return stack

    def test_a_provider_that_fails_fails_the_baseline(self):
        stack = self.stack("fail 500 3")
        done = stack.locust("baseline_test.py", "--users", "30", "--spawn-rate", "30", "--run-time", "7s")
        self.assertEqual(done.returncode, 1, done.stdout)
        checked = stack.python("scripts/check_load_test_results.py", "results/run_stats.csv")
        self.assertEqual(checked.returncode, 1, checked.stdout + checked.stderr)
        self.assertTrue(any("code=50" in error for error in errors(stack)), errors(stack))

    def test_streams_that_break_fail_the_native_scenario(self):
        stack = self.stack("fail disconnect")
        done = stack.locust("native_test.py", "--users", "20", "--spawn-rate", "20", "--run-time", "3s")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertTrue(any("the stream" in error for error in errors(stack)), errors(stack))

    def test_a_key_that_is_unknown_says_what_to_do(self):
        stack = self.stack("")
        done = stack.locust("baseline_test.py", "--users", "1", "--run-time", "3s", API_KEY="sp_" + "0" * 64)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertTrue(any("create_keys.py" in error for error in errors(stack)), errors(stack))

    def test_without_keys_the_test_files_say_how_to_make_them(self):
        stack = self.stack("")
        (stack.root / "load_tests" / "keys.env").unlink()
        for file in ("baseline_test.py", "locustfile.py", "spike_test.py", "native_test.py"):
            done = stack.locust(file, "--run-time", "1s")
            self.assertEqual(done.returncode, 1, file)
            self.assertIn("python load_tests/create_keys.py", done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_a_gateway_that_admits_everybody_fails_the_whole_suite(self):
        stack = self.stack("")
        caddyfile = stack.root / "Caddyfile"
        caddyfile.write_text(caddyfile.read_text().replace("\tllm\n", "\tllm_health\n\tllm_analyze\n\tllm_proxy\n"))
        reload = stack.command(["bin/caddy", "reload", "--config", "Caddyfile", "--adapter", "caddyfile"])
        self.assertEqual(reload.returncode, 0, reload.stderr)
        done = stack.locust("locustfile.py", "--users", "10", "--spawn-rate", "10", "--run-time", "3s")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertTrue(any("200, not 401" in error for error in errors(stack)), errors(stack))


if __name__ == "__main__":
    unittest.main()
