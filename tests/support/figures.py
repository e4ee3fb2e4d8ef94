"""Figures that benchmarks measure, each beside its limit of the same run, and where they go."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from databank.kit.clock import system_clock

PACKAGES: Final = ("duckdb", "pyarrow", "fastapi", "uvicorn", "sqlalchemy", "cryptography")
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


def _now() -> str:
    return system_clock().astimezone(UTC).isoformat(timespec="seconds")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True)
class Figure:
    """One thing, measured several times; ``limits`` are of the same rounds.

    ``is_rate`` says whether more is better. The ratio is the speed as a share of the limit's.
    """

    group: str
    name: str
    unit: str
    values: Sequence[float]
    limit: str = ""
    limits: Sequence[float] = ()
    is_rate: bool = False

    @property
    def p50(self) -> float:
        return statistics.median(self.values)

    @property
    def limit_p50(self) -> float | None:
        return statistics.median(self.limits) if self.limits else None

    @property
    def ratios(self) -> list[float]:
        """Return the ratio of each round, or of the medians where rounds are not pairs."""
        if not self.limits:
            return []
        if len(self.limits) == len(self.values):
            pairs = list(zip(self.values, self.limits, strict=True))
        else:
            pairs = [(self.p50, statistics.median(self.limits))]
        return [value / limit if self.is_rate else limit / value for value, limit in pairs]

    def to_json(self) -> dict[str, Any]:
        ratios = self.ratios
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "rounds": len(self.values),
            "p50": self.p50,
            "p95": quantile(self.values, 0.95),
            "min": min(self.values),
            "max": max(self.values),
            "limit": self.limit or None,
            "limit_p50": self.limit_p50,
            "ratio_p50": statistics.median(ratios) if ratios else None,
            "ratio_min": min(ratios, default=None),
            "ratio_max": max(ratios, default=None),
        }


@dataclass
class Figures:
    """All figures of one run."""

    folder: Path
    began: str = field(default_factory=_now)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    measured: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        self.measured.append(figure)

    def write(self) -> Path:
        """Write ``results.json`` and return its path."""
        content = {
            "began": self.began,
            "ended": _now(),
            "machine": machine(self.folder),
            "load_average": {"before": self.load_before, "after": os.getloadavg()[0]},
            "figures": [figure.to_json() for figure in self.measured],
        }
        path = self.folder / "results.json"
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
        return path

    def table(self) -> str:
        """Return the figures as Markdown, one table a group."""
        lines: list[str] = []
        group = ""
        for figure in sorted(self.measured, key=lambda each: each.group):
            if figure.group != group:
                group = figure.group
                lines += ["", f"### {group}", "", _HEAD, _RULE]
            lines.append(_line(figure))
        return "\n".join(lines)


_HEAD: Final = "| what | p50 | p95 | unit | limit in the same run | its p50 | ratio (min–max) | n |"
_RULE: Final = "| --- | ---: | ---: | --- | --- | ---: | ---: | ---: |"


def _line(figure: Figure) -> str:
    limit = figure.limit_p50
    cells = (
        figure.name,
        _number(figure.p50),
        _number(quantile(figure.values, 0.95)),
        figure.unit,
        figure.limit or "–",
        "–" if limit is None else _number(limit),
        _ratio(figure.ratios),
        str(len(figure.values)),
    )
    return f"| {' | '.join(cells)} |"


def _ratio(ratios: Sequence[float]) -> str:
    if not ratios:
        return "–"
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f}–{max(ratios):.2f})"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine(folder: Path) -> dict[str, Any]:
    """Describe the machine without naming it."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": file_system(folder),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def file_system(folder: Path) -> str:
    """Return the kind of file system that ``folder`` lies on."""
    inside = [
        part
        for part in psutil.disk_partitions(all=True)
        if folder.resolve().is_relative_to(part.mountpoint)
    ]
    return max(inside, key=lambda part: len(part.mountpoint)).fstype
