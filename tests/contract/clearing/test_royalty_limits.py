"""Royalties beyond what the books can hold wait, and hold up nobody else's."""

from __future__ import annotations

from sqlalchemy import text

from databank.kit.db import Database
from tests.support.chain import PERIOD, WON, Chain, edge


def test_royalties_that_the_books_cannot_hold_wait_and_nobody_else_does(
    chain: Chain, database_url: str
) -> None:
    full = 2**63 - 1 - 250 * WON  # 285 won will not fit into what C's sources got
    chain.register_example()
    chain.bank.deposit(chain.y, 1_100)
    chain.sell(1)
    database = Database(database_url)
    with database.engine.begin() as connection:
        changed = connection.execute(
            text(
                "INSERT INTO clearing_account (id, book, code, owner_id, debits_posted, "
                "credits_posted, debits_pending, credits_pending, is_prepaid) VALUES "
                "(:id, 'accrual', 'earned', :owner, :full, :full, 0, 0, :no)"
            ),
            {"id": f"accrual:earned:{chain.a.id}", "owner": chain.a.id, "full": full, "no": False},
        )
        assert changed.rowcount == 1
    rehearsed = chain.bank.admin("POST", f"/periods/{PERIOD}/close?dry_run=true").json()
    assert rehearsed["royalties_waiting"] == [chain.c.id]
    report = chain.close()
    assert report.is_closed
    assert report.royalties_waiting == (chain.c.id,)
    assert [len(chain.statements(each)) for each in (chain.a, chain.b, chain.c)] == [0, 0, 1]
    (sold,) = chain.statements(chain.c)
    assert sold.sales_total_won == 1_100 - 55
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE clearing_account SET debits_posted = 0, credits_posted = 0 WHERE id = :id"
            ),
            {"id": f"accrual:earned:{chain.a.id}"},
        )
    database.close()
    again = chain.close()
    assert (again.is_closed, again.royalties_waiting) == (True, None)
    (told,) = chain.statements(chain.a)
    assert [line.supply_won for line in told.royalties_received or ()] == [19, 285]


def test_a_curator_owes_no_more_than_a_limit_beyond_what_it_earned(chain: Chain) -> None:
    most = 10**15  # of an edge; ten edges to one source make the most of a line
    chain.register(
        chain.c,
        chain.sale,
        *(edge(chain.c_of_a, "fixed_per_period", most) for _ in range(10)),
        edge(chain.c_of_b, "fixed_per_period", most),
    )
    chain.register(chain.b, chain.c_of_b, edge(chain.b_of_a, "pct_of_gross", 100_000))
    chain.sell(1)
    report = chain.close()
    assert (report.is_closed, report.royalties_waiting) == (True, (chain.c.id,))
    assert chain.statements(chain.a) == chain.statements(chain.b) == []
