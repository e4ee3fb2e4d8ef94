"""What people read at the desk, in Korean and English: the only place of its labels.

Words of ``docs/words.md`` are labelled as that page says.
"""

from __future__ import annotations

from typing import Final

from connector.negotiation.machine import State
from schemas.price import PriceKind
from schemas.terms import Mode
from schemas.wire import Text


def _text(ko: str, en: str) -> Text:
    return Text(ko=ko, en=en)


STATES: Final[dict[str, Text]] = {
    State.REQUESTED: _text("요청함", "requested"),
    State.OFFERED: _text("공급기업이 제안함", "offered"),
    State.ACCEPTED: _text("수락함", "accepted"),
    State.AGREED: _text("합의 확인 중", "agreed"),
    State.VERIFIED: _text("합의 확인 중", "agreed"),
    State.FINALIZED: _text("합의함", "finalized"),
    State.TERMINATED: _text("성립하지 않음", "terminated"),
}
PRICES: Final[dict[str, Text]] = {
    PriceKind.ONE_OFF: _text("일시불", "Once, at the first use"),
    PriceKind.MONTHLY: _text("이용한 달마다", "Each month with use"),
    PriceKind.PER_QUERY: _text("질의 1건당", "Per query"),
    PriceKind.PER_ROW: _text("1행당", "Per row"),
    PriceKind.PER_MEGABYTE: _text("1MB당", "Per megabyte"),
    PriceKind.PER_COMPUTE_SECOND: _text("연산 1초당", "Per compute second"),
    "monthly_minimum_micro": _text("이용한 달 최소", "At least, in a month with use"),
    "monthly_cap_micro": _text("한 달 최대", "At most a month"),
}
OPTIONS: Final[dict[str, Text]] = {
    Mode.QUERY: _text("질의하기", "run queries"),
    Mode.READ: _text("파일 내려받기", "read the file"),
}
HINTS: Final[dict[str, Text]] = {
    "number": _text("비우면 제한 없음", "Empty: not limited"),
    "time": _text("한국 시각, 비우면 제한 없음", "Time in Korea; empty: not limited"),
    "lines": _text("한 줄에 하나씩, 비우면 제한 없음", "One a line; empty: not limited"),
    "json": _text("JSON, 비우면 제한 없음", "JSON; empty: not limited"),
    "line": _text("비우면 제한 없음", "Empty: not limited"),
}
# What stands in a field, by example; of fields that say it themselves there is none.
EXAMPLES: Final[dict[str, str]] = {
    "recipients": "did:web:nuri.example",
    "columns": "plant",
    "masks": "price round 10",
    "bounds": "kwh 0 1000",
    "row_filter": 'plant isAnyOf ["A", "B"]',
}
SAID: Final[dict[str, Text]] = {
    "accepted": _text("수락했습니다.", "Accepted."),
    "countered": _text(
        "역제안을 보냈습니다. 상대의 답을 기다립니다.",
        "Counter-offer sent. Now it is the counterparty's turn.",
    ),
    "asked": _text(
        "공급기업에 요청했습니다. 답이 오면 이 페이지에 나타납니다.",
        "Asked the supplier. Its answer appears on this page.",
    ),
    "refused": _text("거절했습니다. 협상이 끝났습니다.", "Refused. The negotiation is over."),
    "withdrawn": _text("협상을 끝냈습니다.", "The negotiation was ended."),
    "ended": _text(
        "합의를 해지했습니다. 다음 이용부터 거절됩니다.",
        "The agreement was ended. The next use is refused.",
    ),
    "approval": _text("승인 방식을 바꾸었습니다.", "The approval was changed."),
}

WORDS: Final[dict[str, Text]] = {
    "desk": _text("협상 창구", "Desk"),
    "footer": _text(
        "이 창구는 우리 회사의 커넥터가 보여 줍니다. 데이터도 여기에 있습니다.",
        "This desk is served by your company's own connector, where its data is, too.",
    ),
    "example": _text("예:", "e.g."),
    "menu": _text("메뉴", "Menu"),
    "inbox": _text("받은 제안", "Inbox"),
    "begin": _text("협상 시작", "Begin a negotiation"),
    "negotiations": _text("모든 협상", "All negotiations"),
    "agreements": _text("맺은 합의", "Our agreements"),
    "datasets": _text("우리 데이터셋", "Our datasets"),
    "passbook": _text("통장", "Passbook"),
    "balance": _text("잔액", "Balance"),
    "available": _text("쓸 수 있는 돈", "Available"),
    "earned": _text("공급해서 번 돈", "Earned"),
    "receivable": _text("미수금", "Receivable"),
    "month": _text("달", "Month"),
    "time": _text("일시", "Time"),
    "kind": _text("내용", "Kind"),
    "memo": _text("적요", "Memo"),
    "amount": _text("금액", "Amount"),
    "fee_taken": _text("뗀 수수료", "Fee taken"),
    "balance_after": _text("계정 잔액", "Account's balance"),
    "later_lines": _text("이어서 보기", "Show later lines"),
    "passbook_empty": _text("이 달에는 움직인 돈이 없습니다", "No money moved in this month"),
    "passbook_empty_hint": _text(
        "입금하거나 데이터를 사고팔면 여기에 한 줄씩 적힙니다.",
        "Deposits, purchases and sales are written here, a line each.",
    ),
    "sign_in": _text("로그인", "Sign in"),
    "sign_out": _text("로그아웃", "Sign out"),
    "token": _text("관리 토큰", "Admin token"),
    "token_hint": _text(
        "이 커넥터의 데이터 폴더에 있는 admin-token 파일, 또는 ADMIN_TOKEN_FILE 설정이 가리키는 "
        "파일에 있습니다.",
        "It stands in the file admin-token of this connector's data folder, or in the file that "
        "the setting ADMIN_TOKEN_FILE names.",
    ),
    "wrong_token": _text("관리 토큰이 맞지 않습니다.", "Wrong admin token."),
    "signed_out": _text("로그아웃했습니다.", "Signed out."),
    "session_over": _text(
        "로그인하지 않았거나 로그인 시간이 끝났습니다. 보낸 내용은 처리되지 않았습니다.",
        "Not signed in, or no longer. What was sent has not been acted on.",
    ),
    "no_cookie": _text(
        "브라우저가 로그인 쿠키를 돌려주지 않습니다. 쿠키를 허용하고, 이 주소를 https로 또는 "
        "localhost에서 여세요.",
        "The browser does not return the sign-in cookie. Allow cookies, and open this address "
        "over https or on localhost.",
    ),
    "inbox_intro": _text(
        "우리 회사의 답을 기다리는 제안 조건입니다. 오래 기다린 것부터 보입니다.",
        "Proposals that wait for our answer, longest waiting first.",
    ),
    "inbox_empty": _text("답을 기다리는 것이 없습니다", "Nothing waits for an answer"),
    "inbox_empty_hint": _text(
        "상대가 요청하거나 역제안하면 여기에 나타납니다. 요청마다 사람이 답하려면 우리 "
        "데이터셋에서 승인 방식을 바꾸세요.",
        "Requests and counter-offers appear here. To answer every request yourself, change the "
        "approval of your datasets.",
    ),
    "none": _text("아직 없습니다", "None yet"),
    "negotiations_empty_hint": _text(
        "수요기업이 요청하거나 우리 회사가 요청하면 여기에 나타납니다.",
        "Requests of buyers, and our own, appear here.",
    ),
    "agreements_empty_hint": _text(
        "협상이 합의로 끝나면 여기에 나타납니다.",
        "A negotiation that ends in an agreement appears here.",
    ),
    "datasets_empty_hint": _text(
        "databank publish 명령으로 데이터셋을 공개하세요.",
        "Publish a dataset with the command databank publish.",
    ),
    "more": _text("더 보기", "Show more"),
    "dataset": _text("데이터셋", "Dataset"),
    "counterparty": _text("상대", "Counterparty"),
    "our_side": _text("우리 쪽", "Our side"),
    "provider": _text("공급기업", "Supplier"),
    "consumer": _text("수요기업", "Buyer"),
    "state": _text("상태", "State"),
    "until": _text("답할 기한", "Answer until"),
    "changed": _text("마지막 변경", "Last change"),
    "reason": _text("이유", "Reason"),
    "our_turn": _text("우리 차례", "our turn"),
    "their_turn": _text("상대 차례", "their turn"),
    "open": _text("보고 답하기", "Look and answer"),
    "rounds": _text("오간 제안 조건", "What was proposed"),
    "round": _text("회차", "Round"),
    "by": _text("누가", "By"),
    "at": _text("언제", "At"),
    "changes": _text("바뀐 것", "What it changed"),
    "before": _text("전", "before"),
    "after": _text("후", "after"),
    "us": _text("우리 회사", "us"),
    "listed": _text("등록된 조건", "Listed terms"),
    "unchanged": _text("바뀐 것 없음", "Nothing changed"),
    "no_rounds": _text(
        "이 협상의 제안 조건은 기록되지 않았습니다.", "The proposals were not recorded."
    ),
    "unreadable": _text(
        "이 커넥터가 모르는 조건이 있어 말로 옮길 수 없습니다. 수락할 수 없습니다.",
        "It holds terms that this connector does not know and cannot put in words. "
        "It cannot be accepted.",
    ),
    "as_it_came": _text("받은 그대로 보기", "Show it as it came"),
    "on_table": _text("지금 놓인 조건", "What is on the table"),
    "agreed_terms": _text("합의한 조건", "What was agreed"),
    "price": _text("요금", "Price"),
    "terms": _text("이용 조건", "Terms of use"),
    "enforced": _text("기술로 강제", "Technically enforced"),
    "contractual": _text("계약으로만", "By contract"),
    "answer": _text("답하기", "Answer"),
    "answer_hint": _text(
        "그때까지 답하지 않으면 협상이 끝납니다.",
        "Without an answer by then the negotiation ends.",
    ),
    "waiting": _text(
        "그때까지 상대가 답하지 않으면 협상이 끝납니다.",
        "If the counterparty does not answer by then, the negotiation ends.",
    ),
    "accept": _text("이 조건 수락하기", "Accept these terms"),
    "counter": _text("다른 조건을 역제안하기", "Propose other terms"),
    "counter_hint": _text(
        "지금 놓인 조건이 채워져 있습니다. 바꿀 것만 바꾸세요.",
        "Filled in with what is on the table. Change what you want to change.",
    ),
    "price_hint": _text(
        "원, 부가세 별도. 무료로 하려면 한 칸에 0을 적으세요. 금액 뒤에 붙일 수 있는 것: "
        "/free:1000 처음 1,000까지 무료, /over:10000:0.3 초과분의 값(/volume도 쓰면 전체의 값), "
        "/block:100 묶음당, /monthly 달마다 새로 셈.",
        "In won, without VAT; to ask for nothing, write 0 in one of them. After an amount may "
        "stand: /free:1000 the first 1,000 free, /over:10000:0.3 the amount above (with /volume: "
        "for all), "
        "/block:100 for each started block, /monthly counted anew each month.",
    ),
    "send_counter": _text("역제안 보내기", "Send the counter-offer"),
    "refuse": _text("거절하고 협상 끝내기", "Refuse and end the negotiation"),
    "withdraw": _text("협상 끝내기", "End the negotiation"),
    "why": _text("이유", "Reason"),
    "words": _text("덧붙일 말 (상대가 봅니다)", "In words (the other side sees them)"),
    "words_hint": _text("500자까지, 비워도 됩니다", "At most 500 characters; may be left empty"),
    "words_too_long": _text("500자까지 적으세요", "Write at most 500 characters"),
    "choose_reason": _text("이유를 고르세요", "Choose a reason"),
    "confirm_title": _text("이 조건으로 합의할까요?", "Agree to these terms?"),
    "confirm_provider": _text(
        "수락하면 합의가 맺어집니다. 수요기업은 이 조건대로 데이터를 쓰고, 이 요금을 우리 회사에 "
        "냅니다.",
        "With this the agreement is made. The buyer uses the data on these terms and pays us "
        "this price.",
    ),
    "confirm_consumer": _text(
        "수락하면 공급기업의 확인을 거쳐 합의가 맺어집니다. 우리 회사는 데이터를 쓴 만큼 이 요금을 "
        "냅니다.",
        "With this the agreement is made once the supplier confirms. We pay this price for what "
        "we use.",
    ),
    "confirm_final": _text(
        "수락은 되돌릴 수 없습니다. 맺은 합의는 이유를 대고 해지할 수 있습니다.",
        "Accepting cannot be undone. An agreement can be ended later, with a reason.",
    ),
    "confirm_accept": _text("수락하고 합의하기", "Accept and agree"),
    "back": _text("돌아가기", "Go back"),
    "agreement": _text("합의", "Agreement"),
    "agreed_at": _text("합의한 때", "Agreed at"),
    "ends_at": _text("끝나는 때", "Ends at"),
    "no_end": _text("정해지지 않음", "no fixed end"),
    "running": _text("이용 중", "running"),
    "over": _text("끝난 합의", "over"),
    "ended_by": _text("해지한 쪽", "Ended by"),
    "end": _text("합의 해지하기", "End the agreement"),
    "end_title": _text("이 합의를 해지할까요?", "End this agreement?"),
    "end_effect": _text(
        "다음 질의와 내려받기부터 거절됩니다. 지금 진행 중인 결과까지는 나갑니다.",
        "Queries and reads are refused from the next one on. A result that is under way is still "
        "delivered.",
    ),
    "end_money": _text(
        "지금까지 쓴 것의 대금은 그대로 남고, 명세서에 나옵니다.",
        "What was used until now stays owed and stands in the statement.",
    ),
    "end_told": _text(
        "상대에게 이유와 덧붙인 말을 알립니다. 되돌릴 수 없습니다.",
        "The counterparty is told the reason and your words. It cannot be undone.",
    ),
    "confirm_end": _text("합의를 해지합니다", "End it now"),
    "approval": _text("승인 방식", "Approval"),
    "begin_intro": _text(
        "어떤 데이터셋을 쓰고 싶습니까? 카탈로그에 나온 이름(회사.이름), ID 또는 페이지 주소를 "
        "붙여 넣거나, 검색어를 적으세요.",
        "Which dataset do you want to use? Paste its name (handle.name), its id or the address of "
        "its page at the catalog, or write words to search for.",
    ),
    "wanted": _text("데이터셋 이름 또는 검색어", "Name of the dataset, or words"),
    "find": _text("찾기", "Find"),
    "portal": _text("카탈로그에서 둘러보기", "Look around at the catalog"),
    "found_count": _text("찾은 데이터셋", "Found"),
    "is_widened": _text(
        "모든 낱말이 있는 데이터셋이 없어, 일부가 있는 것을 보입니다.",
        "No dataset has all words; these have some of them.",
    ),
    "first_found": _text(
        "앞의 것만 보입니다. 낱말을 더하면 좁혀집니다.",
        "Only the first are shown. More words make it fewer.",
    ),
    "found_none": _text("찾은 데이터셋이 없습니다", "Nothing was found"),
    "found_none_hint": _text(
        "다른 낱말로 찾거나, 카탈로그에 나온 이름(회사.이름)을 그대로 적으세요.",
        "Try other words, or write the name as the catalog shows it (handle.name).",
    ),
    "look_and_ask": _text("조건 보고 요청하기", "See the terms and ask"),
    "supplier_name": _text("공급기업", "Supplier"),
    "size": _text("크기", "Size"),
    "rows": _text("행", "rows"),
    "ask": _text("요청하기", "Ask for it"),
    "ask_as_it_stands": _text("이 조건 그대로 요청하기", "Ask for it as it stands"),
    "ask_otherwise": _text("다른 조건을 제안하기", "Propose other terms"),
    "ask_otherwise_hint": _text(
        "등록된 조건이 채워져 있습니다. 바꿀 것만 바꾸세요. 보내기 전에 한 번 더 보여 드립니다.",
        "Filled in with the listed terms. Change what you want to change. You see it all once "
        "more before it is sent.",
    ),
    "look_again": _text("요금과 조건 확인하기", "Check price and terms"),
    "own_dataset": _text(
        "우리 회사의 데이터셋이라 합의할 상대가 없습니다.",
        "This dataset is our own company's: there is nobody to agree with.",
    ),
    "used_already": _text(
        "이미 이 데이터셋을 쓸 수 있는 합의가 있습니다. 새로 합의하면 그 요금도 따로 붙습니다.",
        "We already have an agreement to use this dataset. A new one is charged on its own.",
    ),
    "asked_already": _text(
        "이 데이터셋에 대한 협상이 진행 중입니다.", "We already negotiate about this dataset."
    ),
    "see_negotiation": _text("협상 보기", "See the negotiation"),
    "change_it": _text("고치기", "Change it"),
    "asking_title": _text("공급기업에 이렇게 요청할까요?", "Ask the supplier for this?"),
    "asking_effect": _text(
        "공급기업이 받아들이면 더 묻지 않고 합의가 맺어지고, 우리 회사는 데이터를 쓴 만큼 이 "
        "요금을 냅니다.",
        "If the supplier agrees, the agreement is made without asking us again, and we pay this "
        "price for what we use.",
    ),
    "asking_end": _text(
        "공급기업이 답하기 전에는 협상을 끝낼 수 있고, 맺은 합의는 이유를 대고 해지할 수 있습니다.",
        "Until the supplier answers, the negotiation can be ended; an agreement can be ended "
        "later, with a reason.",
    ),
    "confirm_ask": _text("요청 보내기", "Send the request"),
    "confirm_proposal": _text("제안 보내기", "Send the proposal"),
    "differs": _text("등록된 조건과 다른 것", "What differs from the listed terms"),
    "approval_intro": _text(
        "다른 기업의 요청에 누가 답하는지 데이터셋마다 정합니다. 이미 맺은 합의와 진행 중인 "
        "협상은 그대로입니다.",
        "Who answers requests of others, for each dataset. Agreements and negotiations that have "
        "begun stay as they are.",
    ),
    "change": _text("바꾸기", "Change"),
    "is_withdrawn": _text("공개를 거둠", "withdrawn"),
    "faulty": _text("고칠 것이 있습니다", "Something has to be corrected"),
    "not_found": _text("찾을 수 없습니다", "Not found"),
    "not_found_hint": _text("주소가 잘못되었습니다.", "The address is wrong."),
    "to_inbox": _text("받은 제안으로", "To the inbox"),
}
