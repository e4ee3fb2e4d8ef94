"""Policy templates: the usual terms in plain Korean, to start from."""

from __future__ import annotations

from typing import Final

from schemas.management import PolicyTemplate
from schemas.terms import Mode, Terms
from schemas.wire import Text

YEAR_DAYS: Final = 365

TEMPLATES: Final = (
    PolicyTemplate(
        id="query-only",
        title=Text(ko="질의만", en="Queries only"),
        description=Text(
            ko="원본은 나가지 않고, 질의 결과만 나갑니다.",
            en="The data stays here; only results of queries leave.",
        ),
        terms=Terms(modes=(Mode.QUERY,)),
    ),
    PolicyTemplate(
        id="query-and-read",
        title=Text(ko="질의와 내려받기", en="Queries and download"),
        description=Text(
            ko="질의할 수 있고 전체를 내려받을 수도 있습니다.",
            en="Queries, and reading the data in full.",
        ),
        terms=Terms(modes=(Mode.QUERY, Mode.READ)),
    ),
    PolicyTemplate(
        id="one-year",
        title=Text(ko="1년 동안", en="One year"),
        description=Text(
            ko="계약일부터 1년 동안 질의할 수 있습니다.",
            en="Queries for a year from the agreement.",
        ),
        terms=Terms(modes=(Mode.QUERY,), valid_days=YEAR_DAYS),
    ),
    PolicyTemplate(
        id="quota",
        title=Text(ko="횟수·행수 한도", en="Quota of queries and rows"),
        description=Text(
            ko="질의 1,000건, 모두 100만 행까지.", en="1,000 queries, a million rows in all."
        ),
        terms=Terms(modes=(Mode.QUERY,), queries_max=1000, rows_max=1_000_000),
    ),
    PolicyTemplate(
        id="statistics",
        title=Text(ko="통계만", en="Statistics only"),
        description=Text(
            ko="합계·평균·건수만, 5곳 이상인 칸만 나갑니다. 누구의 데이터인지 말하는 열이 "
            "company가 아니면 statistics_entity를 고치세요.",
            en="Sums, averages and counts of cells with at least 5. If another column than "
            "company says whose a row is, change statistics_entity.",
        ),
        terms=Terms(
            modes=(Mode.QUERY,),
            statistics_entity="company",
            entities_min=5,
            dominance_percent_max=60,
            remainder_percent_min=10,
        ),
    ),
    PolicyTemplate(
        id="download-once",
        title=Text(ko="한 번 분량 내려받기", en="Download with a limit"),
        description=Text(
            ko="모두 1GB까지 내려받고, 다시 제공하지 않으며, 계약이 끝나면 30일 안에 지웁니다.",
            en="Download of at most 1 GB in all; no redistribution; deleted within 30 days after.",
        ),
        terms=Terms(
            modes=(Mode.QUERY, Mode.READ),
            valid_days=YEAR_DAYS,
            bytes_max=10**9,
            deletion_days=30,
        ),
    ),
    PolicyTemplate(
        id="no-derivation",
        title=Text(ko="파생 상품 금지", en="No derived products"),
        description=Text(
            ko="질의만 하고, 이 데이터로 다른 데이터 상품을 만들지 않습니다(계약상).",
            en="Queries only; no data product may be derived from it (by contract).",
        ),
        terms=Terms(modes=(Mode.QUERY,), derivation_forbidden=True),
    ),
    PolicyTemplate(
        id="derivation-royalty",
        title=Text(ko="파생 상품 로열티 5%", en="Derived products with 5 % royalty"),
        description=Text(
            ko="파생 상품을 만들 수 있고, 그 수입의 5%를 공급기업에 냅니다(계약상).",
            en="Products may be derived; 5 % of their income go to the supplier (by contract).",
        ),
        terms=Terms(modes=(Mode.QUERY,), derivation_royalty_percent=5),
    ),
    PolicyTemplate(
        id="purpose",
        title=Text(ko="목적 제한(계약상)", en="Limited purpose (contractual)"),
        description=Text(
            ko="탄소 신고 목적으로만. 기술로 강제하지 않고 계약으로 약속합니다.",
            en="For carbon reporting only: promised by contract, not enforced technically.",
        ),
        terms=Terms(modes=(Mode.QUERY,), purposes=("탄소 신고",)),
    ),
)
