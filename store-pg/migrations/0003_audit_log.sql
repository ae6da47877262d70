-- Who did what. A row is written before it is done and given its outcome after that; nothing else changes it. It names
-- people, organizations and projects by what they were called, because it outlives them.
CREATE TABLE freehold.audit_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    person       bigint,
    subject      text COLLATE "C",
    email        text,
    credential   text NOT NULL,
    token        bigint,
    action       text NOT NULL,
    organization text COLLATE "C",
    project      text COLLATE "C",
    details      jsonb NOT NULL,
    address      text,
    request_id   text NOT NULL,
    -- NULL while it goes on, and for good if its host ended first.
    outcome      integer,
    CONSTRAINT audit_log_credential CHECK (
        credential IN ('session', 'token', 'superuser') AND (credential = 'token') = (token IS NOT NULL))
);

CREATE INDEX audit_log_organization ON freehold.audit_log (organization, id) WHERE organization IS NOT NULL;
CREATE INDEX audit_log_subject ON freehold.audit_log (subject, id) WHERE subject IS NOT NULL;
CREATE INDEX audit_log_at ON freehold.audit_log (at);
