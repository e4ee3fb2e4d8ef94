"""Hostile SQL by the thousand, and an oracle that knows nothing of the gate.

Run as a program it is the child: it makes statements from a seed, shows each to the gate, and
runs whatever passes in engines whose doors are all open and where canaries are planted: other
tables, views, types, macros, variables, settings, files, the environment, a listening socket.
Nothing of them may come out, nothing may have changed, and two engines that differ in nothing but
what is hidden must answer alike. It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import socket
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from connector.dataplane.gate import GateError
from connector.dataplane.worker import check_sql

TOKEN: Final = "qz7kp4xwv9"  # in no statement; case and direction don't matter
OTHER_TOKEN: Final = "hb3mt8rjy6"
MEMORY_BYTES: Final = 2_000_000_000
RUN_MILLISECONDS: Final = 3_000
ROWS_LOOKED_AT: Final = 300
STATE_EVERY: Final = 100
CUT_OFF: Final = {"InterruptException", "OutOfMemoryException"}
TEXT_CHARS_MAX: Final = 4_000
PROGRESS_DIGITS: Final = 12
HIDDEN: Final = (
    "other_secret",
    "priv.hidden",
    "secret_view",
    "secret_macro()",
    "secret_enum",
    "seq_secret",
    "duckdb_tables()",
    "duckdb_settings()",
    "duckdb_views()",
    "information_schema.tables",
    "pg_catalog.pg_class",
    "sqlite_master",
    "read_text('{folder}/secret.txt')",
    "read_csv('{folder}/secret.csv')",
    "'{folder}/secret.csv'",
    "host_table",
    "getvariable('host_secret')",
    "current_setting('custom_user_agent')",
    "query('FROM other_secret')",
    "query_table('other_secret')",
    "enum_range(NULL::secret_enum)",
    "CAST(0 AS secret_enum)",
    "read_text('http://127.0.0.1:{port}/x')",
)
ATTACKS: Final = (  # what the fuzzer grows from where no corpus lies beside the checkout
    "SELECT * FROM other_secret",
    "SELECT * FROM priv.hidden",
    "SELECT s FROM asset, other_secret",
    "SELECT (SELECT max(s) FROM other_secret) FROM asset LIMIT 1",
    "WITH c AS (SELECT * FROM other_secret) SELECT * FROM c",
    "WITH a AS (DELETE FROM other_secret RETURNING *) SELECT * FROM a",
    "WITH a AS (COPY other_secret TO '{folder}/out.csv') SELECT 1",
    "SELECT * FROM read_text('{folder}/secret.txt')",
    "SELECT * FROM '{folder}/secret.csv'",
    "COPY asset TO '{folder}/out.csv'",
    "ATTACH ':memory:' AS m",
    "SELECT getvariable('host_secret')",
    "SELECT current_setting('custom_user_agent')",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM query('FROM other_secret')",
    "SELECT CAST('x' AS secret_enum)",
    "SELECT nextval('seq_secret')",
    "SELECT * FROM asset UNION ALL SELECT 1, s, s, 1.0, now() FROM other_secret",
    "FROM asset SELECT COLUMNS(*)",
    "PIVOT other_secret ON s USING count(*)",
    "DESCRIBE other_secret",
    "SUMMARIZE other_secret",
    "SHOW ALL TABLES",
    "CREATE TABLE t AS FROM other_secret",
    "INSERT INTO other_secret VALUES ('x', 1)",
    "SELECT * FROM asset AT (VERSION => 1)",
    "SELECT * FROM asset TABLESAMPLE 10%",
    "SELECT list_transform([1], lambda x: (SELECT s FROM other_secret))",
    "SELECT struct_pack(a := (SELECT s FROM other_secret LIMIT 1))",
    "SELECT * FROM (VALUES (1)) t(x) POSITIONAL JOIN other_secret",
    "SELECT x FROM (SELECT (WITH other_secret AS (SELECT 1) FROM other_secret) AS x), other_secret",
    "EXECUTE p",
    "SELECT * FROM asset WHERE n IN (FROM other_secret SELECT n)",
    "SELECT secret_macro()",
    "SELECT * FROM asset ORDER BY (SELECT s FROM other_secret)",
    "SELECT count(*) OVER (ORDER BY (SELECT max(s) FROM other_secret)) FROM asset",
    "SELECT * FROM asset LIMIT (SELECT n FROM other_secret)",
)
HONEST: Final = (
    "SELECT {c} FROM asset WHERE {n} > {v} ORDER BY 1 LIMIT {k}",
    "SELECT {c}, count(*), {a}({n}) FROM asset GROUP BY {c} ORDER BY {c}",
    "SELECT {c}, {a}({n}) FROM asset GROUP BY ALL HAVING count(*) > {k}",
    "WITH t AS (SELECT {c} AS g, {a}({n}) AS m FROM asset GROUP BY 1) FROM t WHERE m > {v}",
    "SELECT x.{c}, count(*) FROM asset x JOIN asset y USING (n) WHERE y.{n} < {v} GROUP BY 1",
    "SELECT {c}, rank() OVER (PARTITION BY {c} ORDER BY {n}) AS r FROM asset QUALIFY r <= {k}",
    "SELECT date_trunc('day', taken_at) AS d, {a}({n}) FROM asset GROUP BY d ORDER BY d LIMIT {k}",
    "SELECT CASE WHEN {n} > {v} THEN 'much' ELSE 'little' END, {a}({n}) FROM asset GROUP BY 1",
    "SELECT DISTINCT {t} FROM asset WHERE {t} LIKE '%{k}' UNION SELECT {t} FROM asset",
    "SELECT {a}({n}) FILTER (WHERE {n} BETWEEN {k} AND {v}), round({a}({n}), 2) FROM asset",
    "SELECT upper({t}) || '-' || n, {n}::DECIMAL(12, 3), try_cast({t} AS DATE) FROM asset",
    "SELECT {c} FROM asset a WHERE {n} >= (SELECT {a}({n}) FROM asset b WHERE b.{c} = a.{c})",
)
_TOKENS: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$|--[^\n]*|/\*.*?\*/|\w+|\s+|.", re.DOTALL
)


def honest(chance: random.Random) -> str:
    """Return a query that must pass and run."""
    return chance.choice(HONEST).format(
        c=chance.choice(("plant", "공정", "n")),
        t=chance.choice(("plant", "공정")),
        n=chance.choice(("kwh", "n")),
        a=chance.choice(("sum", "avg", "min", "max", "median", "count")),
        v=chance.randrange(-10, 900),
        k=chance.randrange(1, 40),
    )


class Mutator:
    """Makes statements from seeds; the same number makes the same statement."""

    def __init__(
        self, seed: int, seeds: list[str], functions: list[str], fill: dict[str, Any]
    ) -> None:
        self._seed = seed
        self._seeds = [one[:TEXT_CHARS_MAX] for one in seeds]
        self._functions = functions
        self._hidden = [one.format(**fill) for one in HIDDEN]

    def statement(self, number: int) -> str:
        """Return statement ``number``."""
        chance = random.Random(f"{self._seed}:{number}")
        text = self._source(chance)
        for _ in range(chance.choice((1, 1, 2, 3, 5))):
            text = self._mutated(chance, text)
        return text[:TEXT_CHARS_MAX]

    def _source(self, chance: random.Random) -> str:
        return honest(chance) if chance.random() < 0.5 else chance.choice(self._seeds)

    def _mutated(self, chance: random.Random, text: str) -> str:
        kind = chance.randrange(8)
        if kind == 0:
            return self._wrapped(chance, text)
        tokens = _TOKENS.findall(text)
        if not tokens:
            return honest(chance)
        at = chance.randrange(len(tokens))
        if kind == 1:
            del tokens[at : at + chance.choice((1, 1, 2, 4))]
        elif kind == 2:
            tokens.insert(at, " " + chance.choice(_TOKENS.findall(self._source(chance))) + " ")
        elif kind == 3:
            tokens[at] = chance.choice(_TOKENS.findall(self._source(chance)))
        elif kind == 4:
            tokens[at] = self._planted(chance, tokens[at])
        elif kind == 5:
            other = _TOKENS.findall(self._source(chance))
            start = chance.randrange(len(other))
            tokens[at : at + 1] = other[start : start + chance.randrange(1, 30)]
        elif kind == 6:
            words = [n for n, token in enumerate(tokens) if token[:1].isalpha()]
            if words:
                tokens[chance.choice(words)] = self._planted(chance, tokens[at])
        else:
            tokens[at] = self._disguised(chance, tokens[at])
        return "".join(tokens)

    def _planted(self, chance: random.Random, token: str) -> str:
        if token.isalpha() and chance.random() < 0.4:
            return chance.choice(self._functions)
        return chance.choice(self._hidden)

    def _disguised(self, chance: random.Random, token: str) -> str:
        forms = (f'"{token}"', f"/**/{token}/**/", token.upper(), f"main.{token}", f"({token})")
        more = (
            f"{token}\u00a0",
            f"memory.main.{token}",
            f"{token}.*",
            f"[{token}]",
            f"{token}::text",
        )
        return chance.choice((*forms, *more))

    def _wrapped(self, chance: random.Random, text: str) -> str:
        inner = text.rstrip("; \n")
        hidden = chance.choice(self._hidden)
        return chance.choice(
            (
                f"SELECT * FROM ({inner}) AS w",
                f"WITH w AS ({inner}) SELECT * FROM w",
                f"WITH other_secret AS ({inner}) SELECT * FROM asset, other_secret LIMIT 5",
                f"SELECT (WITH other_secret AS (SELECT 1 AS s) SELECT 1), * FROM ({inner}) w",
                f"SELECT n FROM asset WHERE EXISTS ({inner}) LIMIT 3",
                f"SELECT ({inner}) AS one FROM asset LIMIT 1",
                f"{inner} UNION ALL {self._source(chance)}",
                f"{inner}; {self._source(chance)}",
                f"SELECT * FROM asset, {hidden} LIMIT 5",
                f"SELECT * FROM asset, LATERAL ({inner}) AS w LIMIT 5",
                f"FROM ({inner}) AS w SELECT *",
                f"SELECT first({hidden}) FROM asset",
            )
        )


@dataclass
class Arena:
    """An engine with all doors open, canaries behind each, and one licensed table."""

    folder: Path
    engine: duckdb.DuckDBPyConnection = field(init=False)
    twin: duckdb.DuckDBPyConnection = field(init=False)
    parser: duckdb.DuckDBPyConnection = field(init=False)
    listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0)
        for suffix, text in (("txt", TOKEN), ("csv", f"a,b\n{TOKEN},1\n")):
            (self.folder / f"secret.{suffix}").write_text(text, encoding="utf-8")
        os.environ["DATABANK_CANARY"] = TOKEN
        self.parser = duckdb.connect()
        self.engine = self._planted(TOKEN, rows=1)
        self.twin = self._planted(OTHER_TOKEN, rows=3)
        self.first_state = self.state()

    def _planted(self, token: str, *, rows: int) -> duckdb.DuckDBPyConnection:
        engine = duckdb.connect(config={"custom_user_agent": token})
        engine.register("asset", asset())
        for statement in (
            f"CREATE TABLE other_secret AS SELECT '{token}' AS s, n FROM range({rows}) r(n)",
            f"CREATE SCHEMA priv; CREATE TABLE priv.hidden AS SELECT '{token}' AS s",
            f"CREATE TABLE {token}_table AS SELECT {rows} AS n",
            f"CREATE VIEW secret_view AS SELECT '{token}' AS s",
            f"CREATE TYPE secret_enum AS ENUM ('{token}')",
            f"CREATE MACRO secret_macro() AS '{token}'",
            f"SET VARIABLE host_secret = '{token}'",
            f"CREATE SEQUENCE seq_secret START {rows}",
            f"COMMENT ON TABLE other_secret IS '{token}'",
            f"SET home_directory = '{self.folder}'",
            f"SET temp_directory = '{self.folder}/spill'",
            f"SET max_execution_time = {RUN_MILLISECONDS}",
            "SET memory_limit = '500MB'; SET threads = 1",
            "SET autoinstall_known_extensions = false",
        ):
            engine.execute(statement)
        return engine

    @property
    def fill(self) -> dict[str, Any]:
        """What stands for the folder and the port in statements."""
        return {"folder": str(self.folder), "port": self.listener.getsockname()[1]}

    def functions(self) -> list[str]:
        """Return the names of all functions of the engine."""
        found = self.engine.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() ORDER BY 1"
        )
        return [str(name) for (name,) in found.fetchall()]

    def state(self) -> tuple[object, ...]:
        """Return what no statement may change, engine and folder."""
        found = self.engine.execute(
            "SELECT (SELECT count(*) FROM other_secret), (SELECT count(*) FROM priv.hidden), "
            "(SELECT count(*) FROM duckdb_tables()), (SELECT count(*) FROM duckdb_views()), "
            "(SELECT count(*) FROM duckdb_databases()), (SELECT count(*) FROM duckdb_types()), "
            "(SELECT count(*) FROM duckdb_functions()), (SELECT count(*) FROM duckdb_secrets()), "
            "(SELECT last_value FROM duckdb_sequences() LIMIT 1), getvariable('host_secret'), "
            "current_setting('memory_limit'), current_schema()"
        ).fetchall()
        return (*found[0], tuple(sorted(map(str, self.folder.iterdir()))))

    def passes(self, text: str) -> bool:
        """Whether the gate lets a statement pass."""
        try:
            check_sql(self.parser, text, dataset="asset")
        except GateError:
            return False
        return True

    def reached(self, text: str) -> str | None:
        """Run a statement with all doors open; return which canary it reached."""
        seen = _outcome(self.engine, text)
        if TOKEN in seen or TOKEN[::-1] in seen:
            return "token"
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            pass
        else:
            return "network"
        others = _outcome(self.twin, text)
        is_cut_off = bool({seen, others} & CUT_OFF)  # by time or memory, which vary
        if seen == others or is_cut_off or _outcome(self.engine, text) != seen:
            return None  # what differs from itself tells the time
        return "difference"

    def close(self) -> None:
        """Close everything."""
        for engine in (self.engine, self.twin, self.parser):
            engine.close()
        self.listener.close()

    def is_changed(self) -> bool:
        """Whether anything is no longer as it was planted."""
        try:
            return self.state() != self.first_state
        except duckdb.Error:
            return True


def _outcome(engine: duckdb.DuckDBPyConnection, text: str) -> str:
    """Return the beginning of an answer, taken as the worker takes it, or the kind of failure."""
    try:
        relation = engine.sql(text)
        if relation is None:
            return ""
        reader = relation.to_arrow_reader(ROWS_LOOKED_AT)
        batches = [batch.to_pylist() for batch, _ in zip(reader, range(3), strict=False)]
        return str((reader.schema.names, batches)).casefold()
    except (duckdb.Error, pa.ArrowException, RuntimeError, ValueError, OverflowError) as error:
        return type(error).__name__  # the engine's words stay inside the worker


def asset() -> pa.Table:
    """Return the licensed table."""
    rows = range(300)
    start = 1_767_225_600_000_000
    return pa.table(
        {
            "n": pa.array(rows, pa.int64()),
            "plant": [f"p-{n % 7}" for n in rows],
            "공정": ["제강" if n % 2 else "압연" for n in rows],
            "kwh": [float(n % 101) for n in rows],
            "taken_at": pa.array(
                [start + n * 3_600_000_000 for n in rows], pa.timestamp("us", "UTC")
            ),
        }
    )


def read_corpus(file: Path | None, folder: Path) -> list[str]:
    """Return the attempts of a corpus whose cases begin with ``-- @id``, after our own."""
    attempts = [one.replace("{folder}", str(folder)) for one in ATTACKS]
    if file is not None:
        text = file.read_text(encoding="utf-8")
        for case in re.split(r"^-- @id ", text, flags=re.MULTILINE)[1:]:
            body = case.partition("\n")[2].strip().replace("{{CANARY}}", str(folder))
            attempts.append(re.sub(r"\{\{REPEAT:.*?\}\}", "x" * 200, body))
    return attempts


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Show the statements from ``first`` on to the gate, and run what passes."""
    arena = Arena(arguments.folder)
    seeds = read_corpus(arguments.corpus, arguments.folder)
    mutator = Mutator(arguments.seed, seeds, arena.functions(), arena.fill)
    counts: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    unchecked: list[int] = []
    # one open file: making one anew for each statement took a quarter of the time
    progress = os.open(arguments.progress, os.O_WRONLY | os.O_CREAT, 0o600)
    for number in range(arguments.first, arguments.first + arguments.count):
        os.pwrite(progress, f"{number:{PROGRESS_DIGITS}}".encode("ascii"), 0)
        text = mutator.statement(number)
        counts["statements"] += 1
        if not arena.passes(text):
            continue
        counts["passed"] += 1
        unchecked.append(number)
        if (canary := arena.reached(text)) is not None:
            found.append({"number": number, "reached": canary, "sql": text})
        if len(unchecked) >= STATE_EVERY:
            if arena.is_changed():
                found.append({"numbers": unchecked, "reached": "state"})
                break
            unchecked = []
    if unchecked and arena.is_changed():
        found.append({"numbers": unchecked, "reached": "state"})
    return {"counts": counts, "found": found}


def main() -> None:
    """Be the child."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--progress", type=Path, required=True)
    parser.add_argument("--corpus", type=Path)
    for name in ("seed", "first", "count"):
        parser.add_argument(f"--{name}", type=int, required=True)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(run(parser.parse_args()), sys.stdout)


if __name__ == "__main__":
    main()
