"""Run ``python -m connector.publish`` in a process of its own, with limits on time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from connector.publish.decode import UnreadableFileError
from connector.settings import ConnectorSettings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """What the child reads and writes. ``arrow`` None means: report only."""

    file: Path
    filename: str
    errors: Path
    columns: tuple[dict[str, Any], ...] = ()
    arrow: Path | None = None
    metadata: dict[str, str] | None = None
    sample_rows: int = 0


def run_check(job: Job, settings: ConnectorSettings) -> dict[str, Any]:
    """Read a file in a child process and return its report.

    Raises:
        UnreadableFileError: The file cannot be read, kills its reader, or takes too long.
    """
    job_path, report_path = job.file.with_suffix(".job"), job.file.with_suffix(".report")
    report_path.unlink(missing_ok=True)
    values = {
        "file": str(job.file),
        "filename": job.filename,
        "errors": str(job.errors),
        "columns": list(job.columns),
        "arrow": None if job.arrow is None else str(job.arrow),
        "metadata": job.metadata,
        "sample_rows": job.sample_rows,
        "memory_bytes": settings.check_memory_bytes,
        "report": str(report_path),
    }
    job_path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    try:
        done = subprocess.run(  # noqa: S603 - our own module, a path that we made
            [sys.executable, "-m", "connector.publish", str(job_path)],
            capture_output=True,
            timeout=settings.check_seconds_max,
            check=False,
        )
        if done.returncode != 0 or not report_path.exists():
            log.warning(
                "file_check_died",
                code=done.returncode,
                error=done.stderr.decode(errors="replace")[-1000:],
            )
            raise UnreadableFileError(
                "파일을 읽다가 멈췄습니다. 손상되었거나 너무 큰 파일입니다.",
                "Reading the file failed: it is damaged or too large.",
            )
        report: dict[str, Any] = json.loads(report_path.read_text(encoding="utf-8"))
    except subprocess.TimeoutExpired:
        raise UnreadableFileError(
            f"파일을 {settings.check_seconds_max:.0f}초 안에 읽지 못했습니다.",
            f"The file could not be read within {settings.check_seconds_max:.0f} seconds.",
        ) from None
    finally:
        job_path.unlink(missing_ok=True)
        report_path.unlink(missing_ok=True)
    if "error" in report:
        log.info("file_unreadable", cause=report.get("cause", ""))
        raise UnreadableFileError(report["error"]["ko"], report["error"]["en"])
    return report
