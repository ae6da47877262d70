//! The names of points.

/// The methods of a backend.
const CALLS: [&str; 12] = [
    "describe",
    "provision",
    "pause",
    "resume",
    "restart",
    "reconfigure",
    "plan",
    "health",
    "logs",
    "destroy",
    "inventory",
    "holding",
];

/// The methods of a store that can go wrong.
const METHODS: [&str; 24] = [
    "now",
    "commit",
    "replay",
    "project",
    "projects",
    "operation",
    "operations",
    "claim",
    "renew",
    "settle",
    "reallocate",
    "observed",
    "events",
    "sequence",
    "sealed",
    "keys_in_use",
    "sealed_under_other_keys",
    "reseal",
    "close_organization",
    "register",
    "setting",
    "put_setting",
    "expire",
    "census",
];

/// The point of a step.
pub(super) fn of_step(name: &str, service: &str) -> String {
    if service.is_empty() { format!("step {name}") } else { format!("step {name} {service}") }
}

/// Whether a point is what a fault's `at` says.
pub(super) fn matches(at: &str, point: &str) -> bool {
    match at.strip_suffix('*') {
        Some(beginning) => point.starts_with(beginning),
        None => point == at,
    }
}

/// Says what is wrong with a fault's `at`, if anything is: a name that no point can have would never act.
pub(super) fn check(at: &str) -> Result<(), String> {
    let beginning = at.strip_suffix('*').unwrap_or(at);
    if beginning.contains('*') {
        return Err(format!("{at:?} has a * that does not stand at its end"));
    }
    if beginning.len() < at.len()
        && ["step ", "call ", "store "].iter().any(|seam| seam.starts_with(beginning))
    {
        return Ok(());
    }
    if let Some(name) = beginning.strip_prefix("step ") {
        return if name.is_empty() { Err(format!("{at:?} names no step")) } else { Ok(()) };
    }
    let (rest, what, known) = if let Some(rest) = beginning.strip_prefix("call ") {
        (rest, "call of a backend", &CALLS[..])
    } else if let Some(rest) = beginning.strip_prefix("store ") {
        (rest, "method of a store", &METHODS[..])
    } else {
        return Err(format!("{at:?} begins with none of step, call and store"));
    };
    let possible = known.iter().flat_map(|name| [format!("{name} before"), format!("{name} after")]);
    let is_open = beginning.len() < at.len();
    if possible.clone().any(|point| if is_open { point.starts_with(rest) } else { point == rest }) {
        return Ok(());
    }
    let name = rest.split(' ').next().unwrap_or_default();
    if known.contains(&name) {
        return Err(format!("{at:?} says neither before nor after"));
    }
    Err(format!("no {what} is named {name}: there are {}", known.join(", ")))
}

/// Says what is wrong with a fault's `during`.
pub(super) fn check_call(call: &str) -> Result<(), String> {
    if CALLS.contains(&call) {
        return Ok(());
    }
    Err(format!("no call of a backend is named {call}: there are {}", CALLS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_end_matches_what_begins_alike_and_a_closed_one_only_itself() {
        let point = of_step("create container", "db");
        for at in ["*", "step *", "step create*", "step create container *", "step create container db"] {
            assert!(matches(at, &point), "{at}");
            check(at).unwrap();
        }
        for at in ["step create container", "call *", "step create container dbx"] {
            assert!(!matches(at, &point), "{at}");
        }
        assert_eq!(of_step("remove network", ""), "step remove network");
    }

    #[test]
    fn the_beginning_of_a_known_name_is_enough_before_an_open_end() {
        for at in ["store co*", "call provision *", "store sealed*", "call *", "st*"] {
            check(at).unwrap();
        }
        for at in ["store xo*", "call provision during*", "step ", "xtep *"] {
            assert!(check(at).is_err(), "{at}");
        }
    }
}
