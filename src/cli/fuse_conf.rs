//! What /etc/fuse.conf lets ordinary users do: mount.fuse3(8), "CONFIGURATION". Mounts nothing.

use std::fs;
use std::io;

use nix::unistd::geteuid;

use super::UsageError;

const PATH: &str = "/etc/fuse.conf";

/// Refuses what fusermount3 would refuse later on: letting others in.
pub(super) fn check_allow_other() -> Result<(), UsageError> {
    if geteuid().is_root() {
        return Ok(());
    }
    let is_allowed = match fs::read(PATH) {
        Ok(text) => allows_others(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        // fusermount3, which is root, can read it and decides.
        Err(_) => true,
    };
    if is_allowed {
        return Ok(());
    }
    Err(UsageError::Value {
        option: "allow_other",
        reason: "/etc/fuse.conf does not let ordinary users give it; have root add the line \
                 user_allow_other to that file, or leave it out",
    })
}

/// As fusermount3 reads it: a line of its own, behind which a remark may follow.
fn allows_others(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let end = line.iter().position(|byte| *byte == b'#');
        line[..end.unwrap_or(line.len())].trim_ascii() == b"user_allow_other"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_its_own_lets_users_let_others_in() {
        for (text, expected) in [
            ("user_allow_other", true),
            ("mount_max = 9\n  user_allow_other # yes\n", true),
            ("#user_allow_other\n", false),
            ("user_allow_other = 1\n", false),
            ("", false),
        ] {
            assert_eq!(allows_others(text.as_bytes()), expected, "{text:?}");
        }
    }
}
