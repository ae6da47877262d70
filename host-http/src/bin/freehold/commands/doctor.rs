//! `freehold doctor`.

use freehold_host::wire::{Diagnosis, Finding, RemoveOwnerless};

use super::Session;
use crate::{
    exit::{Failure, Result},
    print,
};

/// Shows what engines and store do not agree on, and has what has no owner removed.
///
/// # Errors
/// What the host answers; that somebody has to do something.
pub(super) async fn run(session: &Session, fix: bool, older_than: Option<u64>) -> Result<()> {
    let diagnosis: Diagnosis = if fix {
        let older_than_seconds = older_than.map(|minutes| minutes.saturating_mul(60));
        session.client.post("doctor", &RemoveOwnerless { older_than_seconds }).await?
    } else {
        session.client.get("doctor", &[]).await?
    };
    if session.json {
        print::json(&diagnosis)?;
    } else {
        show(&diagnosis, fix);
    }
    if diagnosis.well {
        return Ok(());
    }
    let open = diagnosis.targets.iter().flat_map(|target| &target.findings);
    let open = open.filter(|finding| finding.needs_attention).count();
    let blind = diagnosis.targets.iter().filter(|target| target.error.is_some()).count();
    Err(Failure::failed(format!("{open} findings need somebody, and {blind} targets could not be looked at")))
}

fn show(diagnosis: &Diagnosis, fix: bool) {
    for target in &diagnosis.targets {
        let foreign = target.findings.iter().filter(|finding| finding.trouble == "foreign").count();
        let others = match foreign {
            0 => String::new(),
            foreign => format!(" ({foreign} projects of other installations are left alone)"),
        };
        let name = &target.target;
        match &target.error {
            Some(error) => println!("{name}: {error}"),
            None if target.findings.len() == foreign => println!("{name}: nothing is wrong{others}"),
            None => println!("{name}:{others}"),
        }
        for finding in target.findings.iter().filter(|finding| finding.trouble != "foreign") {
            println!("  {}  {}", finding.project, print::finding(finding));
            println!("  {:20}  {}", "", advice(finding, fix));
        }
    }
}

/// What somebody can do about it.
fn advice(finding: &Finding, fix: bool) -> String {
    let project = finding.project;
    match (finding.removed, &finding.error) {
        (Some(true), _) => return "removed".to_owned(),
        (_, Some(error)) => return error.clone(),
        _ => {}
    }
    match finding.trouble.as_str() {
        "missing" => {
            format!("its data is gone from the engine: bring it back, or `freehold destroy {project}`")
        }
        "unknown" | "removed" if fix => "left: it is not old enough, see --older-than".to_owned(),
        "unknown" => {
            "`freehold doctor --fix` removes it; not after the store was set back to a backup".to_owned()
        }
        "removed" => "`freehold doctor --fix` removes it, and so does the host by itself".to_owned(),
        "failed" => format!("`freehold retry {project}` or `freehold destroy {project}` removes it"),
        _ => "it does not say whose it is: look at it, and remove it by hand if it is yours".to_owned(),
    }
}
