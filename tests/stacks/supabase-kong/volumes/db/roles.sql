-- Roles that log in with the project's password. Run on an empty database alone, by psql.
\set password `echo "$POSTGRES_PASSWORD"`
ALTER USER authenticator WITH PASSWORD :'password';
ALTER USER supabase_auth_admin WITH PASSWORD :'password';
ALTER USER supabase_storage_admin WITH PASSWORD :'password';
