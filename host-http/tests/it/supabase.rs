//! A stack in memory that declares what Supabase's own folder does: its services, keys and settings.

use std::collections::BTreeMap;

use freehold_core::{
    memory::MemoryStack,
    stack::{PortSpec, PortTarget, Protocol, SecretGenerator, SecretSpec, ServiceSpec, VariableSpec},
};

const SERVICES: &[(&str, &str)] = &[
    ("auth", "gotrue"),
    ("rest", "postgrest"),
    ("realtime", "realtime"),
    ("storage", "storage-api"),
    ("meta", "postgres-meta"),
    ("supavisor", "supavisor"),
];

const VARIABLES: &[(&str, Option<&str>)] = &[
    ("PGRST_DB_SCHEMAS", Some("public,graphql_public")),
    ("PGRST_DB_MAX_ROWS", Some("1000")),
    ("PGRST_DB_EXTRA_SEARCH_PATH", Some("public")),
    ("POOLER_DEFAULT_POOL_SIZE", Some("20")),
    ("POOLER_MAX_CLIENT_CONN", Some("100")),
    ("SITE_URL", Some("http://localhost:3000")),
    ("DISABLE_SIGNUP", Some("false")),
    ("JWT_EXPIRY", Some("3600")),
    ("SMTP_HOST", Some("")),
    ("SMTP_PASS", None),
    ("rest/PGRST_DB_ANON_ROLE", Some("anon")),
    ("storage/FILE_SIZE_LIMIT", Some("52428800")),
    ("storage/ENABLE_IMAGE_TRANSFORMATION", Some("true")),
];

/// The stack. Its block has three ports: the database's, the gateway's, the pooler's.
pub(crate) fn stack() -> MemoryStack {
    let mut stack = MemoryStack::mock().unwrap();
    let spec = &mut stack.spec;
    spec.services.extend(SERVICES.iter().map(|(name, wire)| ServiceSpec {
        name: name.parse().unwrap(),
        wire: (*wire).into(),
        default_on: true,
        label: (*name).into(),
        description: format!("{name} of Supabase"),
    }));
    let role = |role: &str| SecretGenerator::Jwt {
        key: "jwt_secret".parse().unwrap(),
        claims: BTreeMap::from([("role".to_owned(), role.into())]),
        days: 30,
    };
    let opaque = |prefix: &str| SecretGenerator::ApiKey { prefix: prefix.into(), label: "test".into() };
    spec.secrets.extend(
        [
            ("service_role_key", role("service_role")),
            ("publishable_key", opaque("sb_publishable_")),
            ("secret_key", opaque("sb_secret_")),
            ("pg_meta_crypto_key", SecretGenerator::Base64 { bytes: 24 }),
            ("s3_access_key_id", SecretGenerator::Hex { bytes: 16 }),
            ("s3_access_key_secret", SecretGenerator::Hex { bytes: 32 }),
        ]
        .map(|(name, generator)| SecretSpec { name: name.parse().unwrap(), generator }),
    );
    let pooler = PortTarget { service: "supavisor".parse().unwrap(), port: 6543 };
    spec.ports.push(PortSpec {
        service: pooler.service.clone(),
        container_port: pooler.port,
        protocol: Protocol::Tcp,
    });
    spec.pooler = Some(pooler);
    spec.variables = VARIABLES
        .iter()
        .map(|(name, default)| VariableSpec { name: (*name).into(), default: default.map(str::to_owned) })
        .collect();
    stack
}
