"""Checking a bundle with nothing but itself and, at best, the log's key from elsewhere.

1. The bytes are the one way to write the bundle.
2. The checkpoint is signed by the log's key and by each witness that the bundle names, and by
   nobody else; keys that were given are among them.
3. Every statement, agreement and receipt is signed by clearing and in the log where it says.
4. Every slice is what the supplier signed, under the key that the receipt names.
5. Records run in the order of their numbers, belong to their agreement, and none is told twice.
6. Rated anew in the order of the log, they give each line of the statement, to the won; and
   the lines give its sums. A credit line follows from the line that it names and from the sealed
   end of its dispute; no won is taken back twice. Nothing in the bundle is left over.
7. Royalties follow from split plans and income reports, and those of the participant's own
   products from the records (`clearing.bundle.royalties`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from pydantic import ValidationError

from clearing.bundle.credits import BadCreditError, Credits
from clearing.bundle.replay import Account, line_of
from clearing.bundle.royalties import (
    BadRoyaltyError,
    Placed,
    Royalties,
    keys_needed,
    months_told,
    sold_of,
)
from clearing.rating.rate import OutOfRangeError
from clearing.shares.model import Plan
from schemas.bank import Statement, StatementLine
from schemas.bundle import BUNDLE_BYTES_MAX, Bundle, Leaf, ProvenSlice, ProvenStatement
from schemas.canonical import canonical_bytes, digest
from schemas.dispute import DisputeMove
from schemas.ids import AgreementId, ParticipantId
from schemas.merkle import BadProofError, check_inclusion, leaf_hash
from schemas.note import (
    BadNoteError,
    Checkpoint,
    NoteKey,
    cosigned_at,
    open_checkpoint,
    split_note,
)
from schemas.seal import Seal, SealKind, log_entry, verify_seal
from schemas.signature import BadSignatureError, PublicKey, peek_header
from schemas.slices import records_in
from schemas.usage import (
    BadBatchError,
    BatchHeader,
    Receipt,
    UsageRecord,
    verify_header,
    verify_receipt,
)
from schemas.wire import Text

_FAULTS: Final = (
    BadBatchError, BadNoteError, BadProofError, BadSignatureError, OutOfRangeError, ValueError,
)  # fmt: skip


class BadBundleError(Exception):
    """The bundle does not prove its statement; ``text`` says where."""

    def __init__(self, ko: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(ko=ko, en=en)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness that cosigned the checkpoint.

    ``key`` is its vkey; ``is_key_given`` tells whether that came from elsewhere than the bundle.
    """

    key: str
    at: datetime
    is_key_given: bool


@dataclass(frozen=True, slots=True)
class Proven:
    """What a good bundle proves.

    ``is_key_given`` tells whether the log's key came from elsewhere than the bundle.
    """

    statement: Statement
    log_index: int  # of the statement's seal
    checkpoint: Checkpoint
    log_key: str
    is_key_given: bool
    witnesses: tuple[Cosigned, ...]
    batches_count: int
    records_count: int


@dataclass(frozen=True, slots=True)
class _Evidence:
    """A slice that was checked: where its receipt stands in the log, and its records."""

    log_index: int
    records: list[UsageRecord]


def verify_bundle(
    content: bytes, *, log_key: str | None = None, witness_keys: Collection[str] = ()
) -> Proven:
    """Check a bundle and the statement that it is about.

    Args:
        content: The bundle's bytes.
        log_key: The log's vkey, if it is known from elsewhere.
        witness_keys: Witnesses' vkeys, known from elsewhere: each has to have cosigned.

    Raises:
        BadBundleError: The statement does not follow from the bundle.
    """
    bundle = _read(content)
    try:
        reader = _Reader(bundle, log_key)
        witnesses = _cosigned(bundle, {key.strip() for key in witness_keys})
    except _FAULTS as error:
        raise BadBundleError(
            f"체크포인트나 그 열쇠가 맞지 않습니다: {error}",
            f"The checkpoint or its key is wrong: {error}",
        ) from None
    accounts = reader.accounts()
    evidence = reader.evidence(accounts)
    statements = reader.statements()
    target = _replay(statements, accounts, evidence, reader)
    _check_sums(target)
    return Proven(
        statement=target,
        log_index=statements[-1][0],
        checkpoint=reader.checkpoint,
        log_key=bundle.log_key,
        is_key_given=log_key is not None,
        witnesses=witnesses,
        batches_count=len({item.log_index for items in evidence.values() for item in items}),
        records_count=sum(len(i.records) for items in evidence.values() for i in items),
    )


def _read(content: bytes) -> Bundle:
    """Step 1."""
    if len(content) > BUNDLE_BYTES_MAX:
        raise BadBundleError("증빙 자료가 너무 큽니다.", "The bundle is too large.")
    try:
        bundle = Bundle.model_validate_json(content)
        is_only_form = canonical_bytes(bundle.to_json()) == content
    except (ValidationError, ValueError):
        raise BadBundleError("증빙 자료의 형식이 아닙니다.", "This is not a bundle.") from None
    if not is_only_form:
        raise BadBundleError(
            "증빙 자료가 정해진 글자 그대로가 아닙니다.", "The bundle is not written canonically."
        )
    return bundle


def _cosigned(bundle: Bundle, given: set[str]) -> tuple[Cosigned, ...]:
    """Check the witnesses' part of step 2: every signature has its key, and every key its own."""
    keys = [NoteKey.parse(text) for text in bundle.witness_keys or ()]
    names = [name for name, _ in split_note(bundle.checkpoint)[1][1:]]
    if names != [key.name for key in keys] or len({key.id for key in keys}) != len(keys):
        raise BadNoteError("signatures that nobody can check")
    if missing := given - {str(key) for key in keys}:
        raise BadNoteError(f"not cosigned by {', '.join(sorted(missing))}")
    found = []
    for key in keys:
        seconds = cosigned_at(bundle.checkpoint, key)
        if seconds is None:
            raise BadNoteError(f"no cosignature of {key.name} under its key")
        at = datetime.fromtimestamp(seconds, UTC)
        found.append(Cosigned(str(key), at, is_key_given=str(key) in given))
    return tuple(found)


class _Reader:
    """A bundle whose checkpoint was checked (step 2)."""

    def __init__(self, bundle: Bundle, log_key: str | None) -> None:
        self._bundle = bundle
        key = NoteKey.parse(bundle.log_key)
        if log_key is not None and log_key.strip() != bundle.log_key:
            raise BadNoteError(f"the key is {bundle.log_key}, not {log_key.strip()}")
        self.checkpoint = open_checkpoint(bundle.checkpoint, key)
        x = base64.urlsafe_b64encode(key.public).rstrip(b"=").decode()
        self._jwk = {"kty": "OKP", "crv": "Ed25519", "x": x}

    def _clearing_key(self, jws: str) -> PublicKey:
        return PublicKey(str(peek_header(jws).get("kid")), self._jwk)

    def _check_leaf(self, leaf: Leaf, origin: str, index: int) -> None:
        if origin != self.checkpoint.origin:
            raise BadProofError(f"a leaf of {origin}")
        check_inclusion(
            leaf_hash(log_entry(leaf.jws)),
            index,
            size=self.checkpoint.size,
            root=self.checkpoint.root,
            proof=[bytes.fromhex(part) for part in leaf.proof],
        )

    def _seal(self, leaf: Leaf, kind: SealKind, subject: str, sha256: str) -> Seal:
        """Step 3, for statements and agreements."""
        seal = verify_seal(leaf.jws, self._clearing_key(leaf.jws))
        if (seal.kind, seal.subject, seal.sha256) != (kind, subject, sha256):
            raise BadProofError("the seal is of something else")
        self._check_leaf(leaf, seal.log_origin, seal.log_index)
        return seal

    def accounts(self) -> dict[AgreementId, Account]:
        """Return an empty account for each agreement."""
        found: dict[AgreementId, Account] = {}
        for proven in self._bundle.agreements:
            sealed = proven.agreement
            id_ = sealed.record.agreement_id
            try:
                self._seal(proven.seal, SealKind.AGREEMENT, id_, sealed.sha256)
            except _FAULTS as error:
                raise _broken(f"합의 {id_}", f"Agreement {id_}", error) from None
            if found and id_ <= max(found):
                raise _broken(f"합의 {id_}", f"Agreement {id_}", "out of order or told twice")
            found[id_] = Account(sealed)
        return found

    def plans(self, whose: ParticipantId) -> dict[str, Placed]:
        """Return the split plans by hash, with the edges that this participant may see."""
        found: dict[str, Placed] = {}
        for proven in self._bundle.plans or ():
            sealed, shown = proven.plan, [edge.sha256 for edge in proven.edges]
            id_ = sealed.sha256
            try:
                place = self._seal(proven.seal, SealKind.SPLIT_PLAN, id_, id_).log_index
                if found and id_ <= max(found):
                    raise BadProofError("out of order or told twice")
                if shown != [each for each in sealed.edges_sha256 if each in set(shown)]:
                    raise BadProofError("edges that the plan does not have, or out of order")
                is_own = sealed.curator_id == whose
                if is_own and len(shown) != len(sealed.edges_sha256):
                    raise BadProofError("edges are missing")
                if not is_own and {edge.party_id for edge in proven.edges} != {whose}:
                    raise BadProofError("edges of another participant")
            except _FAULTS as error:
                raise _broken(f"분배 계획 {id_}", f"Split plan {id_}", error) from None
            found[id_] = Placed(place, plan=Plan(sealed, id_, proven.edges))
        return found

    def incomes(self) -> dict[str, Placed]:
        """Return the income reports by id."""
        found: dict[str, Placed] = {}
        for proven in self._bundle.incomes or ():
            report = proven.report
            id_ = report.income_id
            try:
                place = self._seal(proven.seal, SealKind.INCOME, id_, report.sha256).log_index
                if found and id_ <= max(found):
                    raise BadProofError("out of order or told twice")
            except _FAULTS as error:
                raise _broken(f"매출 집계 {id_}", f"Income report {id_}", error) from None
            found[id_] = Placed(place, report=report)
        return found

    def statements(self) -> list[tuple[int, Statement]]:
        """Return the statements with their places in the log; the last is what is proven."""
        found = [(self._place_of(proven), proven.document) for proven in self._bundle.statements]
        target = found[-1][1]
        for (before, _), (after, _) in pairwise(found):
            if before >= after:
                raise _broken("명세서", "Statements", "not in the order of the log")
        for _, other in found:
            if other.participant_id != target.participant_id:
                raise _broken(f"명세서 {other.statement_id}", f"Statement {other.statement_id}",
                              "of another participant")  # fmt: skip
        return found

    def _place_of(self, proven: ProvenStatement) -> int:
        id_ = proven.document.statement_id
        try:
            sha256 = digest(proven.document.to_json())
            return self._seal(proven.seal, SealKind.STATEMENT, id_, sha256).log_index
        except _FAULTS as error:
            raise _broken(f"명세서 {id_}", f"Statement {id_}", error) from None

    def ends(self) -> dict[str, tuple[int, DisputeMove]]:
        """Return the ends of disputes with their places in the log."""
        found: dict[str, tuple[int, DisputeMove]] = {}
        for proven in self._bundle.decisions or ():
            end = proven.document
            id_ = end.dispute_id
            try:
                seal = self._seal(proven.seal, SealKind.DISPUTE, end.subject, end.sha256)
            except _FAULTS as error:
                raise _broken(f"분쟁 {id_}", f"Dispute {id_}", error) from None
            if found and id_ <= max(found):
                raise _broken(f"분쟁 {id_}", f"Dispute {id_}", "out of order or told twice")
            found[id_] = seal.log_index, end
        return found

    def evidence(self, accounts: dict[AgreementId, Account]) -> dict[AgreementId, list[_Evidence]]:
        """Return each agreement's records in the order of the log."""
        found: dict[AgreementId, list[_Evidence]] = {id_: [] for id_ in accounts}
        last: tuple[AgreementId, int] | None = None
        for number, proven in enumerate(self._bundle.slices):
            try:
                log_index, records = self._slice(proven)
                id_ = records[0].agreement_id
                _check_records(records, accounts[id_])
                if last is not None and last >= (id_, log_index):
                    raise BadProofError("not in the order of agreements and log")
                last = (id_, log_index)
            except (KeyError, *_FAULTS) as error:
                raise _broken(f"기록 묶음 {number}", f"Slice {number}", error) from None
            found[id_].append(_Evidence(log_index, records))
        return found

    def _slice(self, proven: ProvenSlice) -> tuple[int, list[UsageRecord]]:
        """Steps 3 and 4, for a slice."""
        jws = proven.receipt.jws
        receipt = verify_receipt(jws, self._clearing_key(jws))
        self._check_leaf(proven.receipt, receipt.log_origin, receipt.log_index)
        signer = PublicKey(
            str(peek_header(proven.header).get("kid")), proven.signer.model_dump(mode="json")
        )
        header = verify_header(proven.header, signer)
        _check_receipt(receipt, header, proven.header, signer)
        content = base64.b64decode(proven.records, validate=True)
        check_inclusion(
            leaf_hash(content),
            proven.index,
            size=header.slices_count,
            root=bytes.fromhex(header.slices_root),
            proof=[bytes.fromhex(part) for part in proven.proof],
        )
        if base64.b64encode(content).decode() != proven.records:
            raise BadBatchError("not the canonical base64")
        records = records_in(content)
        last = header.first_seq + header.records_count - 1
        if not records or not header.first_seq <= records[0].seq <= records[-1].seq <= last:
            raise BadBatchError("sequence numbers that the batch does not have")
        return receipt.log_index, records


def _check_receipt(receipt: Receipt, header: BatchHeader, jws: str, signer: PublicKey) -> None:
    said = (receipt.provider_id, receipt.epoch, receipt.first_seq, receipt.body_sha256)
    if said != (header.provider_id, header.epoch, header.first_seq, header.body_sha256):
        raise BadProofError("a receipt for another batch")
    if receipt.header_sha256 != hashlib.sha256(jws.encode()).hexdigest():
        raise BadProofError("a receipt for another header")
    if receipt.signer != signer.fingerprint:
        raise BadProofError("another key than the receipt says")


def _check_records(records: list[UsageRecord], account: Account) -> None:
    """Step 5."""
    told = account.agreement.record
    wanted = (told.agreement_id, told.consumer_id, told.dataset_id)
    seq = 0
    for record in records:
        if (record.agreement_id, record.consumer_id, record.dataset_id) != wanted:
            raise BadBatchError(f"seq {record.seq} is of another agreement")
        if record.seq <= seq:
            raise BadBatchError(f"seq {record.seq} is out of order")
        seq = record.seq


def _replay(
    statements: list[tuple[int, Statement]],
    accounts: dict[AgreementId, Account],
    evidence: dict[AgreementId, list[_Evidence]],
    reader: _Reader,
) -> Statement:
    """Steps 6 and 7: rate what stands in the log before each statement, and compare its lines."""
    target, ends = statements[-1][1], Credits(reader.ends())
    whose = target.participant_id
    documents = [statement for _, statement in statements]
    datasets = {id_: each.agreement.record.dataset_id for id_, each in accounts.items()}
    shared = months_told(target, documents, datasets)
    keys = keys_needed(target, documents, shared)
    royalties = Royalties(whose, keys, reader.plans(whose), reader.incomes())
    waiting = {id_: list(items) for id_, items in evidence.items()}
    told: set[AgreementId] = set()
    for place, statement in statements:
        for line, is_sale in _lines(statement):
            account = accounts.get(line.agreement_id)
            if account is None:
                if statement is target:
                    raise _differs(line, "its agreement is not in the bundle")
                continue
            _use_until(place, waiting[line.agreement_id], account)
            _compare(line, account, statement, is_sale=is_sale)
            if statement is target:
                told.add(line.agreement_id)
        for id_ in {each.agreement_id for each in statement.credits or ()} & set(accounts):
            _use_until(place, waiting[id_], accounts[id_])
        credited = _check_credits(ends, statement, accounts, place)
        told |= credited if statement is target else set()
        _check_royalties(royalties, statement, place)
    told |= sold_of(shared, accounts, whose)
    if told != set(accounts) or any(waiting.values()):
        raise _broken("증빙 자료", "The bundle", "more than the statement follows from")
    try:
        royalties.check_incomes(target, shared, accounts.values(), ends.credited)
        royalties.check_all_used()
    except BadRoyaltyError as error:
        raise _broken("로열티", "Royalties", error) from None
    try:
        ends.check_all_told(target, accounts)
    except BadCreditError as error:
        raise _broken("감액", "Credits", error) from None
    return target


def _use_until(place: int, items: list[_Evidence], account: Account) -> None:
    while items and items[0].log_index < place:
        account.use(items.pop(0).records)


def _check_credits(
    ends: Credits, statement: Statement, accounts: dict[AgreementId, Account], place: int
) -> set[AgreementId]:
    try:
        return ends.check(statement, accounts, place)
    except BadCreditError as error:
        id_ = statement.statement_id
        raise _broken(f"명세서 {id_}의 감액", f"Credits in statement {id_}", error) from None


def _check_royalties(royalties: Royalties, statement: Statement, place: int) -> None:
    try:
        royalties.check(statement, place)
    except BadRoyaltyError as error:
        id_ = statement.statement_id
        raise _broken(f"명세서 {id_}의 로열티", f"Royalties in statement {id_}", error) from None


def _lines(statement: Statement) -> Iterator[tuple[StatementLine, bool]]:
    seen: set[AgreementId] = set()
    for lines, is_sale in ((statement.purchases, False), (statement.sales, True)):
        for line in lines:
            if line.agreement_id in seen:
                raise _differs(line, "it is told twice")
            seen.add(line.agreement_id)
            yield line, is_sale


def _compare(line: StatementLine, account: Account, statement: Statement, *, is_sale: bool) -> None:
    record, whose = account.agreement.record, statement.participant_id
    if whose != (record.provider_id if is_sale else record.consumer_id):
        raise _differs(line, f"{whose} is not that party of it")
    try:
        counts, won = account.state(statement.period, statement.statement_id)
    except OutOfRangeError as error:
        raise _differs(line, str(error)) from None
    due = line_of(account.agreement, whose, line.counterparty_name, counts, won)
    if due != line:
        ours, theirs = due.to_json(), line.to_json()
        names = sorted(name for name in ours if ours[name] != theirs[name])
        said = ", ".join(f"{name} {theirs[name]} ≠ {ours[name]}" for name in names)
        raise _differs(line, said)


def _check_sums(statement: Statement) -> None:
    for name, due in statement.sums().items():
        if getattr(statement, name) != due:
            raise _broken("명세서 합계", "The statement's sums", f"{name} is not {due}")


def _differs(line: StatementLine, reason: str) -> BadBundleError:
    id_, title = line.agreement_id, line.dataset_title
    return _broken(f"명세서 줄 ‘{title}’ ({id_})", f"Line '{title}' ({id_})", reason)


def _broken(ko: str, en: str, reason: object) -> BadBundleError:
    return BadBundleError(f"{ko}: 증명되지 않습니다 ({reason})", f"{en}: not proven ({reason})")
