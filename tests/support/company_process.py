"""A connector in an operating system process of its own, for benchmarks and crashes."""

from __future__ import annotations

import json
import multiprocessing as mp
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI

from connector.app import create_app
from connector.settings import ConnectorSettings, IdentityCheck
from databank.kit.keys import ADMIN_TOKEN_FILE
from schemas.ids import ParticipantId
from schemas.participant import Participant
from tests.support.connectors import Registry, publish
from tests.support.migrated import with_tables
from tests.support.serve import serve

START_SECONDS_MAX: Final = 60
NOBODY: Final = "http://localhost:9"  # no clearing and no broker answer here


@dataclass(frozen=True, slots=True)
class Company:
    """A running process; ``published`` is a negotiation request for its one listing."""

    url: str
    process: BaseProcess
    folder: Path
    published: dict[str, Any]

    def manage(self, method: str, path: str, **options: Any) -> Any:
        """Call the management API and return the JSON of the answer."""
        token = (self.folder / ADMIN_TOKEN_FILE).read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(timeout=60, trust_env=False) as http:
            url = f"{self.url}/management{path}"
            answer = http.request(method, url, headers=headers, **options)
        answer.raise_for_status()
        return answer.json()

    def kill(self) -> None:
        """End the process as a power cut would (SIGKILL)."""
        self.process.kill()
        self.process.join(START_SECONDS_MAX)
        assert self.process.exitcode == -signal.SIGKILL


def _serve(folder: Path, registry: Path, port: int, pipe: Any) -> None:
    def find(participant_id: ParticipantId) -> Participant | None:
        for path in registry.glob("*.json"):
            found = Participant.model_validate_json(path.read_text(encoding="utf-8"))
            if found.id == participant_id:
                return found
        return None

    apps: list[FastAPI] = []

    def make(port: int) -> FastAPI:
        settings = ConnectorSettings(
            data_dir=folder,
            port=port,
            public_url=f"http://localhost:{port}",
            clearing_url=NOBODY,
            broker_url=NOBODY,
            identity=IdentityCheck.REGISTRY,
        )
        with_tables("connector", settings.database())
        apps.append(create_app(settings, lookup=find))
        return apps[0]

    with serve(make, port=port) as url:
        runtime = apps[0].state.runtime
        known = Registry()
        known.add(runtime, folder.name)
        partial = registry / f"{folder.name}.partial"
        partial.write_text(json.dumps(known.participants[runtime.did].to_json()), encoding="utf-8")
        partial.rename(registry / f"{folder.name}.json")
        listing = folder / "listing.json"
        if not listing.exists():
            published = publish(runtime, "energy")
            request = {
                "provider_id": runtime.did,
                "dataset_id": published.dataset.id,
                "offer_id": published.offer_id,
                "policy": published.offer(),
                "dataset_title": published.dataset.title.ko,
            }
            listing.write_text(json.dumps(request), encoding="utf-8")
        pipe.send(url)
        pipe.recv()  # until the parent closes its end, or says stop


@contextmanager
def company(folder: Path, registry: Path, *, port: int = 0) -> Iterator[Company]:
    """Run a connector whose data lie in ``folder``; ``port`` to have it again."""
    registry.mkdir(exist_ok=True)
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, registry, port, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(START_SECONDS_MAX), "the connector does not start"
        url = ours.recv()
        published = json.loads((folder / "listing.json").read_text(encoding="utf-8"))
        yield Company(url, process, folder, published)
        if process.is_alive():
            ours.send("stop")
            process.join(START_SECONDS_MAX)
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        ours.close()
        theirs.close()
