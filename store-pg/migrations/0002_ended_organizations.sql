-- Organizations for which no project is created any more. Who creates one and who adds a row here exclude each other by an
-- advisory lock, because a project's organization need not be one of freehold.organizations.
CREATE TABLE freehold.closed_organizations (
    id        text COLLATE "C" PRIMARY KEY,
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An organization that was deleted leaves its id behind: what names it would else be another's.
ALTER TABLE freehold.organizations ADD COLUMN deleted_at timestamptz;
