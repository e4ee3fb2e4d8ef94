"""Column headers: a name that SQL can use, the unit, labels, and how sensitive it looks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from schemas.dataset import Sensitivity
from schemas.wire import Text

NAME_CHARS_MAX: Final = 63
UNIT_CHARS_MAX: Final = 40
_BRACKETED: Final = re.compile(r"^(.*?)\s*[\(\[（]\s*([^()\[\]（）]{1,40})\s*[\)\]）]\s*$")
_UNIT_WORDS: Final = """
kwh mwh gwh wh kw mw gw w kvarh kvar kva mva v kv mv a ma ah mah hz khz mhz ghz rpm
mj gj tj pj j kj toe cal kcal mcal gcal btu mmbtu kg g mg ug μg t ton tons tonne tonnes kt mt
kilogram kilograms gram grams lb lbs oz
kgco2e kgco2eq kgco2 tco2 tco2eq tco2e gco2 gco2e gco2eq ktco2e co2e co2eq
m mm cm km μm um nm inch ft mile m2 cm2 mm2 km2 ha m3 cm3 nm3 sm3 l ml kl liter liters litre litres
gal bbl bar mbar pa hpa kpa mpa psi atm torr mmhg kgf n kn nm ℃ °c °f c k celsius % pct percent
vol% wt% mol% ppm ppb ppmv mol mmol db dba lx lm cd deg ° ω ohm kω s sec second seconds ms μs min
minute minutes h hr hrs hour hours day days week weeks month months year years
원 천원 만원 백만원 억원 십억원 krw usd eur jpy cny won 개 ea pcs 대 건 회 명 톤 초 분 시간 일 주
개월 월 년 배 장 매 본 박스 box 리터 킬로그램 그램 미터 도 평 점
"""
_UNITS: Final = frozenset(_UNIT_WORDS.split())
_WORDS_AFTER_UNDERSCORE: Final = """
min minute second hour day days week weeks month months year years cd nm ma lm mt kt pa ms mile box
"""  # temp_min, reporting_month, item_cd, item_nm: words of a name and no units
_SUFFIX_UNITS: Final = _UNITS - frozenset(_WORDS_AFTER_UNDERSCORE.split())
_UNIT_PARTS: Final = re.compile(r"[/·*]")  # kgCO2e/kWh, N·m

_TERMS: Final = """
date 일시 date
datetime 일시 date and time
timestamp 시각 timestamp
usage 사용량 usage
전력사용량 전력사용량 electricity use
전력량 전력량 electric energy
사용전력량 사용전력량 electricity use
탄소배출량 탄소배출량 carbon emissions
배출량 배출량 emissions
온실가스배출량 온실가스배출량 greenhouse gas emissions
탄소발자국 탄소발자국 carbon footprint
pcf 제품탄소발자국 product carbon footprint
co2 이산화탄소 carbon dioxide
생산량 생산량 production
온도 온도 temperature
압력 압력 pressure
습도 습도 humidity
속도 속도 speed
유량 유량 flow
수율 수율 yield
불량여부 불량여부 defective
불량률 불량률 defect rate
불량수 불량수 defects
로트번호 로트번호 lot number
lot 로트 lot
lot_no 로트번호 lot number
설비번호 설비번호 equipment number
설비 설비 equipment
호기 호기 unit number
공정 공정 process
공정명 공정명 process name
품목 품목 item
품목코드 품목코드 item code
자재코드 자재코드 material code
제품 제품 product
제품명 제품명 product name
제품코드 제품코드 product code
공급업체 공급업체 supplier
협력사 협력사 supplier
vendor 공급업체 vendor
country 국가 country
국가 국가 country
수량 수량 quantity
quantity 수량 quantity
중량 중량 weight
weight 중량 weight
단가 단가 unit price
가격 가격 price
원가 원가 cost
납기일 납기일 due date
입고일 입고일 receipt date
출하일 출하일 shipping date
사업장 사업장 site
사업장명 사업장명 site name
연도 연도 year
월 월 month
일자 일자 date
일시 일시 date and time
시각 시각 time
역률 역률 power factor
무효전력량 무효전력량 reactive energy
부하유형 부하유형 load type
load_type 부하유형 load type
재활용비율 재활용비율 recycled share
물사용량 물사용량 water use
스팀사용량 스팀사용량 steam use
가스사용량 가스사용량 gas use
""".strip()


def _read_terms() -> dict[str, Text]:
    terms = {}
    for line in _TERMS.splitlines():
        key, ko, en = line.split(" ", 2)
        terms[key] = Text(ko=ko, en=en)
    return terms


TERMS: Final = _read_terms()

_SECRET: Final = re.compile(r"레시피|recipe|set_?point|설정값|배합|조성")
_CONFIDENTIAL: Final = re.compile(r"원가|단가|가격|price|cost|매출|margin|마진|계좌|연락처|담당자")


@dataclass(frozen=True, slots=True)
class Header:
    """What a header cell says."""

    name: str
    unit: str | None
    label: Text
    sensitivity: Sensitivity


def _is_unit(text: str) -> bool:
    plain = re.sub(r"[\s_^]", "", text).casefold()
    return all(part in _UNITS for part in _UNIT_PARTS.split(plain))


def _split_unit(text: str) -> tuple[str, str | None]:
    """Return what is left beside a known unit; other words in brackets belong to the name."""
    if match := _BRACKETED.match(text):
        rest, inside = match[1].strip(), match[2].strip()
        remark, _, last = inside.rpartition(",")  # (PCF, kg CO2e)
        unit = last.strip()
        if rest and _is_unit(unit):
            return (f"{rest} ({remark.strip()})" if remark else rest), unit
    head, _, tail = text.rpartition("_")
    is_unit = tail.casefold() in _SUFFIX_UNITS and len(tail) > 1
    return (head, tail) if head and is_unit else (text, None)


def _to_name(text: str) -> str:
    name = re.sub(r"\W+", "_", text, flags=re.UNICODE).strip("_").casefold()
    name = re.sub(r"_+", "_", name)
    if not name:
        return ""
    return (f"c_{name}" if name[0].isdigit() else name)[:NAME_CHARS_MAX]


def read_header(cell: str) -> Header:
    """Return what one header cell says; ``name`` is empty if nothing is left of it."""
    text = " ".join(unicodedata.normalize("NFKC", cell).replace("℃", "°C").split())
    rest, unit = _split_unit(text)
    name = _to_name(rest)
    label = TERMS.get(name.replace("_", "")) or TERMS.get(name) or Text(ko=rest, en=rest)
    sensitivity = Sensitivity.PARTNER
    if _SECRET.search(name):
        sensitivity = Sensitivity.TRADE_SECRET
    elif _CONFIDENTIAL.search(name):
        sensitivity = Sensitivity.CONFIDENTIAL
    return Header(name, unit[:UNIT_CHARS_MAX] if unit else None, label, sensitivity)


def read_headers(cells: list[str]) -> tuple[list[Header], list[Text]]:
    """Return all headers with unique, non-empty names, and what had to be made up."""
    headers: list[Header] = []
    warnings: list[Text] = []
    taken: set[str] = set()
    for number, cell in enumerate(cells, 1):
        header = read_header(cell)
        name = header.name
        if not name:
            name = f"column_{number}"
            warnings.append(
                Text(
                    ko=f"{number}번째 열에 이름이 없어 {name}(으)로 했습니다.",
                    en=f"Column {number} has no name; it is called {name}.",
                )
            )
        unique, again = name, 2
        while unique in taken:
            unique, again = f"{name[: NAME_CHARS_MAX - 4]}_{again}", again + 1
        if unique != name:
            warnings.append(
                Text(
                    ko=f"'{name}' 열이 두 번 나와 {number}번째를 {unique}(으)로 했습니다.",
                    en=f"'{name}' stands twice; column {number} is called {unique}.",
                )
            )
        taken.add(unique)
        label = header.label if header.label.ko else Text(ko=unique, en=unique)
        headers.append(Header(unique, header.unit, label, header.sensitivity))
    return headers, warnings
