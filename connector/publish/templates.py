"""Policy templates: the usual terms in plain Korean, to start from."""

from __future__ import annotations

from typing import Final

from schemas.management import PolicyTemplate
from schemas.terms import Mode, Terms
from schemas.wire import Text, parse_time

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
        id="noisy-statistics",
        title=Text(ko="잡음 통계(차등정보보호)", en="Statistics with noise"),
        description=Text(
            ko="건수만, 답마다 잡음을 더해 모두 열 답까지. 합계와 평균도 내려면 bounds에 열마다 "
            "한 곳의 최소와 최대를 적으세요. 누구의 데이터인지 말하는 열이 company가 아니면 "
            "statistics_entity를 고치세요.",
            en="Counts with noise, ten answers in all. For sums and averages write into bounds, "
            "for each column, the least and the most of one. If another column than company says "
            "whose a row is, change statistics_entity.",
        ),
        terms=Terms(
            modes=(Mode.QUERY,),
            statistics_entity="company",
            epsilon_milli=500,
            epsilon_budget_milli=5000,
            entity_rows_max=12,
        ),
    ),
    PolicyTemplate(
        id="trial",
        title=Text(ko="한 달 시험 이용", en="Trial of a month"),
        description=Text(
            ko="계약일부터 30일 동안 질의 100건, 모두 1,000행까지. 끝나면 10일 안에 "
            "사본을 지웁니다.",
            en="For 30 days 100 queries and 1,000 rows in all; copies deleted within 10 days.",
        ),
        terms=Terms(
            modes=(Mode.QUERY,), valid_days=30, queries_max=100, rows_max=1000, deletion_days=10
        ),
    ),
    PolicyTemplate(
        id="fixed-period",
        title=Text(ko="정해진 기간", en="A fixed period"),
        description=Text(
            ko="2027년 한 해. valid_from과 valid_until을 고치세요.",
            en="The year 2027. Change valid_from and valid_until.",
        ),
        terms=Terms(
            modes=(Mode.QUERY,),
            valid_from=parse_time("2027-01-01T00:00:00+09:00"),
            valid_until=parse_time("2027-12-31T23:59:59+09:00"),
        ),
    ),
    PolicyTemplate(
        id="group-only",
        title=Text(ko="그룹에만", en="For a group only"),
        description=Text(
            ko="운영기관이 이 그룹의 참여자라고 증명하는 기업만 봅니다. recipient_groups의 이름을 "
            "운영기관이 쓰는 이름으로 고치세요.",
            en="Shown only to companies that the operator attests to be in the group. Change the "
            "name in recipient_groups to one that the operator uses.",
        ),
        terms=Terms(modes=(Mode.QUERY,), recipient_groups=("협의회",)),
    ),
    PolicyTemplate(
        id="industry-only",
        title=Text(ko="같은 업종에만", en="For one industry only"),
        description=Text(
            ko="운영기관이 업종(industry=C24)을 증명하는 기업만 봅니다. "
            "recipient_claims를 고치세요.",
            en="Shown only to companies whose industry (industry=C24) the operator attests. Change "
            "recipient_claims.",
        ),
        terms=Terms(modes=(Mode.QUERY,), recipient_claims=("industry=C24",)),
    ),
    PolicyTemplate(
        id="curation",
        title=Text(ko="D-큐레이션용", en="For curation"),
        description=Text(
            ko="질의 결과로 데이터 상품을 만들 수 있고 수입의 5%를 냅니다(계약상). "
            "1년, 1,000만 행까지.",
            en="Products may be made of results, 5 % of their income due (by contract); a year, "
            "ten million rows.",
        ),
        terms=Terms(
            modes=(Mode.QUERY,),
            valid_days=YEAR_DAYS,
            rows_max=10_000_000,
            derivation_royalty_percent=5,
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
