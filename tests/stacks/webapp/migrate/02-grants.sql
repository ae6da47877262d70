GRANT SELECT ON notes TO webapp_reader;
