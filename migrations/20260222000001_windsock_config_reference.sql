-- Deleting a configuration unassigns its users, instead of being refused because somebody still has it.

do $$
declare
    reference record;
begin
    for reference in
        select conname
        from pg_catalog.pg_constraint
        where contype = 'f'
            and conrelid = 'public.profiles'::regclass
            and confrelid = 'public.app_configurations'::regclass
    loop
        execute format('alter table public.profiles drop constraint %I', reference.conname);
    end loop;
end
$$;

alter table public.profiles
    add constraint profiles_config_id_fkey
    foreign key (config_id) references public.app_configurations (id) on delete set null;

-- Without it a delete of one configuration reads every profile.
create index if not exists profiles_config_id_idx
    on public.profiles (config_id)
    where config_id is not null;
