-- Winners, to be found again by likeness: with pgvector where the server has it and lets us, else with plain arrays.
-- Callers see no difference. Each row says which model placed it, since places of two models cannot be compared.

create table public.winner_index (
    ad_id text primary key references public.ads on delete cascade,
    model text not null,
    dimension integer not null,
    embedding double precision[] not null,
    indexed_at timestamptz not null default now()
);

do $$
begin
    if exists (select from pg_available_extensions where name = 'vector') then
        create extension if not exists vector;
    end if;
exception when insufficient_privilege then
    raise notice 'no right to create the extension vector: winners are compared without it';
end
$$;

do $$
declare
    vector_schema text := (
        select nspname from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'vector'
    );
begin
    if vector_schema is null then
        create function public.likeness(place double precision[], other double precision[])
        returns double precision language sql immutable set search_path = '' as $body$
            select sum(a * b) / nullif(sqrt(sum(a * a)) * sqrt(sum(b * b)), 0) from unnest(place, other) as pair (a, b)
        $body$;
    else
        -- No dimension, so that the configuration may change it. Winners are few enough to compare with every one.
        execute format('alter table public.winner_index alter column embedding type %I.vector', vector_schema);
        execute format($create$
            create function public.likeness(place %1$I.vector, other double precision[])
            returns double precision language sql immutable as $body$
                select nullif(1 - (place operator(%1$I.<=>) other::%1$I.vector), 'NaN')
            $body$
        $create$, vector_schema);
    end if;
end
$$;

-- The winners that are most like a place, with their likeness from -1 to 1.
create function public.nearest_winners(place double precision[], by_model text, how_many integer)
returns table (ad_id text, likeness double precision)
language plpgsql stable as $$
begin
    return query
    select near.ad_id, near.likeness
    from (
        select winner.ad_id, public.likeness(winner.embedding, place) as likeness
        from public.winner_index as winner
        where winner.model = by_model and winner.dimension = cardinality(place)
    ) as near
    order by near.likeness desc nulls last, near.ad_id
    limit how_many;
end
$$;
