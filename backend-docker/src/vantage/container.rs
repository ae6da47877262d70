//! The id of the container that this process runs in, as the process itself can tell.
//!
//! Engines mount three files of their own into each container, from a folder that is named for the container:
//! `/var/lib/docker/containers/<id>/hostname` with Docker (moby, `daemon/container_operations_unix.go`),
//! `…/overlay-containers/<id>/userdata/hostname` with Podman. Neither the host name nor the control group will do: the
//! first can be set, and the second is hidden where the container has a namespace of its own for it.

use std::fs;

/// What engines mount, as the container sees it.
const GIVEN: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// The id, if this process is in a container.
pub(super) fn own_id() -> Option<String> {
    told_by(&fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// Fields of a line, by `proc_pid_mountinfo(5)`: the fourth is the source's path in its file system, the fifth where it is
/// mounted.
fn told_by(mountinfo: &str) -> Option<String> {
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (source, place) = (fields.next()?, fields.next()?);
        GIVEN.contains(&place).then(|| source.split('/').find(|part| is_id(part)))?.map(str::to_owned)
    })
}

fn is_id(part: &str) -> bool {
    part.len() == 64 && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::told_by;

    const ID: &str = "3f4e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6";

    #[test]
    fn the_engines_own_mounts_tell_the_id_and_mounts_of_other_containers_do_not() {
        let docker = format!(
            "536 514 0:5 / /dev rw - tmpfs tmpfs rw\n\
             540 514 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw\n"
        );
        let podman =
            format!("9 8 0:2 /overlay-containers/{ID}/userdata/resolv.conf /etc/resolv.conf rw - tmpfs x rw");
        for mountinfo in [docker, podman] {
            assert_eq!(told_by(&mountinfo).as_deref(), Some(ID), "{mountinfo}");
        }
        let machine = format!("60 25 0:50 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw");
        assert_eq!(told_by(&machine), None);
        assert_eq!(told_by("540 514 254:0 /etc/hostname /etc/hostname rw - ext4 /dev/vda rw"), None);
    }
}
