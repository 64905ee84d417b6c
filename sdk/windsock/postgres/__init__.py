"""PostgreSQL: connections, named queries, migrations and their ledger, and the embedded server."""
