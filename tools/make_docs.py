"""Write the documents that follow from the code, or check that they are current.

Usage: python tools/make_docs.py [--check]
"""

from __future__ import annotations

import difflib
import inspect
import json
import pkgutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from databank.kit.settings import ServiceSettings
from schemas.problem import ProblemError

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("broker", "catalog", "clearing", "connector", "databank", "schemas")
SERVICES: Final = ("broker", "catalog", "clearing", "connector")
MADE_BY: Final = "<!-- Made by `make docs`; do not edit. -->\n\n"


def import_everything() -> None:
    """Import every module of the six packages, so that all subclasses are known."""
    for package in PACKAGES:
        path = import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            if ".migrations" not in module.name:
                import_module(module.name)


def problems() -> list[type[ProblemError]]:
    """Return every class of problem, in the order of the document."""
    found: set[type[ProblemError]] = set()
    waiting = [ProblemError]
    while waiting:
        children = waiting.pop().__subclasses__()
        found.update(child for child in children if child.__module__.split(".")[0] in PACKAGES)
        waiting.extend(children)
    return sorted(found, key=lambda cls: (cls.status, cls.slug, cls.__module__, cls.__name__))


def problems_document() -> str:
    """Return docs/problems.md."""
    lines = [
        "# Problems\n",
        "Every error that the data bank answers on purpose: RFC 9457, `application/problem+json`,",
        "with `type` = `urn:idb:problem:<slug>`, Korean `title` and `detail`, English `title_en`",
        "and `detail_en`. The DSP routes answer with DSP's own error messages instead.\n",
        "| status | slug | 제목 | title | means | raised in |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {cls.status} | `{cls.slug}` | {cls.title.ko} | {cls.title.en} "
        f"| {_first_line(cls)} | `{cls.__module__}` |"
        for cls in problems()
    ]
    return MADE_BY + "\n".join(lines) + "\n"


def _first_line(cls: type) -> str:
    return _cell((inspect.getdoc(cls) or "").partition("\n\n")[0])


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def settings_classes() -> list[tuple[str, type[ServiceSettings]]]:
    """Return each service with its settings class."""
    found = []
    for service in SERVICES:
        module = import_module(f"{service}.settings")
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, ServiceSettings) and value.__module__ == module.__name__:
                found.append((service, value))
    return found


def settings_document() -> str:
    """Return docs/settings.md: first what all services share, then what each one changes."""
    parts = [
        "# Settings\n",
        "Read once at start from the environment. Durations are seconds and sizes bytes where the",
        "description says so. A setting of all services is written with the service's prefix, for",
        "example `DATABANK_CONNECTOR_PORT`.\n",
        "## All services: `DATABANK_<SERVICE>_…`\n",
        *_settings_table(ServiceSettings.model_fields, prefix=""),
    ]
    for service, cls in settings_classes():
        prefix = str(cls.model_config.get("env_prefix", ""))
        own = {
            name: field
            for name, field in cls.model_fields.items()
            if name not in ServiceSettings.model_fields
            or field.default != ServiceSettings.model_fields[name].default
        }
        parts += [f"\n## {service}: `{prefix}…`\n", *_settings_table(own, prefix=prefix)]
    return MADE_BY + "\n".join(parts) + "\n"


def _settings_table(fields: dict[str, FieldInfo], *, prefix: str) -> Iterator[str]:
    yield "| setting | default | what it is |"
    yield "|---|---|---|"
    for name, field in fields.items():
        variable = f"{prefix}{name}".upper()
        yield f"| `{variable}` | {_default(field)} | {_cell(field.description or '')} |"


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return f"`{_cell(str(value))}`" if value not in (None, "", (), [], {}) else "–"


def openapi_document(service: str) -> str:
    """Return docs/openapi/<service>.json."""
    module = import_module(f"{service}.app")
    [settings_class] = [cls for name, cls in settings_classes() if name == service]
    with tempfile.TemporaryDirectory() as folder:
        app = module.create_app(settings_class(data_dir=Path(folder)))
        document = app.openapi()
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def documents() -> dict[str, str]:
    """Return every generated document by its path."""
    import_everything()
    made = {"docs/problems.md": problems_document(), "docs/settings.md": settings_document()}
    for service in SERVICES:
        made[f"docs/openapi/{service}.json"] = openapi_document(service)
    return made


def main() -> int:
    """Write the documents; with ``--check``, print what differs and return 1."""
    is_check = "--check" in sys.argv[1:]
    stale = 0
    for name, text in documents().items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        if is_check:
            stale += 1
            lines = difflib.unified_diff(old.splitlines(), text.splitlines(), name, "made", n=1)
            print("\n".join(list(lines)[:40]))
            print(f"{name} is not current: run make docs")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
