"""The commands of README.md work as they are written.

Every block that is marked as bash runs, and every step of the CI example that concerns these tests. Blocks that are marked as sh
need Docker, the network, or much time, and do not.
"""

import concurrent.futures
import dataclasses
import json
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

from stack import REPOSITORY, Stack

README = REPOSITORY / "load_tests" / "README.md"

# Stand before the real programs in PATH: they send them to the gateway and the Redis of this test, and cut the time short.
SHIMS = {
    "locust": """
        time=2s
        case " $* " in
        *" --csv "*) time=3s ;; # what it writes once a second lacks the last one
        *" --headless "*) ;;
        *) set -- "$@" --web-host 127.0.0.1 --web-port "$WEB_PORT" --autostart --autoquit 0 --users 5 ;;
        esac
        exec "$PYTHON" -m locust "$@" --host "$TEST_HOST" --run-time $time --spawn-rate 100 --json-file "$PWD/runs/$$"
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
            scripts.append("".join(textwrap.dedent(step) for _, step in steps if ".env" not in step))
    return scripts


@dataclasses.dataclass
class Run:
    """A block that ran, with the statistics of each Locust in it and the names of its result files."""

    script: str
    done: subprocess.CompletedProcess
    statistics: list[list[dict]]
    results: set[str]


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(redis=True)
        cls.addClassCleanup(cls.stack.stop)
        shims = cls.stack.root / "shims"
        shims.mkdir()
        for name, text in SHIMS.items():
            path = shims / name
            path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        cls.environment = {
            "PATH": f"{shims}:{cls.stack.environment['PATH']}", "PYTHON": sys.executable, "TEST_HOST": cls.stack.host, "WEB_PORT": "0",
            "REDIS_CLI": shutil.which("redis-cli"), "REDIS_PORT": str(cls.stack.redis_port),
        }

    def run_block(self, script: str) -> Run:
        """Runs a block in a directory of its own, so that several can run at once."""
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.stack.root))
        for name in ("load_tests", "scripts"):
            (directory / name).symlink_to(self.stack.root / name)
        (directory / "runs").mkdir()
        command = script.replace("curl http://localhost:8000", f"curl {self.stack.host}")
        done = self.stack.command(["bash", "-euo", "pipefail", "-c", command], directory, **self.environment)
        statistics = [json.loads(path.read_text()) for path in (directory / "runs").iterdir()]
        return Run(script, done, statistics, {path.name for path in directory.glob("results/*")})

    def test_every_command_works_and_makes_calls_that_succeed(self):
        self.stack.make_keys()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            runs = list(pool.map(self.run_block, blocks()))
        for run in runs:
            with self.subTest(run.script):
                output = run.done.stdout[-3000:] + run.done.stderr[-3000:]
                self.assertEqual(run.done.returncode, 0, output)
                self.assertEqual(len(run.statistics) > 0, "locust" in run.script)
                for rows in run.statistics:
                    self.assertGreater(sum(row["num_requests"] for row in rows), 0, output)
                    self.assertEqual(sum(row["num_failures"] for row in rows), 0, output)
                if "--csv" in run.script:
                    self.assertTrue(any(name.endswith("_stats.csv") for name in run.results), run.results)
                if "/v1/health" in run.script:
                    self.assertEqual(json.loads(run.done.stdout)["status"], "ok")
                if "ping" in run.script:
                    self.assertEqual(run.done.stdout, "PONG\n")
        self.assertGreater(sum(len(run.statistics) for run in runs), 15)

    def test_limits_are_reset_by_the_command_that_says_so(self):
        key = self.stack.make_keys()["RATE_LIMIT_KEY"]
        while self.stack.ask("/v1/models", key)[0] == 200:
            pass
        for reset in (script for script in blocks() if re.search("^redis-cli (KEYS|FLUSHALL)", script, re.M)):
            self.assertEqual(self.stack.ask("/v1/models", key)[0], 429)
            self.assertEqual(self.run_block(reset).done.returncode, 0)
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
