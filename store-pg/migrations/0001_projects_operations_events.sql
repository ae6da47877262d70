-- Everything lives in the schema `freehold`, which the migrator has made. The texts of statuses, kinds and states are
-- those of freehold-core; a test compares them with its tables.

-- The newest items of an array, in their order: what bounds an operation's steps and log.
CREATE FUNCTION freehold.newest(items jsonb, keep bigint) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF jsonb_array_length(items) <= keep THEN
        RETURN items;
    END IF;
    RETURN (
        SELECT coalesce(jsonb_agg(item ORDER BY place), '[]')
        FROM (
            SELECT item, place FROM jsonb_array_elements(items) WITH ORDINALITY AS all_of_them (item, place)
            ORDER BY place DESC LIMIT keep
        ) AS kept
    );
END
$$;

-- Values that the installation keeps under a name.
CREATE TABLE freehold.settings (
    name       text PRIMARY KEY,
    value      text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Machines whose ports and addresses projects share. Who allocates locks the row; the cursors are where the search for
-- the next block begins, so that it does not begin among those that are taken.
CREATE TABLE freehold.machines (
    number      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CONSTRAINT machines_name UNIQUE,
    next_port   bigint NOT NULL DEFAULT 0,
    next_subnet bigint NOT NULL DEFAULT 0
);

-- What a target's name is bound to, once and for all.
CREATE TABLE freehold.targets (
    name          text PRIMARY KEY,
    engine        text NOT NULL,
    machine       integer NOT NULL REFERENCES freehold.machines,
    registered_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE freehold.projects (
    reference        text COLLATE "C" NOT NULL CONSTRAINT projects_reference PRIMARY KEY,
    id               bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT projects_id UNIQUE,
    name             text NOT NULL,
    folded_name      text COLLATE "C" NOT NULL,
    organization     text COLLATE "C" NOT NULL,
    target           text COLLATE "C" NOT NULL,
    machine          integer NOT NULL REFERENCES freehold.machines,
    stack            text NOT NULL,
    digest           text NOT NULL,
    status           text COLLATE "C" NOT NULL,
    status_operation uuid,
    observed_at      timestamptz,
    was_active       boolean NOT NULL DEFAULT false,
    annotations      jsonb NOT NULL,
    protected        boolean NOT NULL DEFAULT false,
    excluded         text[] NOT NULL,
    memory_bytes     bigint,
    cpus             double precision,
    generation       bigint NOT NULL DEFAULT 1,
    connection       jsonb,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- For compare-and-set.
    version          bigint NOT NULL DEFAULT 1,
    -- The fencing token that was given out last.
    epoch            bigint NOT NULL DEFAULT 0,
    CONSTRAINT projects_reference_letters CHECK (reference ~ '^[a-z]{20}$'),
    CONSTRAINT projects_status CHECK (status IN (
        'COMING_UP', 'INIT_FAILED', 'ACTIVE_HEALTHY', 'ACTIVE_UNHEALTHY', 'PAUSING', 'PAUSE_FAILED', 'INACTIVE',
        'RESTORING', 'RESTORE_FAILED', 'RESTARTING', 'GOING_DOWN', 'DESTROY_FAILED', 'REMOVED')),
    CONSTRAINT projects_active_is_reachable CHECK (status <> 'ACTIVE_HEALTHY' OR connection IS NOT NULL),
    CONSTRAINT projects_numbers CHECK (generation >= 1 AND version >= 1 AND epoch >= 0 AND memory_bytes >= 0)
);

CREATE UNIQUE INDEX projects_name ON freehold.projects (organization, folded_name)
    WHERE status NOT IN ('GOING_DOWN', 'DESTROY_FAILED', 'REMOVED');
CREATE INDEX projects_target ON freehold.projects (target) WHERE status <> 'REMOVED';
-- Lists go by the number, and never meet tombstones unless they are asked for.
CREATE INDEX projects_live ON freehold.projects (id) WHERE status <> 'REMOVED';
CREATE INDEX projects_organization ON freehold.projects (organization, id) WHERE status <> 'REMOVED';
CREATE INDEX projects_status ON freehold.projects (status, id);

-- Blocks of host ports: of a project, or set aside until a moment because a stranger holds one of them.
CREATE TABLE freehold.port_blocks (
    machine         integer NOT NULL REFERENCES freehold.machines,
    first           integer NOT NULL,
    count           integer NOT NULL,
    project         text COLLATE "C" CONSTRAINT port_blocks_project UNIQUE REFERENCES freehold.projects,
    set_aside_until timestamptz,
    -- All machines on one line, so that one constraint without an extension keeps blocks apart.
    span            int8range NOT NULL GENERATED ALWAYS AS (
        int8range(machine::bigint * 65536 + first, machine::bigint * 65536 + first + count)) STORED,
    CONSTRAINT port_blocks_ports CHECK (first BETWEEN 1 AND 65535 AND count >= 1 AND first + count <= 65536),
    CONSTRAINT port_blocks_held_or_set_aside CHECK ((project IS NULL) <> (set_aside_until IS NULL)),
    CONSTRAINT port_blocks_apart EXCLUDE USING gist (span WITH &&)
);

CREATE INDEX port_blocks_first ON freehold.port_blocks (lower(span));
CREATE INDEX port_blocks_set_aside ON freehold.port_blocks (set_aside_until) WHERE set_aside_until IS NOT NULL;

-- Networks of projects. The span keeps them apart even where the pool or its prefix was changed meanwhile.
CREATE TABLE freehold.subnets (
    machine integer NOT NULL REFERENCES freehold.machines,
    network cidr NOT NULL,
    project text COLLATE "C" NOT NULL CONSTRAINT subnets_project PRIMARY KEY REFERENCES freehold.projects,
    span    int8range NOT NULL GENERATED ALWAYS AS (
        int8range(machine::bigint * 4294967296 + (network - '0.0.0.0'::inet),
                  machine::bigint * 4294967296 + (broadcast(network) - '0.0.0.0'::inet), '[]')) STORED,
    CONSTRAINT subnets_version CHECK (family(network) = 4),
    CONSTRAINT subnets_apart EXCLUDE USING gist (span WITH &&)
);

CREATE INDEX subnets_first ON freehold.subnets (lower(span));

CREATE TABLE freehold.operations (
    id               uuid CONSTRAINT operations_id PRIMARY KEY,
    -- The order of recording: of queues and of pages.
    number           bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT operations_number UNIQUE,
    project          text COLLATE "C" NOT NULL REFERENCES freehold.projects,
    target           text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL,
    scope            text[] NOT NULL,
    accept_data_loss text[] NOT NULL,
    generation       bigint NOT NULL,
    state            text COLLATE "C" NOT NULL DEFAULT 'waiting',
    attempt          integer NOT NULL DEFAULT 0,
    failures         integer NOT NULL DEFAULT 0,
    takeovers        integer NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    deadline         timestamptz NOT NULL,
    not_before       timestamptz NOT NULL,
    -- The lease, and the fencing token of the newest one.
    lease_owner      text,
    lease_expires_at timestamptz,
    epoch            bigint,
    error            jsonb,
    steps            jsonb NOT NULL DEFAULT '[]',
    report           jsonb,
    log              jsonb NOT NULL DEFAULT '[]',
    planned_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at       timestamptz,
    ended_at         timestamptz,
    -- Why its row, or its project's, could not be read, and which versions of this program found that: they leave it alone.
    -- Whoever has mended the row clears both.
    set_aside        text,
    set_aside_by     text[] NOT NULL DEFAULT '{}',
    CONSTRAINT operations_kind CHECK (kind IN (
        'create', 'retry', 'pause', 'resume', 'restart', 'reconfigure', 'destroy')),
    CONSTRAINT operations_state CHECK (state IN ('waiting', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT operations_lease CHECK (
        (state = 'running') = (lease_owner IS NOT NULL)
        AND (state = 'running') = (lease_expires_at IS NOT NULL)
        AND (attempt = 0) = (epoch IS NULL)),
    CONSTRAINT operations_end CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)),
    CONSTRAINT operations_bounded CHECK (jsonb_array_length(steps) <= 500 AND jsonb_array_length(log) <= 200)
);

CREATE UNIQUE INDEX operations_one_running ON freehold.operations (project) WHERE state = 'running';
CREATE UNIQUE INDEX operations_one_waiting ON freehold.operations (project) WHERE state = 'waiting';
CREATE INDEX operations_queue ON freehold.operations (target, number) WHERE state = 'waiting';
-- For lists of what is in flight. It is told by `ended_at`, so that looking for work, which goes by the state, takes the
-- queue of its own target instead.
CREATE INDEX operations_in_flight ON freehold.operations (number) WHERE ended_at IS NULL;
CREATE INDEX operations_running ON freehold.operations (target) WHERE state = 'running';
CREATE INDEX operations_project ON freehold.operations (project, number);
CREATE INDEX operations_ended ON freehold.operations (ended_at) WHERE ended_at IS NOT NULL;

-- Facts, written unnumbered in the transactions that they tell of. The sequencer numbers what has been committed.
CREATE TABLE freehold.events (
    written      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sequence     bigint,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    project      text COLLATE "C" NOT NULL,
    organization text COLLATE "C" NOT NULL,
    fact         jsonb NOT NULL
);

-- Not among them before it has a number: an event is written once and numbered once.
CREATE UNIQUE INDEX events_sequence ON freehold.events (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX events_unnumbered ON freehold.events (written) WHERE sequence IS NULL;

-- The newest number given out, and the oldest event that is kept. One row.
CREATE TABLE freehold.event_numbers (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    last   bigint NOT NULL DEFAULT 0,
    oldest bigint NOT NULL DEFAULT 1
);
INSERT INTO freehold.event_numbers DEFAULT VALUES;

-- Sealed secrets, of projects or (without one) of the installation itself.
CREATE TABLE freehold.sealed (
    project text COLLATE "C" REFERENCES freehold.projects,
    name    text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    key_id  text COLLATE "C" NOT NULL,
    data    bytea NOT NULL
);

CREATE UNIQUE INDEX sealed_place ON freehold.sealed ((coalesce(project, '')), name);
CREATE INDEX sealed_key ON freehold.sealed (key_id);

-- What callers' keys were used for.
CREATE TABLE freehold.idempotency_keys (
    organization text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    body         text NOT NULL,
    project      text COLLATE "C" NOT NULL,
    operation    uuid,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idempotency_keys_key PRIMARY KEY (organization, key)
);

CREATE INDEX idempotency_keys_age ON freehold.idempotency_keys (created_at);

-- Accounts: who people are and what they hold. Projects name an organization by its id; it need not be one of these.
CREATE TABLE freehold.organizations (
    id         text COLLATE "C" CONSTRAINT organizations_id PRIMARY KEY,
    number     bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT organizations_number UNIQUE,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What its projects are made with where nothing is said.
    default_target   text COLLATE "C",
    default_stack    text COLLATE "C",
    default_excluded text[]
);

CREATE TABLE freehold.people (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject    text COLLATE "C" NOT NULL CONSTRAINT people_subject UNIQUE,
    email      text NOT NULL,
    username   text NOT NULL,
    first_name text,
    last_name  text,
    superuser  boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE UNIQUE INDEX people_one_superuser ON freehold.people (superuser) WHERE superuser;

CREATE TABLE freehold.grants (
    organization text COLLATE "C" NOT NULL CONSTRAINT grants_organization REFERENCES freehold.organizations,
    person       bigint NOT NULL CONSTRAINT grants_person REFERENCES freehold.people,
    role         text COLLATE "C" NOT NULL,
    -- For these projects alone; NULL is the whole organization.
    projects     text[],
    CONSTRAINT grants_role PRIMARY KEY (organization, person, role),
    CONSTRAINT grants_known_role CHECK (role IN ('owner', 'administrator', 'developer', 'read_only')),
    CONSTRAINT grants_for_something CHECK (cardinality(projects) > 0)
);

CREATE INDEX grants_of_person ON freehold.grants (person);

-- Places in organizations that wait for somebody, by their address.
CREATE TABLE freehold.invitations (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization text COLLATE "C" NOT NULL CONSTRAINT invitations_organization REFERENCES freehold.organizations,
    email        text NOT NULL,
    role         text COLLATE "C" NOT NULL,
    projects     text[],
    digest       bytea NOT NULL CONSTRAINT invitations_digest UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    CONSTRAINT invitations_email UNIQUE (organization, email),
    CONSTRAINT invitations_known_role CHECK (role IN ('owner', 'administrator', 'developer', 'read_only')),
    CONSTRAINT invitations_for_something CHECK (cardinality(projects) > 0)
);

CREATE TABLE freehold.access_tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner        bigint NOT NULL CONSTRAINT access_tokens_owner REFERENCES freehold.people,
    name         text NOT NULL,
    alias        text NOT NULL,
    digest       bytea NOT NULL CONSTRAINT access_tokens_digest UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz,
    last_used_at timestamptz
);

CREATE INDEX access_tokens_of_owner ON freehold.access_tokens (owner);
