#!/usr/bin/env python3
"""Checks what a load test gave: python scripts/check_load_test_results.py results/baseline_stats.csv

It reads the statistics that `locust --csv results/baseline` wrote, and the failures beside them (results/baseline_failures.csv).
A call that a limit refused (429) is expected and counts neither as a failure nor as a success.

Exit status: 0 all well, warnings included; 1 a threshold failed, or there were no calls; 2 the file cannot be used.

            baseline      warning       fails
P50         < 10 ms       > 50 ms       > 100 ms
P95         < 5000 ms     > 30000 ms    > 60000 ms
Failures    0%            > 0%          > 1%
Cache hits  > 10%         < 5%          < 1%
Refused                   > 50%
"""

import argparse
import csv
import dataclasses
import pathlib
import re
import sys

PASS, OFF, WARNING, FAIL, INFO = "pass", "off baseline", "warning", "FAIL", "-"

HTTP_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

# How load_tests/outcomes.py names the rows of calls that ended in a special way.
CACHED = " [cached]"
REFUSED = " [429]"

# How Locust's clients write a 429 that counts as a failure.
REFUSAL = re.compile(r"code=429\b|\b429 Client Error\b|Too Many Requests|^(?:\w+\(['\"])?429\b")

# With fewer calls than this, a row's percentiles say little.
FEW = 10


class BadInput(Exception):
    """The file is not what it should be."""


@dataclasses.dataclass(frozen=True)
class Threshold:
    """What a value should be below, and where warnings and failures begin. Where more is better, it is the other way round."""

    baseline: float
    warning: float
    critical: float
    unit: str
    more_is_better: bool = False

    def verdict(self, value: float) -> str:
        sign = -1 if self.more_is_better else 1
        if sign * value > sign * self.critical:
            return FAIL
        if sign * value > sign * self.warning:
            return WARNING
        return OFF if self.baseline != self.warning and sign * value >= sign * self.baseline else PASS

    def columns(self) -> tuple[str, str, str]:
        worse, better = ("<", ">") if self.more_is_better else (">", "<")
        baseline = f"{better} {self.baseline:g}" if self.baseline != self.warning else f"{self.baseline:g}"
        return baseline + self.unit, f"{worse} {self.warning:g}{self.unit}", f"{worse} {self.critical:g}{self.unit}"


P50 = Threshold(10, 50, 100, " ms")
P95 = Threshold(5000, 30_000, 60_000, " ms")
FAILURES = Threshold(0, 0, 1, "%")
CACHE_HITS = Threshold(10, 5, 1, "%", more_is_better=True)

# From this share of refused calls on, percent, a run says more about limits than about anything else.
MANY_REFUSALS = 50


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the statistics: the calls of one name."""

    method: str
    name: str
    requests: int
    failures: int
    p50: float
    p95: float
    per_second: float

    @property
    def is_http(self) -> bool:
        """Whether these are calls. Other types are measurements, such as TTFT."""
        return self.method in HTTP_METHODS

    @property
    def answered(self) -> bool:
        return self.is_http and not self.name.endswith(REFUSED)


def read_stats(path: pathlib.Path) -> tuple[list[Row], Row]:
    """The rows by name, and the aggregated one."""
    rows, aggregated = [], None
    for line in read_csv(path, ["Type", "Name", "Request Count", "Failure Count", "Requests/s", "50%", "95%"]):
        try:
            row = Row(line["Type"], line["Name"], int(line["Request Count"]), int(line["Failure Count"]),
                      number(line["50%"]), number(line["95%"]), float(line["Requests/s"]))
        except (TypeError, ValueError):
            raise BadInput(f"{path}: a line is cut off or no statistics: {','.join(map(str, line.values()))[:100]}") from None
        if row.name == "Aggregated" and not row.method:
            aggregated = row
        else:
            rows.append(row)
    if aggregated is None:
        raise BadInput(f"{path}: the Aggregated line is missing; was Locust ended before it wrote all?")
    if sum(row.requests for row in rows) != aggregated.requests:
        raise BadInput(f"{path}: the lines do not add up to the Aggregated one; lines are missing")
    return rows, aggregated


def number(text: str) -> float:
    """A percentile; Locust writes N/A where there were no calls."""
    return 0 if text == "N/A" else float(text)


def read_csv(path: pathlib.Path, wanted: list[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval=None)
            columns, lines = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: {error}") from None
    if not columns:
        raise BadInput(f"{path} is empty")
    missing = [name for name in wanted if name not in columns]
    if missing or "Timestamp" in columns:
        raise BadInput(f"{path} is not what it should be: give the file whose name ends with _stats.csv"
                       + (f" (no column {missing[0]!r})" if missing else ""))
    return lines


def count_refusals(path: pathlib.Path) -> int | None:
    """How many of the failures beside the statistics are 429s. None where there is no such file."""
    if not path.is_file():
        return None
    refusals = 0
    for line in read_csv(path, ["Error", "Occurrences"]):
        try:
            occurrences = int(line["Occurrences"])
            refusals += occurrences if REFUSAL.search(line["Error"]) else 0
        except (TypeError, ValueError):
            raise BadInput(f"{path}: a line is cut off: {','.join(map(str, line.values()))[:100]}") from None
    return refusals


def failures_beside(stats: pathlib.Path) -> pathlib.Path:
    return stats.with_name(stats.name.removesuffix("_stats.csv") + "_failures.csv")


class Results:
    """What a run gave, and what is to be thought of it."""

    def __init__(self, rows: list[Row], aggregated: Row, refused_failures: int | None):
        self.rows = rows
        self.calls = [row for row in rows if row.is_http]
        self.requests = sum(row.requests for row in self.calls)
        failures = sum(row.failures for row in self.calls)
        refused_failures = min(refused_failures or 0, failures)
        self.refused = refused_failures + sum(row.requests for row in self.calls if not row.answered)
        self.failures = failures - refused_failures
        self.answered = self.requests - self.refused
        # Percentiles cannot be added up. Where measurements are among the rows, the worst of the others' stands for all.
        measured = len(self.calls) < len(rows)
        telling = [row for row in self.calls if row.answered and row.requests >= FEW] or self.calls
        self.p50 = max((row.p50 for row in telling), default=0) if measured else aggregated.p50
        self.p95 = max((row.p95 for row in telling), default=0) if measured else aggregated.p95
        self.per_second = sum(row.per_second for row in self.calls)
        self.cached = [row for row in self.calls if row.name.endswith(CACHED)]

    def hit_rate(self) -> float | None:
        """Answers from the cache, in percent of all whose name says that the cache was asked. None where no name does."""
        if not self.cached:
            return None
        names = {row.name.removesuffix(CACHED) for row in self.cached}
        hits = sum(row.requests for row in self.cached)
        return 100 * hits / (hits + sum(row.requests for row in self.calls if row.name in names))

    def table(self, p50_of: str, required: list[str]) -> list[tuple[str, ...]]:
        """Lines of metric, value, baseline, warning, critical and verdict."""
        lines = [("Calls", f"{self.requests}", "some", "", "0", PASS if self.answered else FAIL)]

        def add(metric: str, value: float, threshold: Threshold, form: str = "{:g} ms"):
            lines.append((metric, form.format(value), *threshold.columns(), threshold.verdict(value)))

        if self.answered:
            add("Failure rate, without 429", 100 * self.failures / self.answered, FAILURES, "{:.2f}%")
            if p50_of == "all":
                add("P50 latency", self.p50, P50)
            elif self.cached:
                add("P50 latency, cached answers", max(row.p50 for row in self.cached), P50)
            add("P95 latency", self.p95, P95)
        lines.append(("Requests per second", f"{self.per_second:.1f}", "", "", "", INFO))
        rate = self.hit_rate()
        if rate is not None:
            add("Cache hit rate", rate, CACHE_HITS, "{:.1f}%")
        else:
            lines.append(("Cache hit rate", "unknown", *CACHE_HITS.columns(), FAIL if "cache-hits" in required else INFO))
        if self.refused or "rate-limits" in required:
            share = 100 * self.refused / max(self.requests, 1)
            verdict = FAIL if not self.refused else WARNING if share > MANY_REFUSALS else PASS
            lines.append(("Refused by a limit (429)", f"{self.refused} ({share:.1f}%)", "", f"> {MANY_REFUSALS}%", "", verdict))
        return lines

    def names(self, p50_of: str) -> list[tuple[str, ...]]:
        """Lines of type, name, calls, failures, P50, P95 and verdict."""
        return [(row.method, row.name, f"{row.requests}", f"{row.failures}", f"{row.p50:g}", f"{row.p95:g}",
                 judge(row, p50_of)) for row in self.rows]


def judge(row: Row, p50_of: str) -> str:
    """A name is judged by its percentiles; failures are judged for all together."""
    if not row.answered:
        return INFO
    if row.requests < FEW:
        return "few"
    verdicts = [P95.verdict(row.p95)]
    if p50_of == "all" or row.name.endswith(CACHED):
        verdicts.append(P50.verdict(row.p50))
    return worst(verdicts)


def worst(verdicts: list[str]) -> str:
    return next((v for v in (FAIL, WARNING, OFF) if v in verdicts), PASS)


def show(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *lines)]
    for line in (head, tuple("-" * width for width in widths), *lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stats", type=pathlib.Path, help="the file whose name ends with _stats.csv")
    parser.add_argument("--p50-of", choices=["all", "cached"], default="all",
                        help="judge P50 for all answers (the default), or for cached ones alone, where a real model takes its time")
    parser.add_argument("--require", choices=["cache-hits", "rate-limits"], action="append", default=[],
                        help="fail where there were none; may be repeated")
    arguments = parser.parse_args(argv)
    beside = failures_beside(arguments.stats)
    try:
        rows, aggregated = read_stats(arguments.stats)
        refused_failures = count_refusals(beside)
    except BadInput as fault:
        print(f"check_load_test_results.py: {fault}", file=sys.stderr)
        return 2

    results = Results(rows, aggregated, refused_failures)
    table, names = results.table(arguments.p50_of, arguments.require), results.names(arguments.p50_of)
    show(("Metric", "Value", "Baseline", "Warning", "Fails", "Verdict"), table)
    print()
    show(("Type", "Name", "Calls", "Failures", "P50", "P95", "Verdict"), names)
    print()
    if refused_failures is None and results.failures:
        print(f"There is no {beside}, so every failure counts as a real one, 429s too.")
    if results.requests and not results.answered:
        print("A limit refused every call, so nothing was measured. Use fresh keys: load_tests/create_keys.py makes them.")
    verdicts = [line[-1] for line in table + names]
    overall = worst(verdicts)
    print(f"{arguments.stats}: {overall}")
    return 1 if overall == FAIL else 0


if __name__ == "__main__":
    sys.exit(main())
