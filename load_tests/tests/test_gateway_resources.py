"""What gateway_resources.py makes of samples."""

import csv
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "gateway_resources.py"

COLUMNS = ["seconds", "resident_bytes", "heap_bytes", "goroutines", "open_files", "in_flight", "calls", "server_errors"]


class Report(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name, "samples.csv")

    def report(self, memory=lambda t: 70e6, goroutines=lambda t: 50, silent=(), last=(0, 1200, 0), *options: str) -> subprocess.CompletedProcess:
        """Samples of twenty minutes. last is in_flight, calls and server_errors at the end."""
        with self.path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for t in range(1201):
                writer.writerow([t] + ([""] * 7 if t in silent else [memory(t), 9e6, goroutines(t), 30, *(last if t == 1200 else (5, t, 0))]))
        command = [sys.executable, SCRIPT, "report", self.path, "--max-growth", "110", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def assert_fails(self, done: subprocess.CompletedProcess, says: str):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(f"FAIL: {says}", done.stdout)

    def test_a_steady_gateway_passes(self):
        # It warms up, and garbage comes and goes.
        done = self.report(memory=lambda t: min(70e6, 50e6 + t * 1e6) + t % 7 * 1e6)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("resident memory at the end: 100% of that at a quarter of the run", done.stdout)

    def test_memory_that_grows_fails(self):
        for per_second, fails in {5_000: False, 7_000: False, 10_000: True, 100_000: True}.items():
            with self.subTest(per_second):
                done = self.report(memory=lambda t: 70e6 + t * per_second)
                if fails:
                    self.assert_fails(done, "resident memory grew")
                else:
                    self.assertEqual(done.returncode, 0, done.stdout)

    def test_one_last_peak_is_no_growth(self):
        self.assertEqual(self.report(memory=lambda t: 140e6 if t == 1200 else 70e6).returncode, 0)

    def test_goroutines_that_stay_fail(self):
        self.assert_fails(self.report(goroutines=lambda t: 50 + t / 10), "goroutines grew")

    def test_a_gateway_that_was_silent_fails(self):
        self.assert_fails(self.report(silent={700, 701}), "the gateway did not answer 2 times")

    def test_5xx_and_calls_that_do_not_end_fail(self):
        self.assert_fails(self.report(last=(0, 1200, 1)), "1 calls ended with 5xx")
        self.assert_fails(self.report(last=(3, 1200, 0)), "3 calls were in progress")

    def test_the_plot_is_a_picture_with_each_curve(self):
        picture = self.path.with_suffix(".svg")
        self.report(lambda t: 70e6, lambda t: 50, (), (0, 1200, 0), "--plot", str(picture))
        root = xml.etree.ElementTree.parse(picture).getroot()
        lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
        self.assertEqual(len(lines), 4)
        for line in lines:
            points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
            self.assertEqual(len(points), 1201)
            self.assertTrue(all(0 <= x <= 760 and 0 <= y <= 220 for x, y in points))

    def test_what_are_no_samples_ends_with_status_2(self):
        for text in ("", "seconds,resident_bytes\n", "a,b\n1,2\n", "seconds,resident_bytes\n1,much\n"):
            with self.subTest(text):
                self.path.write_text(text)
                done = subprocess.run([sys.executable, SCRIPT, "report", self.path], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 2, done.stdout)
                self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
