//! The hooks that come with Freehold, in the program itself, so that an installed binary needs no files beside it.

use crate::kept::StackFile;

macro_rules! stack {
    ($folder:literal: programs $($program:literal)+, files $($file:literal)+) => {
        [
            $(StackFile::new($program, true, include_str!(concat!("../hooks/", $folder, "/", $program))),)+
            $(StackFile::new($file, false, include_str!(concat!("../hooks/", $folder, "/", $file))),)+
        ]
    };
}

/// One real PostgreSQL per project.
pub(crate) fn postgres() -> Vec<StackFile> {
    let mut files = stack!("postgres":
        programs "check" "destroy" "health" "inventory" "logs" "pause" "plan" "provision" "reconfigure" "restart" "resume",
        files "postgres.sh" "stack.toml"
    )
    .to_vec();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::kept::read_folder;

    #[test]
    fn everything_in_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/postgres");
        assert_eq!(read_folder(&folder).unwrap(), postgres());
    }
}
