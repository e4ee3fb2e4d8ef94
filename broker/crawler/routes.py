"""Nudges by companies, and the operator's view of how crawling goes."""

from __future__ import annotations

from fastapi import APIRouter, Request

from broker.crawler import service, store
from broker.parts import get_parts
from databank.kit.app import AdminDep, CallerDep, UowDep, get_context
from schemas.participant import CrawlList, CrawlReport, Role
from schemas.problem import ForbiddenError, NotFoundError

router = APIRouter(tags=["crawler"])


@router.post("/crawls", status_code=202, summary="My catalog changed: read it now")
def request_crawl(request: Request, caller: CallerDep) -> CrawlReport:
    """Make the caller's catalog due; answers how the last crawl of it went."""
    me = caller.participant
    if me.role is not Role.COMPANY:
        raise ForbiddenError(
            ko="회사의 커넥터만 수집을 요청할 수 있습니다.",
            en="Only a company's connector is crawled.",
        )
    store.nudge(caller.uow, me.id, now=get_context(request).clock())
    caller.uow.after_commit(get_parts(request).crawler.wake)
    source = store.find(caller.uow, me.id)
    if source is None:
        raise NotFoundError(
            ko=f"{me.id}은(는) 수집 대상이 아닙니다.", en=f"{me.id} has no catalog."
        )
    return service.report(caller.uow, source)


@router.get("/crawls", summary="How crawling goes", dependencies=[AdminDep])
def list_crawls(uow: UowDep) -> CrawlList:
    """Return all sources with their last success, error and rejected datasets."""
    return CrawlList(sources=tuple(service.report(uow, one) for one in store.list_all(uow)))
