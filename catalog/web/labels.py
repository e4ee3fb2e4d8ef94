"""What users call things, in Korean and English: the only place of the portal's labels.

Words of ``docs/words.md`` are labelled as that page says.
"""

from __future__ import annotations

from typing import Final

from schemas.dataset import ColumnType, Domain, Industry, Sensitivity
from schemas.price import PriceKind
from schemas.wire import Text


def _text(ko: str, en: str) -> Text:
    return Text(ko=ko, en=en)


DOMAINS: Final[dict[str, Text]] = {
    Domain.CARBON: _text("탄소·환경", "Carbon"),
    Domain.PROCESS: _text("공정·설비", "Process"),
    Domain.SUPPLY_CHAIN: _text("공급망", "Supply chain"),
}
INDUSTRIES: Final[dict[str, Text]] = {
    Industry.BATTERY: _text("이차전지", "Battery"),
    Industry.AUTOMOTIVE_PARTS: _text("자동차 부품", "Automotive parts"),
    Industry.HOME_APPLIANCES: _text("가전", "Home appliances"),
    Industry.STEEL_ALUMINIUM: _text("철강·알루미늄", "Steel and aluminium"),
    Industry.TEXTILES: _text("섬유", "Textiles"),
    Industry.OTHER: _text("기타 제조", "Other manufacturing"),
}
FREE: Final = "free"
PRICES: Final[dict[str, Text]] = {
    FREE: _text("무료", "Free"),
    PriceKind.ONE_OFF: _text("일시불", "One-off"),
    PriceKind.MONTHLY: _text("월정액", "Monthly"),
    PriceKind.PER_QUERY: _text("질의당", "Per query"),
    PriceKind.PER_ROW: _text("행당", "Per row"),
    PriceKind.PER_MEGABYTE: _text("용량당", "Per megabyte"),
    PriceKind.PER_COMPUTE_SECOND: _text("연산 초당", "Per compute second"),
}
MEASURED: Final = "no"
GENERATED: Final = "yes"
ORIGINS: Final[dict[str, Text]] = {
    MEASURED: _text("실제 데이터", "Measured data"),
    GENERATED: _text("생성 데이터", "Generated data"),
}
SENSITIVITIES: Final[dict[str, Text]] = {
    Sensitivity.PUBLIC: _text("공개", "Public"),
    Sensitivity.PARTNER: _text("거래처 공개", "Partners"),
    Sensitivity.CONFIDENTIAL: _text("대외비", "Confidential"),
    Sensitivity.TRADE_SECRET: _text("영업비밀", "Trade secret"),
}
COLUMN_TYPES: Final[dict[str, Text]] = {
    ColumnType.BOOLEAN: _text("참/거짓", "boolean"),
    ColumnType.INTEGER: _text("정수", "integer"),
    ColumnType.NUMBER: _text("실수", "number"),
    ColumnType.DECIMAL: _text("십진수", "decimal"),
    ColumnType.TEXT: _text("문자", "text"),
    ColumnType.DATE: _text("날짜", "date"),
    ColumnType.TIME: _text("일시", "time"),
}
FACETS: Final[dict[str, Text]] = {
    "domain": _text("분야", "Domain"),
    "industry": _text("업종", "Industry"),
    "provider": _text("공급기업", "Supplier"),
    "price": _text("요금", "Price"),
    "generated": _text("데이터 출처", "Origin"),
}

WORDS: Final[dict[str, Text]] = {
    "tagline": _text(
        "데이터는 회사에 두고, 정한 조건대로만 씁니다",
        "Data stays with its company, used on its terms",
    ),
    "intro": _text(
        "탄소·공정·공급망 데이터를 찾아 공급기업의 조건대로 계약하고, 쓴 만큼만 냅니다.",
        "Find carbon, process and supply-chain data, agree on the supplier's terms, "
        "pay for what you use.",
    ),
    "search": _text("검색", "Search"),
    "search_label": _text("데이터셋 검색어", "Search datasets"),
    "search_hint": _text(
        "예: 알루미늄 탄소, 불량 수율, CBAM", "e.g. aluminium carbon, yield, CBAM"
    ),
    "filters": _text("조건", "Filters"),
    "clear_filters": _text("조건 모두 지우기", "Clear all filters"),
    "results": _text("건", "found"),
    "all_datasets": _text("모든 데이터셋", "All datasets"),
    "widened": _text(
        "모든 단어가 함께 들어간 데이터셋이 없어, 일부 단어가 들어간 결과를 보여 드립니다.",
        "No dataset has all of the words; these have some of them.",
    ),
    "nothing": _text("찾는 데이터셋이 없습니다", "No dataset found"),
    "nothing_hint": _text(
        "더 짧은 단어로 찾거나 조건을 지워 보세요.", "Try shorter words or clear the filters."
    ),
    "empty": _text("아직 등록된 데이터셋이 없습니다", "No dataset is listed yet"),
    "empty_hint": _text(
        "공급기업이 데이터를 공개하면 몇 초 안에 여기에 나타납니다.",
        "When a supplier publishes data, it appears here within seconds.",
    ),
    "next": _text("다음 결과", "More results"),
    "first": _text("처음으로", "Back to the first"),
    "registered": _text("등록 참여자", "Registered"),
    "registered_hint": _text(
        "브로커에 등록된 참여자입니다. 사업자등록번호는 검증 숫자만 확인했습니다.",
        "Registered at the broker. Of its business number only the check digit was looked at.",
    ),
    "generated": _text("생성 데이터", "Generated data"),
    "generated_hint": _text(
        "측정한 데이터가 아니라 프로그램이 만든 데이터입니다.",
        "Made by a program, not measured.",
    ),
    "rows": _text("행", "rows"),
    "updated": _text("갱신", "Updated"),
    "published": _text("공개", "Published"),
    "price": _text("요금", "Price"),
    "approval": _text("승인 방식", "Approval"),
    "supplier": _text("공급기업", "Supplier"),
    "description": _text("설명", "Description"),
    "columns": _text("열 구성", "Columns"),
    "column": _text("열 이름", "Column"),
    "label": _text("뜻", "Meaning"),
    "type": _text("형식", "Type"),
    "unit": _text("단위", "Unit"),
    "sensitivity": _text("민감도", "Sensitivity"),
    "sample": _text("표본", "Sample"),
    "no_sample": _text("공급기업이 표본을 공개하지 않았습니다.", "The supplier shows no sample."),
    "terms": _text("이용 조건", "Terms of use"),
    "enforced": _text("기술로 강제", "Technically enforced"),
    "contractual": _text("계약으로만", "By contract"),
    "use": _text("이용 방법", "How to use it"),
    "use_hint": _text(
        "자기 회사의 커넥터에서 아래처럼 계약하고 질의합니다.",
        "From your own company's connector, agree and query like this.",
    ),
    "at_desk": _text("브라우저 (협상 창구)", "Browser (desk)"),
    "at_desk_hint": _text(
        "자기 회사 커넥터의 협상 창구(커넥터 주소 뒤에 /desk)에서 '협상 시작'에 이 이름을 붙여 "
        "넣으세요.",
        "At your own connector's desk (its address with /desk), paste this name under 'Begin a "
        "negotiation'.",
    ),
    "python": _text("노트북 (Python)", "Notebook (Python)"),
    "command": _text("명령줄", "Command line"),
    "facts": _text("한눈에 보기", "At a glance"),
    "size": _text("크기", "Size"),
    "fingerprint": _text("데이터 지문 (SHA-256)", "Fingerprint (SHA-256)"),
    "keywords": _text("키워드", "Keywords"),
    "back": _text("검색으로 돌아가기", "Back to the search"),
    "not_found": _text("찾을 수 없습니다", "Not found"),
    "not_found_hint": _text(
        "데이터셋의 공개가 취소되었거나 주소가 잘못되었습니다.",
        "The dataset was withdrawn, or the address is wrong.",
    ),
    "bad_request": _text("주소가 올바르지 않습니다", "The address is not valid"),
    "footer": _text(
        "데이터는 공급기업의 커넥터에 있으며 포털은 설명만 보관합니다.",
        "Data stays at the suppliers' connectors; the portal keeps descriptions only.",
    ),
}
