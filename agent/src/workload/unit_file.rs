//! What a unit file says about who answers for the unit: a line `X-Owner=TEAM` in any section. systemd ignores what begins
//! with `X-` (systemd.unit(5)).

use std::{fs::File, io::Read as _, path::Path};

/// Where units are, the one that counts first.
const DIRECTORIES: &[&str] = &[
    "etc/systemd/system",
    "run/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Bytes of a unit file that are looked at. Overflow policy: the rest is not.
const MAX_BYTES: u64 = 64 * 1024;

/// The owner that the file of a unit names; `root` is where the host's files are.
pub(super) fn owner(root: &Path, unit: &str) -> Option<String> {
    // An instance has the file of its template.
    let template = unit
        .split_once('@')
        .and_then(|(name, rest)| Some(format!("{name}@.{}", rest.rsplit_once('.')?.1)));
    let names = std::iter::once(unit)
        .chain(template.as_deref())
        .filter(|name| !name.contains('/'));
    for name in names {
        for directory in DIRECTORIES {
            let Ok(file) = File::open(root.join(directory).join(name)) else {
                continue;
            };
            let mut text = String::new();
            // A file that is no text names nobody.
            file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
            let line = text.lines().find_map(|line| line.trim().strip_prefix("X-Owner="));
            return line
                .map(str::trim)
                .filter(|owner| !owner.is_empty())
                .map(str::to_owned);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_file_counts_and_instances_have_that_of_their_template() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/lib/systemd/system/shop.service", "[Unit]\nX-Owner=vendor\n");
        write(
            "etc/systemd/system/shop.service",
            "[Unit]\n X-Owner = no\nX-Owner= payments \n",
        );
        write("etc/systemd/system/job@.service", "[Service]\nX-Owner=batch\n");
        write("etc/systemd/system/none.service", "[Unit]\nX-Owner=\n");
        assert_eq!(owner(root.path(), "shop.service").as_deref(), Some("payments"));
        assert_eq!(owner(root.path(), "job@7.service").as_deref(), Some("batch"));
        assert_eq!(owner(root.path(), "none.service"), None);
        assert_eq!(owner(root.path(), "absent.service"), None);
        assert_eq!(owner(root.path(), "../../../etc/passwd"), None);
    }
}
