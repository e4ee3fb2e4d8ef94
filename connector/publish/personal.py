"""Does a column look like personal data? Said loudly before anything is published."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.dataset import Column, ColumnType
from schemas.wire import Text

SUSPICIOUS_SHARE: Final = 0.05
_PATTERNS: Final = (
    (r"^[0-9]{6}-[1-8][0-9]{6}$", "주민등록번호", "resident registration numbers"),
    (r"^01[016789][- ]?[0-9]{3,4}[- ]?[0-9]{4}$", "휴대전화 번호", "mobile phone numbers"),
    (r"^[^@\s]{1,64}@[^@\s]{1,200}\.[a-zA-Z]{2,}$", "전자우편 주소", "e-mail addresses"),
)


def personal_data_warnings(columns: list[Column], values: list[pa.Array]) -> list[Text]:
    """Return a warning for each text column that looks like personal data."""
    warnings = []
    for column, array in zip(columns, values, strict=True):
        count = len(array) - array.null_count
        if column.type is not ColumnType.TEXT or count == 0:
            continue
        for pattern, ko, en in _PATTERNS:
            hits = pc.sum(pc.match_substring_regex(array, pattern)).as_py() or 0
            if hits and hits >= SUSPICIOUS_SHARE * count:
                warnings.append(
                    Text(
                        ko=f"'{column.name}' 열에 {ko}로 보이는 값이 {hits:,}개 있습니다. "
                        "개인정보는 올리지 마세요.",
                        en=f"Column '{column.name}' holds {hits:,} values that look like {en}. "
                        "Do not publish personal data.",
                    )
                )
    return warnings
