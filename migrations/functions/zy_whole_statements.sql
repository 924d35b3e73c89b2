-- PostgreSQL keeps the plan of a trigger's statement from the first time that a connection runs it. If one row had changed
-- then, it would join the rows before and after by a nested loop also where 100,000 have: that takes half an hour.
do $whole$
declare
    v_function regprocedure;
begin
    for v_function in
        select distinct p.oid::regprocedure from pg_trigger t join pg_proc p on p.oid = t.tgfoid
         where t.tgoldtable is not null and t.tgnewtable is not null and p.prosrc ~* '\mjoin\M'
           and p.pronamespace = 'public'::regnamespace
           and not coalesce(p.proconfig, '{}') @> '{enable_nestloop=off}'
    loop
        execute format('alter function %s set enable_nestloop = off', v_function);
    end loop;
end $whole$;
