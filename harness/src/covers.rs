//! What tests say that they cover.
//!
//! Purpose: `covers = "patchwork WRITE EINVAL, veridian YIELD"` names an
//! interface, a call, and an error unless it is the call's success. Neighbours:
//! `mayfly coverage` counts them; tests hold the lists of errors against them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Entries in the text of a source file.
pub fn entries(source: &str) -> impl Iterator<Item = &str> {
    let lists = source.split("covers = \"").skip(1);
    let lists = lists.filter_map(|rest| rest.split_once('"'));
    lists.flat_map(|(list, _)| list.split(',')).map(str::trim)
}

/// Errors of calls, `"IPC_SEND"` with `"Busy NotFound"`, that no file of a
/// folder has a test for.
///
/// # Errors
/// When a file cannot be read.
pub fn missing<'a>(
    folder: &Path,
    abi: &str,
    errors: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> io::Result<Vec<String>> {
    let mut covered = BTreeSet::new();
    for file in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(file?.path())?;
        covered.extend(entries(&text).map(str::to_owned));
    }
    let wanted = errors.into_iter().flat_map(|(call, errors)| {
        let names = errors.split_whitespace();
        names.map(move |error| format!("{abi} {call} {error}"))
    });
    Ok(wanted.filter(|entry| !covered.contains(entry)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_in_a_source() {
        let source = r#"#[mayfly::test(covers = "patchwork WRITE EINVAL, xeneva null_call")]"#;
        let found: Vec<_> = entries(source).collect();
        assert_eq!(found, ["patchwork WRITE EINVAL", "xeneva null_call"]);
    }

    #[test]
    fn an_error_without_a_test_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let test = r#"#[mayfly::test(covers = "veridian IPC_SEND Busy")]"#;
        std::fs::write(folder.path().join("a.rs"), test).expect("a file");
        let wanted = [("IPC_SEND", "Busy NotFound")];
        let found = missing(folder.path(), "veridian", wanted).expect("it can be read");
        assert_eq!(found, ["veridian IPC_SEND NotFound"]);
    }
}
