-- The roles of a Supabase project, for the compose file's `supabase` profile. They exist from the
-- start so that the migrations grant them what they need (migrations/functions/zz_grants.sql).
-- Only `authenticator` may log in; PostgREST does, and then becomes the role that a key names.
\getenv password POSTGRES_PASSWORD
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password :'password';
grant anon, authenticated, service_role to authenticator;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
-- What Supabase grants by default to all three; our own migrations must undo it.
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
