#!/usr/bin/env python3
"""Watches what a gateway uses while a load test runs, and tells afterwards whether it grew.

    python load_tests/gateway_resources.py record results/endurance_resources.csv --host http://localhost:8000
    python load_tests/gateway_resources.py report results/endurance_resources.csv --plot results/endurance_resources.svg --max-growth 110

record asks /v1/metrics once a second until it gets SIGTERM or Ctrl-C. report prints what was seen, and ends with status 1 where
the gateway did not answer, answered 5xx, was left with calls, or grew beyond --max-growth between a quarter of the run and its end.
"""

import argparse
import csv
import pathlib
import re
import signal
import statistics
import sys
import threading
import time
import urllib.request

from resource_plot import Curve, draw

# Columns of the CSV file, and the metrics that they sum up.
METRICS = {
    "resident_bytes": re.compile(r"^process_resident_memory_bytes (\S+)", re.M),
    "heap_bytes": re.compile(r"^go_memstats_heap_inuse_bytes (\S+)", re.M),
    "goroutines": re.compile(r"^go_goroutines (\S+)", re.M),
    "open_files": re.compile(r"^process_open_fds (\S+)", re.M),
    "in_flight": re.compile(r"^gateway_requests_in_flight (\S+)", re.M),
    "calls": re.compile(r"^gateway_requests_total\{[^}]*\} (\S+)", re.M),
    "server_errors": re.compile(r"^gateway_requests_total\{[^}]*code=\"5\d\d\"[^}]*\} (\S+)", re.M),
}

MEGABYTE = 1e6

# What grows by less than this, in percent of what it was, may do so; so may counts by a few.
SLACK = 10

# How long calls may still be in progress once the load is over, in seconds.
SETTLE = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    recorder = commands.add_parser("record", help="sample a gateway until SIGTERM or Ctrl-C")
    recorder.add_argument("samples", type=pathlib.Path, help="the CSV file to write")
    recorder.add_argument("--host", default="http://localhost:8000", help="the gateway (default %(default)s)")
    recorder.add_argument("--every", type=float, default=1, metavar="SECONDS", help="between samples (default %(default)s)")
    recorder.add_argument("--progress", type=float, default=30, metavar="SECONDS", help="between lines on the screen (default %(default)s)")
    recorder.set_defaults(run=record)
    reporter = commands.add_parser("report", help="tell what the samples show")
    reporter.add_argument("samples", type=pathlib.Path, help="the CSV file that record wrote")
    reporter.add_argument("--plot", type=pathlib.Path, metavar="SVG", help="draw the samples into this file")
    reporter.add_argument("--max-growth", type=float, metavar="PERCENT",
                          help="fail where memory, goroutines or files at the end are more than this, in percent of a quarter of the run")
    reporter.set_defaults(run=report)
    arguments = parser.parse_args()
    return arguments.run(arguments)


def record(arguments: argparse.Namespace) -> int:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    start = time.monotonic()
    told = 0.0
    arguments.samples.parent.mkdir(parents=True, exist_ok=True)
    with arguments.samples.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["seconds", *METRICS])
        writer.writeheader()

        def take() -> dict[str, float]:
            sample = {"seconds": round(time.monotonic() - start, 1), **ask(arguments.host)}
            writer.writerow(sample)
            file.flush()
            return sample

        while not stopped.is_set():
            sample = take()
            if sample["seconds"] - told >= arguments.progress:
                told = sample["seconds"]
                print(describe(sample), file=sys.stderr, flush=True)
            stopped.wait(arguments.every)
        # The load is over; what is in progress may end first.
        deadline = time.monotonic() + SETTLE
        while take().get("in_flight", 0) and time.monotonic() < deadline:
            time.sleep(0.1)
    return 0


def ask(host: str) -> dict[str, float]:
    """One sample. It is empty where the gateway does not answer."""
    try:
        with urllib.request.urlopen(host.rstrip("/") + "/v1/metrics", timeout=10) as response:
            text = response.read().decode()
    except (OSError, ValueError):
        return {}
    sample = {name: sum(map(float, pattern.findall(text))) for name, pattern in METRICS.items()}
    sample["in_flight"] = max(0, sample["in_flight"] - 1)  # without the question itself
    return sample


def describe(sample: dict[str, float]) -> str:
    at = f"{int(sample['seconds']) // 60}:{int(sample['seconds']) % 60:02}"
    if "calls" not in sample:
        return f"{at}  the gateway does not answer"
    return (f"{at}  {sample['calls']:.0f} calls, {sample['server_errors']:.0f} of them 5xx, {sample['in_flight']:.0f} in progress; "
            f"{sample['resident_bytes'] / MEGABYTE:.1f} MB resident, {sample['goroutines']:.0f} goroutines")


def report(arguments: argparse.Namespace) -> int:
    try:
        samples, silent = read(arguments.samples)
    except (OSError, ValueError, KeyError) as error:
        print(f"gateway_resources.py: {arguments.samples}: {error!r}", file=sys.stderr)
        return 2
    if not samples:
        print(f"gateway_resources.py: {arguments.samples} has no samples", file=sys.stderr)
        return 2
    last, duration = samples[-1], samples[-1]["seconds"]
    faults = []
    print(f"{len(samples)} samples in {duration:.0f} s; at the end: {describe(last)}")
    if silent:
        faults.append(f"the gateway did not answer {silent} times")
    if last["server_errors"]:
        faults.append(f"{last['server_errors']:.0f} calls ended with 5xx")
    if last["in_flight"]:
        faults.append(f"{last['in_flight']:.0f} calls were in progress {SETTLE} s after the load")
    for column, what, unit, few in (
            ("resident_bytes", "resident memory", MEGABYTE, 0), ("goroutines", "goroutines", 1, SLACK), ("open_files", "open files", 1, SLACK)):
        quarter, end = around(samples, column, duration / 4), around(samples, column, duration)
        percent = 100 * end / quarter
        print(f"{what} at the end: {percent:.0f}% of that at a quarter of the run "
              f"({quarter / unit:.4g} then, {end / unit:.4g} at the end, {max(s[column] for s in samples) / unit:.4g} at most)")
        if arguments.max_growth and percent > arguments.max_growth and end - quarter > few:
            faults.append(f"{what} grew to {percent:.0f}%, more than {arguments.max_growth:g}%")
    if arguments.plot:
        arguments.plot.write_text(plot(samples))
        print(f"drawn: {arguments.plot}")
    for fault in faults:
        print(f"FAIL: {fault}")
    return 1 if faults else 0


def read(path: pathlib.Path) -> tuple[list[dict[str, float]], int]:
    """The samples, and how many are without an answer."""
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    samples = [{name: float(value) for name, value in line.items()} for line in lines if line["resident_bytes"]]
    return samples, len(lines) - len(samples)


def around(samples: list[dict[str, float]], column: str, at: float) -> float:
    """The median within a twentieth of the run before a time, so that one collection of garbage more or less says nothing."""
    span = max(samples[-1]["seconds"] / 20, 1)
    within = [s[column] for s in samples if at - span <= s["seconds"] <= at]
    return statistics.median(within or [min(samples, key=lambda s: abs(s["seconds"] - at))[column]])


def plot(samples: list[dict[str, float]]) -> str:
    times = [s["seconds"] for s in samples]

    def curve(column: str, unit: float = 1) -> list[float]:
        return [s[column] / unit for s in samples]

    return draw(times, [
        ("Memory, MB", [Curve("resident", curve("resident_bytes", MEGABYTE)), Curve("heap in use", curve("heap_bytes", MEGABYTE))]),
        ("Count", [Curve("goroutines", curve("goroutines")), Curve("open files", curve("open_files"))]),
    ])


if __name__ == "__main__":
    sys.exit(main())
