-- Settings that SQL reads the project's keys from.
\set secret `echo "$JWT_SECRET"`
\set lifetime `echo "$JWT_EXP"`
ALTER DATABASE postgres SET "app.settings.jwt_secret" TO :'secret';
ALTER DATABASE postgres SET "app.settings.jwt_exp" TO :'lifetime';
