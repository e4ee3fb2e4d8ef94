"""A supplier's calls: send a file to the own connector, publish it with terms and price."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from databank.client.api import Api, expect_success
from schemas.ids import DatasetId
from schemas.management import (
    Publication,
    PublicationList,
    PublishRequest,
    ReviseRequest,
    UploadReport,
)

UPLOAD_CHUNK_BYTES: Final = 2**20


def pieces_of(file: Path) -> Iterator[bytes]:
    """Read a file piece by piece."""
    with file.open("rb") as source:
        while piece := source.read(UPLOAD_CHUNK_BYTES):
            yield piece


def upload(management: Api, file: Path, pieces: Iterable[bytes] | None = None) -> UploadReport:
    """Send a file to the connector, which checks every row and publishes nothing yet.

    ``pieces`` are the file's, for a caller that watches them go.
    """
    response = management.send(
        "POST",
        "/management/uploads",
        params={"filename": file.name},
        content=pieces_of(file) if pieces is None else pieces,
        headers={
            "Content-Length": str(file.stat().st_size),
            "Content-Type": "application/octet-stream",
        },
    )
    return UploadReport.model_validate(expect_success(response).json())


def publish(management: Api, request: PublishRequest) -> Publication:
    """Publish an upload."""
    return Publication.model_validate(
        management.post("/management/publications", request.to_json())
    )


def revise(management: Api, dataset_id: DatasetId, request: ReviseRequest) -> Publication:
    """Change title, terms or price of a dataset for agreements to come."""
    path = f"/management/publications/{dataset_id}"
    return Publication.model_validate(
        expect_success(management.send("PATCH", path, json=request.to_json())).json()
    )


def publications(management: Api) -> list[Publication]:
    """Return our own datasets."""
    answer = management.get("/management/publications")
    return list(PublicationList.model_validate(answer).publications)
