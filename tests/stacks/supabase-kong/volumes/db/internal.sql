-- The database of what runs beside the project's own.
CREATE DATABASE _supabase WITH OWNER supabase_admin;
\c _supabase
CREATE SCHEMA _supavisor AUTHORIZATION supabase_admin;
\c postgres
