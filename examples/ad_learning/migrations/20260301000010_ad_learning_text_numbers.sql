-- A number that the ad platform sends as text counts, as in `(raw_data->>'roas')::float`: "4.5" is 4.5. What is no number,
-- NaN and the infinities stay null: nothing can be concluded from them.

create or replace function public.json_to_double(number pg_catalog.jsonb) returns double precision
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
declare
    found double precision;
begin
    if pg_catalog.jsonb_typeof(number) in ('number', 'string') then
        found := (number #>> '{}')::double precision;
    end if;
    return case when found not in ('NaN', 'Infinity', '-Infinity') then found end;
exception
    when numeric_value_out_of_range or invalid_text_representation then
        return null;
end
$$;

revoke all on function public.json_to_double(pg_catalog.jsonb) from public;
