"""The made-up experiment on each engine that runs here."""

from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from psycopg import sql

from tests.experiments.data import Rows
from windsock.experiments.data.warehouse import Warehouse, open_folder, open_postgres

TABLES = ("exposures", "usage_logs", "metric_events")


def parquet(rows: Rows, folder: Path) -> Warehouse:
    """DuckDB over Parquet."""
    for table in TABLES:
        if found := getattr(rows, table):
            pyarrow.parquet.write_table(pa.Table.from_pylist(found), folder / f"{table}.parquet")
    return open_folder(folder)


def csv(rows: Rows, folder: Path) -> Warehouse:
    """DuckDB over CSV, which knows no types but what it looks like."""
    for table in TABLES:
        if found := getattr(rows, table):
            pyarrow.csv.write_csv(pa.Table.from_pylist(found), folder / f"{table}.csv")
    return open_folder(folder)


def postgres(rows: Rows, url: str) -> Warehouse:
    """PostgreSQL, migrated."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            schema = "public" if table == "usage_logs" else "windsock"
            for row in getattr(rows, table):
                connection.execute(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        sql.Identifier(schema, table),
                        sql.SQL(", ").join(map(sql.Identifier, row)),
                        sql.SQL(", ").join(sql.Placeholder() * len(row)),
                    ),
                    list(row.values()),
                )
    return open_postgres(url)
