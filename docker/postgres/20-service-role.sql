-- The role that the service connects as: it owns the database and what is in it, and is no superuser.
-- Runs once, when the volume is new; on a volume from before it by hand (docs/deployment.md), which
-- hands over what the superuser made.
\getenv password POSTGRES_PASSWORD
select 'create role amazonsender login' where not exists (select from pg_roles where rolname = 'amazonsender') \gexec
alter role amazonsender login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
select format('alter database %I owner to amazonsender', current_database()) \gexec
select format('alter table %s owner to amazonsender', oid::regclass) from pg_class
 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')
   and relowner = current_user::regrole \gexec
select format('alter routine %s owner to amazonsender', oid::regprocedure) from pg_proc
 where pronamespace = 'public'::regnamespace and proowner = current_user::regrole \gexec
