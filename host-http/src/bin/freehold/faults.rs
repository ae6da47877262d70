//! Fault plans for the host: a file of its own, and the switches of the platform-api that Freehold replaces.

use std::{env, path::Path, sync::Arc, time::Duration};

use freehold_core::{
    Kind,
    faults::{Fault, Faults, Injector, Then},
};

use crate::{
    config,
    exit::{Failure, Result},
};

/// The switch, the delay before it strikes, and where: the names are those of the platform-api.
const SWITCHES: [(&str, &str, &str); 2] = [
    ("FAIL_PROVISIONING", "PROVISIONING_DELAY_MS", "call provision before"),
    ("FAIL_DESTRUCTION", "DESTRUCTION_DELAY_MS", "call destroy before"),
];

/// The delay unless said.
const DELAY: u64 = 1000;

/// What carries out the faults that this host was told to have, if any.
///
/// # Errors
/// Naming the file and the field, or the variable, that is wrong.
pub(crate) fn injector(file: Option<&Path>) -> Result<Option<Arc<Injector>>> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let faults = planned(file, variable)?;
    if faults.faults.is_empty() {
        return Ok(None);
    }
    for fault in &faults.faults {
        tracing::warn!(?fault, "FAULTS ARE IN FORCE: this host goes wrong on purpose");
    }
    Ok(Some(Arc::new(Injector::crashing_by(faults, || std::process::abort())?)))
}

fn planned(file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Faults> {
    let mut faults = match file {
        Some(path) => {
            let faults: Faults = config::parse(path)?;
            faults.validate().map_err(|error| Failure::from(error).during(&path.display().to_string()))?;
            faults
        }
        None => Faults::default(),
    };
    for (switch, delay, at) in SWITCHES {
        if variable(switch).as_deref() != Some("true") {
            continue;
        }
        let delay = match variable(delay) {
            None => DELAY,
            Some(text) => text
                .parse()
                .map_err(|_| Failure::usage(format!("{delay}: {text:?} is no number of milliseconds")))?,
        };
        let delay = Then::Delay(Duration::from_millis(delay));
        // Not a kind that is tried again: the switch means that it fails.
        faults
            .faults
            .extend([delay, Then::Fail(Kind::Internal)].map(|then| Fault::new(at, then).chance(1.0)));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Faults> {
        planned(None, |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    fn read(text: &str) -> Result<Faults> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.toml");
        fs::write(&path, text).unwrap();
        planned(Some(&path), |_| None)
    }

    #[test]
    fn the_switches_of_the_platform_api_are_faults_of_every_call_after_their_delay() {
        assert_eq!(
            with(&[("FAIL_PROVISIONING", "yes"), ("PROVISIONING_DELAY_MS", "5")]).unwrap(),
            Faults::default()
        );
        let faults = with(&[
            ("FAIL_PROVISIONING", "true"),
            ("FAIL_DESTRUCTION", "true"),
            ("DESTRUCTION_DELAY_MS", "5"),
        ]);
        let [wait, fail, wait_too, fail_too] = &faults.unwrap().faults[..] else { panic!("four faults") };
        let always = |at: &str, then| Fault::new(at, then).chance(1.0);
        let milliseconds = |n| Then::Delay(Duration::from_millis(n));
        assert_eq!(*wait, always("call provision before", milliseconds(1000)));
        assert_eq!(*fail, always("call provision before", Then::Fail(Kind::Internal)));
        assert_eq!(*wait_too, always("call destroy before", milliseconds(5)));
        assert_eq!(*fail_too, always("call destroy before", Then::Fail(Kind::Internal)));
    }

    #[test]
    fn a_delay_that_is_no_number_is_named() {
        let failure = with(&[("FAIL_DESTRUCTION", "true"), ("DESTRUCTION_DELAY_MS", "-1")]).unwrap_err();
        assert!(failure.message().starts_with("DESTRUCTION_DELAY_MS"), "{failure:?}");
    }

    #[test]
    fn a_bad_plan_is_refused_by_file_and_field() {
        let unknown =
            read("[[fault]]\nat = \"store commit after\"\nthen = { fail = \"unavailble\" }\n").unwrap_err();
        let misplaced = read("[[fault]]\nat = \"call provison before\"\nthen = \"crash\"\n").unwrap_err();
        for (failure, parts) in [
            (unknown, ["faults.toml", "line 3", "unavailble"]),
            (misplaced, ["faults.toml", "fault[0].at", "provison"]),
        ] {
            assert!(parts.iter().all(|part| failure.message().contains(part)), "{failure:?}");
            assert_eq!(failure.code(), 2);
        }
    }
}
