"""check_load_test_results.py, on files that Locust wrote (testdata/) and on others that are made here."""

import contextlib
import csv
import importlib.util
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "check_load_test_results.py"
TESTDATA = pathlib.Path(__file__).with_name("testdata")

STATS = ["Type", "Name", "Request Count", "Failure Count", "Requests/s", "50%", "95%"]


spec = importlib.util.spec_from_file_location("check_load_test_results", SCRIPT)
script = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = script  # dataclasses look there
spec.loader.exec_module(script)


def check(path: pathlib.Path, *options: str) -> subprocess.CompletedProcess:
    """Runs the script's main, which is quicker than another Python."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = script.main([str(path), *options])
    return subprocess.CompletedProcess([], status, out.getvalue(), err.getvalue())


class Files(unittest.TestCase):
    """What Locust wrote."""

    def check(self, name: str, status: int, *says: str, options: tuple[str, ...] = ()):
        done = check(TESTDATA / name, *options)
        output = done.stdout + done.stderr
        self.assertEqual(done.returncode, status, output)
        self.assertNotIn("Traceback", output)
        for text in says:
            self.assertIn(text, output)
        return done.stdout

    def test_a_good_run_passes(self):
        self.check("baseline_stats.csv", 0, "baseline_stats.csv: pass", options=("--require", "cache-hits"))

    def test_failures_over_one_percent_fail(self):
        self.check("failing_stats.csv", 1, "failing_stats.csv: FAIL")

    def test_calls_that_limits_refused_are_no_failures(self):
        output = self.check("stress_stats.csv", 0, options=("--require", "rate-limits"))
        self.assertRegex(output, r"Failure rate, without 429 +0\.00%")
        self.assertRegex(output, r"Refused by a limit \(429\) +\d+ \(")

    def test_refusals_that_another_locustfile_counts_as_failures_are_told_apart(self):
        output = self.check("naive_stats.csv", 0)
        self.assertRegex(output, r"Failure rate, without 429 +0\.00%")
        self.assertRegex(output, r"Refused by a limit \(429\) +57 \(")

    def test_without_the_failures_beside_every_failure_counts(self):
        with tempfile.TemporaryDirectory() as directory:
            alone = pathlib.Path(directory, "naive_stats.csv")
            alone.write_bytes((TESTDATA / "naive_stats.csv").read_bytes())
            done = check(alone)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("There is no", done.stdout)
        self.assertIn("naive_failures.csv", done.stdout)

    def test_measurements_are_shown_but_are_no_calls(self):
        output = self.check("native_stats.csv", 0)
        with (TESTDATA / "native_stats.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        calls = sum(int(row["Request Count"]) for row in rows if row["Type"] in ("GET", "POST"))
        self.assertRegex(output, rf"Calls +{calls} ")
        self.assertRegex(output, r"TOK/S +/v1/chat/completions \(stream\)")

    def test_what_cannot_be_used_ends_with_status_2(self):
        for name, says in {
            "empty_stats.csv": "is empty",
            "truncated_stats.csv": "",
            "baseline_failures.csv": "_stats.csv",
            "baseline_stats_history.csv": "_stats.csv",
            "nowhere_stats.csv": "No such file",
        }.items():
            with self.subTest(name):
                self.assertEqual(self.check(name, 2, says), "")


class Thresholds(unittest.TestCase):
    """What is made of figures."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name, "made_stats.csv")

    def write(self, *rows: tuple, aggregated: tuple | None = None, failures: tuple[tuple, ...] = ()):
        """Rows are type, name, calls, failures, P50 and P95."""
        total = aggregated or ("", "Aggregated", sum(r[2] for r in rows), sum(r[3] for r in rows), max(r[4] for r in rows), max(r[5] for r in rows))
        with self.path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(STATS)
            for kind, name, calls, failed, p50, p95 in (*rows, total):
                writer.writerow([kind, name, calls, failed, calls / 60, p50, p95])
        with self.path.with_name("made_failures.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("Method", "Name", "Error", "Occurrences"), *failures])

    def verdict(self, *options: str) -> tuple[int, str]:
        done = check(self.path, *options)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()[-1].rpartition(": ")[2]

    def test_each_threshold_where_it_begins(self):
        path = "/v1/analyze/"
        for p50, p95, failed, want in [
            (9, 4999, 0, (0, "pass")),
            (10, 4999, 0, (0, "off baseline")), (50, 0, 0, (0, "off baseline")), (51, 0, 0, (0, "warning")),
            (100, 0, 0, (0, "warning")), (101, 0, 0, (1, "FAIL")),
            (9, 5000, 0, (0, "off baseline")), (9, 30000, 0, (0, "off baseline")), (9, 30001, 0, (0, "warning")),
            (9, 60000, 0, (0, "warning")), (9, 60001, 0, (1, "FAIL")),
            (9, 0, 1, (0, "warning")), (9, 0, 10, (0, "warning")), (9, 0, 11, (1, "FAIL")), (9, 0, 1000, (1, "FAIL")),
        ]:
            with self.subTest(p50=p50, p95=p95, failed=failed):
                self.write(("POST", path, 1000, failed, p50, p95))
                self.assertEqual(self.verdict(), want)

    def test_the_cache_hit_rate_is_that_of_the_names_that_ask_the_cache(self):
        for hits, want in {990: (0, "pass"), 101: (0, "pass"), 100: (0, "off baseline"), 50: (0, "off baseline"), 49: (0, "warning"),
                           10: (0, "warning"), 9: (1, "FAIL")}.items():
            with self.subTest(hits=hits):
                self.write(("POST", "/v1/analyze/", 1000 - hits, 0, 1, 2), ("POST", "/v1/analyze/ [cached]", hits, 0, 1, 2),
                           ("GET", "/v1/analyze/providers", 5000, 0, 1, 2), ("POST", "/v1/analyze/ [429]", 500, 0, 1, 2))
                self.assertEqual(self.verdict(), want)

    def test_a_slow_name_shows_behind_a_good_total(self):
        slow = ("GET", "/v1/analyze/providers", 10, 0, 300, 400)
        self.write(("POST", "/v1/analyze/", 1000, 0, 1, 2), slow, aggregated=("", "Aggregated", 1010, 0, 1, 3))
        self.assertEqual(self.verdict(), (1, "FAIL"))
        self.write(("POST", "/v1/analyze/", 1000, 0, 1, 2), (*slow[:2], 9, *slow[3:]), aggregated=("", "Aggregated", 1009, 0, 1, 3))
        self.assertEqual(self.verdict(), (0, "pass"), "nine calls say nothing")

    def test_a_real_models_time_is_not_the_gateways(self):
        self.write(("POST", "/v1/analyze/", 1000, 0, 1500, 4000), ("POST", "/v1/analyze/ [cached]", 200, 0, 1, 2))
        self.assertEqual(self.verdict(), (1, "FAIL"))
        self.assertEqual(self.verdict("--p50-of", "cached"), (0, "pass"))
        self.write(("POST", "/v1/analyze/", 1000, 0, 1500, 4000), ("POST", "/v1/analyze/ [cached]", 200, 0, 101, 102))
        self.assertEqual(self.verdict("--p50-of", "cached"), (1, "FAIL"))

    def test_only_a_429_is_a_refusal(self):
        for error, want in {
            "LocustBadStatusCode(code=429)": (0, "warning"),
            "HTTPError('429 Client Error: Too Many Requests for url: /v1/analyze/')": (0, "warning"),
            "CatchResponseError('429 without Retry-After')": (0, "warning"),
            "LocustBadStatusCode(code=500)": (1, "FAIL"),
            "HTTPError('500 Server Error: Internal Server Error for url: http://localhost:429/v1/429')": (1, "FAIL"),
            "ConnectionRefusedError(111, 'Connection refused')": (1, "FAIL"),
            "CatchResponseError('4290')": (1, "FAIL"),
        }.items():
            with self.subTest(error):
                self.write(("POST", "/v1/analyze/", 1000, 600, 1, 2), failures=(("POST", "/v1/analyze/", error, 600),))
                self.assertEqual(self.verdict(), want)

    def test_refusals_hide_no_failures(self):
        self.write(("POST", "/v1/analyze/", 100, 2, 1, 2), ("POST", "/v1/analyze/ [429]", 900, 0, 1, 2))
        self.assertEqual(self.verdict(), (1, "FAIL"), "2 of 100 answered calls failed")

    def test_a_run_that_measured_nothing_fails(self):
        self.write(("POST", "/v1/analyze/ [429]", 100, 0, 1, 2))
        self.assertEqual(check(self.path).returncode, 1)
        self.assertIn("create_keys.py", check(self.path).stdout)
        self.write(aggregated=("", "Aggregated", 0, 0, "N/A", "N/A"))
        self.assertEqual(self.verdict(), (1, "FAIL"))

    def test_what_is_required_must_have_been_seen(self):
        self.write(("POST", "/v1/analyze/", 1000, 0, 1, 2))
        self.assertEqual(self.verdict(), (0, "pass"))
        for what in ("cache-hits", "rate-limits"):
            self.assertEqual(self.verdict("--require", what), (1, "FAIL"), what)

    def test_a_file_that_lacks_lines_is_no_good_run(self):
        self.write(("POST", "/v1/analyze/", 1000, 0, 1, 2), aggregated=("", "Aggregated", 1001, 0, 1, 2))
        self.assertEqual(check(self.path).returncode, 2)
        self.write(("POST", "/v1/analyze/", 1000, 5, 1, 2))
        self.path.with_name("made_failures.csv").write_text('Method,Name,Error,Occurrences\nPOST,/v1/analyze/,"LocustBadSta')
        self.assertEqual(check(self.path).returncode, 2)


class CommandLine(unittest.TestCase):
    def test_the_verdict_is_the_exit_status(self):
        for name, want in {"baseline": 0, "failing": 1, "truncated": 2}.items():
            done = subprocess.run([sys.executable, SCRIPT, TESTDATA / f"{name}_stats.csv"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, want, done.stdout + done.stderr)

    def test_help_tells_thresholds_and_statuses(self):
        done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0)
        for text in ("Exit status", "> 100 ms", "--require"):
            self.assertIn(text, done.stdout)


if __name__ == "__main__":
    unittest.main()
