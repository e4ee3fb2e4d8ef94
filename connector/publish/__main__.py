"""The child process's door: ``python -m connector.publish JOB.json``."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from types import ModuleType


class _WithoutPandas(importlib.abc.MetaPathFinder):
    """pyarrow imports pandas wherever it is installed, which doubles the child's start."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Say that pandas is not there; nothing else is this finder's business."""
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


if __name__ == "__main__":
    sys.meta_path.insert(0, _WithoutPandas())
    from connector.publish.check import main  # after the line above, on purpose

    main(sys.argv[1])
