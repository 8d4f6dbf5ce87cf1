"""The commands of README.md work as they are written.

Every block that is marked as bash runs, and every step of the CI example that concerns these tests. Blocks that are marked as sh
need Docker, the network, or much time, and do not.
"""

import json
import pathlib
import re
import shutil
import stat
import sys
import textwrap
import time
import unittest

from stack import REPOSITORY, Stack

README = REPOSITORY / "load_tests" / "README.md"

# Stand before the real programs in PATH: they send them to the gateway and the Redis of this test, and cut the time short.
SHIMS = {
    "locust": """
        case " $* " in
        *" --headless "*) ;;
        *) set -- "$@" --web-host 127.0.0.1 --web-port "$WEB_PORT" --autostart --autoquit 0 --users 5 ;;
        esac
        exec "$PYTHON" -m locust "$@" --host "$TEST_HOST" --run-time 1s --spawn-rate 100 --json-file "$RUNS/$$"
    """,
    "python": """
        case "$1" in
        load_tests/create_keys.py) set -- "$@" --host "$TEST_HOST" ;;
        esac
        exec "$PYTHON" "$@"
    """,
    "redis-cli": """
        exec "$REDIS_CLI" -p "$REDIS_PORT" "$@"
    """,
}


def blocks() -> list[str]:
    """The scripts of the guide, in its order."""
    scripts = []
    for indent, language, text in re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", README.read_text(), re.M | re.S):
        if language == "bash":
            scripts.append(textwrap.dedent(text))
        if language == "yaml":
            steps = re.findall(r"^( +)run: \|\n((?:\1  .*\n)+)", text, re.M)
            scripts += [textwrap.dedent(step) for _, step in steps if "load_tests/baseline_test.py" in step or "scripts/" in step]
    return scripts


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(redis=True)
        cls.addClassCleanup(cls.stack.stop)
        cls.runs = cls.stack.root / "runs"
        cls.runs.mkdir()
        shims = cls.stack.root / "shims"
        shims.mkdir()
        for name, text in SHIMS.items():
            path = shims / name
            path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        cls.environment = {
            "PATH": f"{shims}:{cls.stack.environment['PATH']}", "PYTHON": sys.executable, "TEST_HOST": cls.stack.host, "WEB_PORT": "0",
            "RUNS": str(cls.runs), "REDIS_CLI": shutil.which("redis-cli"), "REDIS_PORT": str(cls.stack.redis_port),
        }

    def run_block(self, script: str) -> str:
        script = script.replace("curl http://localhost:8000", f"curl {self.stack.host}")
        done = self.stack.command(["bash", "-euo", "pipefail", "-c", script], **self.environment)
        self.assertEqual(done.returncode, 0, f"{script}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def test_every_command_works_and_makes_calls_that_succeed(self):
        ran = 0
        for script in blocks():
            before = set(self.runs.iterdir())
            output = self.run_block(script)
            new = [json.loads(path.read_text()) for path in self.runs.iterdir() if path not in before]
            with self.subTest(script):
                self.assertEqual(len(new) > 0, "locust" in script)
                for rows in new:
                    ran += 1
                    self.assertGreater(sum(row["num_requests"] for row in rows), 0)
                    self.assertEqual(sum(row["num_failures"] for row in rows), 0)
                if "/v1/health" in script:
                    self.assertEqual(json.loads(output)["status"], "ok")
                if "ping" in script:
                    self.assertEqual(output, "PONG\n")
        self.assertGreater(ran, 15)
        self.assertTrue(list((self.stack.root / "results").glob("test_*_stats.csv")))

    def test_limits_are_reset_by_the_command_that_says_so(self):
        key = self.stack.make_keys()["RATE_LIMIT_KEY"]
        while self.stack.ask("/v1/models", key)[0] == 200:
            pass
        for reset in (script for script in blocks() if re.search("^redis-cli (KEYS|FLUSHALL)", script, re.M)):
            self.assertEqual(self.stack.ask("/v1/models", key)[0], 429)
            self.run_block(reset)
            deadline = time.monotonic() + 10
            while self.stack.ask("/v1/models", key)[0] == 429 and time.monotonic() < deadline:
                time.sleep(0.05)  # between two questions: gateways follow Redis within a second
            answers = [self.stack.ask("/v1/models", key)[0] for _ in range(3)]
            self.assertEqual(answers, [200, 200, 429], reset)

    def test_all_that_it_names_is_there(self):
        text = README.read_text()
        for path in set(re.findall(r"(?:load_tests|scripts|docs)/[\w./-]+\.(?:py|sh|md|txt)", text)):
            self.assertTrue((REPOSITORY / path).is_file(), path)
        for name in re.findall(r"^\| `([\w./]+)` \|", text, re.M):
            self.assertTrue((REPOSITORY / "load_tests" / name).exists(), name)

    def test_both_files_have_ten_prompts_and_the_tasks_their_weights(self):
        done = self.stack.python("-c", textwrap.dedent("""
            import sys
            sys.path.insert(0, "load_tests")
            import baseline_test, locustfile, collections
            print(len(set(baseline_test.PROMPTS)), len(set(locustfile.PROMPTS)))
            for user in (baseline_test.PromptAnalysisUser, locustfile.PromptAnalysisUser):
                print(sorted(collections.Counter(task.__name__ for task in user.tasks).items()))
        """), API_KEY="x", RATE_LIMIT_KEY="y")
        self.assertEqual(done.returncode, 0, done.stderr)
        prompts, *tasks = done.stdout.splitlines()
        self.assertEqual(prompts, "10 10")
        want = [("analyze_cached_prompt", 2), ("analyze_prompt", 10), ("check_cache_stats", 1), ("check_providers", 1)]
        self.assertEqual(tasks, [str(want)] * 2)


if __name__ == "__main__":
    unittest.main()
