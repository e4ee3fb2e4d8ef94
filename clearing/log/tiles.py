"""Names of tiles (C2SP tlog-tiles): 256 hashes a tile, each of 256 hashes one level below."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 256
LEVEL_BITS: Final = 8  # a tile's hash is over 2^8 hashes of the level below
LEVEL_MAX: Final = 7  # 256^8 leaves
_NAME: Final = re.compile(r"((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """``width`` hashes (or entries) from position ``number * 256`` on."""

    number: int
    width: int

    @property
    def start(self) -> int:
        """The first position."""
        return self.number * WIDTH

    @classmethod
    def parse(cls, name: str) -> Tile | None:
        """Read ``x001/234`` or ``x001/234.p/7``; None if it is no tile's name."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        number = int(match[1].replace("x", "").replace("/", ""))
        tile = cls(number, int(match[2] or WIDTH))
        is_partial = match[2] is not None
        is_right = tile.width < WIDTH if is_partial else tile.width == WIDTH
        return tile if is_right and tile.name == name else None

    @property
    def name(self) -> str:
        """How the tile is called."""
        digits = str(self.number)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return path if self.width == WIDTH else f"{path}.p/{self.width}"
