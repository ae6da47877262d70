//! A stack's services by the names that Studio, wizards and the Management API have for them.

use freehold_core::{ServiceName, StackSpec};

/// Names of one thing: the Compose service in Supabase's own folder, the program in it, what Studio says.
const SYNONYMS: &[&[&str]] = &[
    &["auth", "gotrue"],
    &["rest", "postgrest"],
    &["storage", "storage-api"],
    &["functions", "edge-runtime"],
    &["meta", "postgres-meta"],
    &["realtime"],
];

/// The service that a word means, if the stack has it. Database, gateway and pooler are what the stack says they are;
/// the others go by name, their own or the one on other systems' wires.
pub(crate) fn named<'a>(stack: &'a StackSpec, word: &str) -> Option<&'a ServiceName> {
    let part = match word {
        "db" | "db_postgres_user" | "postgresql" => stack.database.as_ref().map(|part| &part.service),
        "kong" | "envoy" | "api-gateway" => stack.gateway.as_ref().map(|part| &part.service),
        "pooler" | "pg_bouncer" | "pgbouncer" => stack.pooler.as_ref().map(|part| &part.service),
        _ => None,
    };
    let one = [word];
    let words = SYNONYMS.iter().find(|words| words.contains(&word)).copied().unwrap_or(&one);
    let by_name = || {
        let mut services = stack.services.iter();
        services
            .find(|service| words.iter().any(|word| service.wire == *word || service.name.as_str() == *word))
    };
    part.or_else(|| by_name().map(|service| &service.name))
}

#[cfg(test)]
mod tests {
    use freehold_core::memory::MemoryStack;

    use super::named;

    #[test]
    fn services_are_known_by_any_of_their_names() {
        let mut stack = MemoryStack::mock().unwrap().spec;
        stack.services[2].wire = "gotrue".into();
        for (word, name) in [
            ("postgresql", Some("db")),
            ("db", Some("db")),
            ("kong", Some("api")),
            ("auth", Some("worker")),
            ("gotrue", Some("worker")),
            ("worker", Some("worker")),
            ("pooler", None),
            ("storage", None),
        ] {
            assert_eq!(named(&stack, word).map(|name| name.as_str()), name, "{word}");
        }
    }
}
