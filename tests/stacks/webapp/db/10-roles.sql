-- First run: the role that the application's readers use.
CREATE ROLE webapp_reader NOLOGIN;
