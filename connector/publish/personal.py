"""Does a column look like personal data?

Such a column is confidential by default, is in no sample, and is published only on purpose.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.wire import Text

SUSPICIOUS_SHARE: Final = 0.05
UNDASHED_SHARE: Final = (
    0.5  # barcodes of 13 digits look alike, and one in eleven has the check digit
)
_UNDASHED: Final = r"^[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[1-8][0-9]{6}$"
_CHECK_WEIGHTS: Final = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_CHECKED_MAX: Final = 1000
_PATTERNS: Final = (
    (r"^[0-9]{6}-[1-8][0-9]{6}$", "주민등록번호", "resident registration numbers"),
    (r"^01[016789][- ]?[0-9]{3,4}[- ]?[0-9]{4}$", "휴대전화 번호", "mobile phone numbers"),
    (r"^[^@\s]{1,64}@[^@\s]{1,200}\.[a-zA-Z]{2,}$", "전자우편 주소", "e-mail addresses"),
)


def find_personal(names: list[str], values: list[pa.ChunkedArray]) -> dict[str, Text]:
    """Return the columns whose texts look like personal data, each with what it looks like.

    ``values`` are the cells as they stand in the file, so that no type hides them.
    """
    found: dict[str, Text] = {}
    for name, cells in zip(names, values, strict=True):
        if not pa.types.is_string(cells.type):
            continue
        texts = pc.utf8_trim_whitespace(cells)
        count = pc.sum(pc.not_equal(texts, "")).as_py() or 0
        if _holds_undashed(texts, count):
            found[name] = Text(
                ko=f"'{name}' 열의 값은 줄표 없는 주민등록번호로 보입니다. "
                "개인정보는 올리지 마세요.",
                en=f"Column '{name}' looks like resident registration numbers without a dash. "
                "Do not publish personal data.",
            )
        for pattern, ko, en in _PATTERNS:
            hits = pc.sum(pc.match_substring_regex(texts, pattern)).as_py() or 0
            if hits and hits >= SUSPICIOUS_SHARE * count:
                found[name] = Text(
                    ko=f"'{name}' 열에 {ko}로 보이는 값이 {hits:,}개 있습니다. "
                    "개인정보는 올리지 마세요.",
                    en=f"Column '{name}' holds {hits:,} values that look like {en}. "
                    "Do not publish personal data.",
                )
                break
    return found


def _holds_undashed(texts: pa.ChunkedArray, count: int) -> bool:
    """Whether most cells are resident registration numbers with a valid check digit."""
    alike = texts.filter(pc.match_substring_regex(texts, _UNDASHED))
    if not count or len(alike) < UNDASHED_SHARE * count:
        return False
    checked = alike.slice(0, _CHECKED_MAX).to_pylist()
    return sum(map(_has_check_digit, checked)) >= UNDASHED_SHARE * len(checked)


def _has_check_digit(digits: str) -> bool:
    total = sum(int(d) * w for d, w in zip(digits, _CHECK_WEIGHTS, strict=False))
    return (11 - total % 11) % 10 == int(digits[-1])
