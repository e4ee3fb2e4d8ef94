"""From text to search tokens, the same for documents, queries and both databases. Pure.

Korean has no reliable spaces, so runs of Hangul become pairs of syllables (``탄소배출`` is
``탄소 소배 배출``); two-syllable words, the commonest kind, are then found inside any other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

TOKEN_CHARS_MAX: Final = 64
_SYLLABLES: Final = (
    r"\uac00-\ud7a3\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3041-\u30fa"  # Hangul, Han, kana
)
_RUN: Final = re.compile(rf"[{_SYLLABLES}]+|[^\W_{_SYLLABLES}]+")
_WORD: Final = re.compile(r"[^\W_]+")
_SYLLABLE: Final = re.compile(rf"[{_SYLLABLES}]")

# Each line is one thing under several names; a query for one finds the others.
SYNONYMS: Final[tuple[tuple[str, ...], ...]] = (
    ("이차전지", "2차전지", "2차 전지", "배터리", "battery", "batteries"),
    ("탄소발자국", "탄소 발자국", "제품탄소발자국", "PCF", "carbon footprint"),
    ("탄소", "carbon", "CO2", "이산화탄소"),
    ("온실가스", "greenhouse gas", "GHG"),
    ("배출", "emission", "emissions"),
    ("협력사", "협력업체", "공급업체", "supplier", "suppliers"),
    ("스코프1", "스코프 1", "scope1", "scope 1"),
    ("스코프2", "스코프 2", "scope2", "scope 2"),
    ("스코프3", "스코프 3", "scope3", "scope 3"),
    ("탄소국경조정제도", "탄소국경조정", "탄소국경세", "CBAM"),
    ("전과정평가", "전과정 평가", "LCA", "life cycle assessment"),
    ("디지털제품여권", "디지털 제품 여권", "제품여권", "DPP", "digital product passport"),
    ("공정", "process", "processes"),
    ("제조", "생산", "manufacturing", "production"),
    ("철강", "steel"),
    ("알루미늄", "aluminium", "aluminum"),
    ("구리", "동", "copper"),
    ("공급망", "supply chain", "supply chains", "SCM"),
    ("물류", "운송", "logistics", "transport", "shipment"),
    ("납품", "배송", "delivery"),
    ("불량", "결함", "defect", "defects"),
    ("불량률", "defect rate"),
    ("수율", "yield"),
    ("품질", "quality"),
    ("에너지", "energy"),
    ("전력", "전기", "electricity", "power"),
    ("예지보전", "예지 보전", "예측정비", "predictive maintenance"),
    ("고장", "failure", "fault"),
    ("이상탐지", "이상 탐지", "anomaly detection", "anomaly"),
    ("설비", "기계", "equipment", "machine"),
    ("센서", "sensor", "sensors"),
    ("온도", "temperature"),
    ("자동차", "차량", "automotive", "vehicle", "car"),
    ("부품", "parts", "component"),
    ("가전", "가전제품", "home appliance", "home appliances"),
    ("섬유", "textile", "textiles"),
    ("다이캐스팅", "다이 캐스팅", "주조", "die casting", "casting"),
    ("사출", "사출성형", "injection molding", "injection moulding"),
    ("용접", "welding"),
    ("식각", "etching", "etch"),
    ("양극재", "cathode"),
    ("음극재", "anode"),
    ("재고", "inventory", "stock"),
    ("주문", "발주", "order", "orders"),
    ("가격", "price"),
    ("터빈", "turbine"),
    ("반도체", "semiconductor"),
)


def normalize(text: str) -> str:
    """Return a text in the one form that is compared: NFKC, folded, without accents' marks."""
    return unicodedata.normalize("NFKC", text).casefold()


def tokens(text: str, *, single_syllables: bool = False) -> Iterator[str]:
    """Yield the tokens of a text in order.

    Args:
        text: Any text.
        single_syllables: Also yield each syllable alone, for queries of one syllable.
    """
    for run in _RUN.findall(normalize(text)):
        if not _SYLLABLE.match(run):
            yield run[:TOKEN_CHARS_MAX]
            continue
        if len(run) == 1:
            yield run
            continue
        yield from (run[i : i + 2] for i in range(len(run) - 1))
        if single_syllables:
            yield from run


def words(text: str) -> list[str]:
    """Return the words of a text as typed, normalized."""
    return _WORD.findall(normalize(text))


def _glued(text: str) -> str:
    return "".join(words(text))


_GROUPS: Final = {_glued(name): group for group in SYNONYMS for name in group}
PHRASE_WORDS_MAX: Final = max(len(words(name)) for group in SYNONYMS for name in group)


def other_names(glued_words: str) -> tuple[str, ...]:
    """Return the names of the thing that these words, glued together, name; itself if unknown."""
    return _GROUPS.get(glued_words, ())
