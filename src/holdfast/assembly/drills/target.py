"""Breaking a target of the plan so that it can be mended: the table is put aside, and a poorer one takes its place."""

from collections.abc import Mapping
from typing import Any

from holdfast.drills.contract import Changes
from holdfast.drills.errors import DrillUsage, NotTornDown

ASIDE = "holdfast_drill_aside_"


def corrupt(dsn: str, target: str, table: str | None, share: float, changes: Changes) -> dict[str, Any]:
    """In one transaction. The undo is in the journal before. ``share`` of the rows is lost, at least one."""
    from holdfast.assembly.drills.hands import _largest
    from holdfast.systems.postgres.link import connection

    with connection.connect(dsn, application="holdfast drill") as session:
        chosen = table or _largest(session)
        row = session.execute(
            "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.oid = to_regclass(%s) and c.relkind = 'r'",
            (chosen,),
        ).fetchone()
        if row is None:
            raise DrillUsage(
                f"The target {target} has no table {chosen or 'with rows'}.", hint="Name one: disaster: {table: …}", target=target
            )
        schema, name = str(row[0]), str(row[1])
        [rows] = session.execute(_sql(session, "select count(*) from %I.%I", schema, name)).fetchone() or (0,)
        if not rows:
            raise DrillUsage(f"The table {name} of target {target} has no rows to lose.", target=target)
        gone = max(int(rows * share), 1)
        aside = f"{ASIDE}{name}"[:63]
        changes.doing(
            f"table {schema}.{name} in the target {target}",
            {"kind": "table", "target": target, "schema": schema, "table": name, "aside": aside, "rows": rows},
        )
        with session.transaction():
            session.execute(_sql(session, "alter table %I.%I rename to %I", schema, name, aside))
            session.execute(_sql(session, "create table %I.%I as select * from %I.%I offset ", schema, name, schema, aside) + str(gone))
    return {"table": f"{schema}.{name}", "rows": rows, "gone": gone}


def mend(dsn: str, undo: Mapping[str, Any]) -> str:
    """Put it back; done twice, or where it never happened, it changes nothing. Raises NotTornDown."""
    from holdfast.systems.postgres.link import connection

    schema, name, aside = str(undo["schema"]), str(undo["table"]), str(undo["aside"])
    with connection.connect(dsn, application="holdfast drill") as session:
        with session.transaction():
            if session.execute("select to_regclass(format('%%I.%%I', %s::text, %s::text))", (schema, aside)).fetchone() != (None,):
                session.execute(_sql(session, "drop table if exists %I.%I", schema, name))
                session.execute(_sql(session, "alter table %I.%I rename to %I", schema, aside, name))
        [rows] = session.execute(_sql(session, "select count(*) from %I.%I", schema, name)).fetchone() or (None,)
    if rows < undo["rows"]:
        raise NotTornDown(f"{schema}.{name} has {rows} rows, and had {undo['rows']}.", hint="Restore the target.")
    return f"{schema}.{name} has {rows} rows again, and {aside} is not there"


def _sql(session: Any, text: str, *names: str) -> Any:
    """A statement whose names the server itself quoted (%I)."""
    [made] = session.execute(f"select format(%s::text{', %s::text' * len(names)})", (text, *names)).fetchone()
    return made
