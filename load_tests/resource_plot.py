"""Draws curves over time as an SVG picture: panels one below the other, each with its own scale that begins at zero."""

import dataclasses
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 220  # of a panel, with its margins
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 30, 30
COLORS = ["#1f6feb", "#d1741b"]


@dataclasses.dataclass
class Curve:
    """A name, and a value for each time."""

    name: str
    values: list[float]


def draw(times: list[float], panels: list[tuple[str, list[Curve]]]) -> str:
    """The picture. A panel is a title and its curves; times are seconds."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(panels)}" '
             f'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    for i, (title, curves) in enumerate(panels):
        parts += [f'<g transform="translate(0 {HEIGHT * i})">', *panel(times, title, curves), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def panel(times: list[float], title: str, curves: list[Curve]) -> list[str]:
    step = tick(max(max(c.values) for c in curves))
    top = step * math.ceil(max(max(c.values) for c in curves) / step)
    end = max(times[-1], 1)

    def x(t: float) -> float:
        return LEFT + t / end * (WIDTH - LEFT - RIGHT)

    def y(v: float) -> float:
        return HEIGHT - BOTTOM - v / top * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>']
    for n in range(round(top / step) + 1):
        at = y(n * step)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{n * step:g}</text>')
    pace = tick(end)
    for n in range(int(end / pace) + 1):
        parts.append(f'<text x="{x(n * pace):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{n * pace:g} s</text>')
    for i, (curve, color) in enumerate(zip(curves, COLORS, strict=False)):
        points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times, curve.values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
                     f'<text x="{WIDTH - RIGHT - 110 * i}" y="18" text-anchor="end" fill="{color}">{escape(curve.name)}</text>')
    return parts


def tick(largest: float) -> float:
    """A round step that divides the way to the largest value into two to five parts."""
    if largest <= 0:
        return 1
    power = 10 ** math.floor(math.log10(largest))
    return next(f * power for f in (0.2, 0.5, 1, 2) if largest / (f * power) <= 5)
