-- What the configuration API keeps: who may call it, and what was written through it.

-- Tokens are random, so their SHA-256 is as good as a slow hash; the token itself is shown once and kept nowhere.
create table windsock.api_tokens (
    name text primary key check (name <> ''),
    role text not null check (role in ('reader', 'admin')),
    token_sha256 bytea not null unique check (octet_length(token_sha256) = 32),
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

-- One row for each write that was allowed, stored before the file is replaced: without `written_at` the file was not
-- replaced, or the process ended just then and `revision_after` tells.
create table windsock.configuration_audit (
    id bigint generated always as identity primary key,
    requested_at timestamptz not null default now(),
    written_at timestamptz,
    actor text not null,
    flag text not null,
    file text not null,
    revision_before text not null,
    revision_after text not null,
    request jsonb not null,
    changed jsonb not null  -- JSON pointer -> [before, after]
);
