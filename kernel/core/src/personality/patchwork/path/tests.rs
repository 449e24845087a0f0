//! The grammar of paths.

use super::*;

fn names(path: &str) -> Vec<String> {
    let path = Path::parse(path.as_bytes()).unwrap();
    path.steps()
        .map(|step| match step {
            Step::Here => ".".into(),
            Step::Above => "..".into(),
            Step::Down(name) => String::from_utf8(name.into()).unwrap(),
        })
        .collect()
}

#[test]
fn slashes_repeat_and_trail() {
    assert_eq!(names("//a///b/"), ["a", "b"]);
    assert_eq!(names("./../a.b"), [".", "..", "a.b"]);
    assert!(names("").is_empty() && names("/").is_empty());
}

#[test]
fn flags_are_names_or_letters() {
    for (text, bits) in [
        ("a", 0),
        ("a:", 0),
        ("a::", 0),
        ("a:read", 1),
        ("a:rw", 3),
        ("a:r:w::write", 3),
        ("a:create:directory", 0x120),
        ("a:cd", 0x120),
        ("a:rwxnacetdR", 0x3ff),
        ("a:recursive", 0x200),
        (":append:exclusive:truncate:execute:nonblock", 0xdc),
    ] {
        let path = Path::parse(text.as_bytes()).unwrap();
        assert_eq!(path.flags.0, bits, "{text}");
    }
}

#[test]
fn what_is_malformed_is_refused() {
    let long = "x".repeat(32);
    for (text, error) in [
        ("a*", KernelError::InvalidArgument),
        ("a\"", KernelError::InvalidArgument),
        ("a\\b", KernelError::InvalidArgument),
        ("<a", KernelError::InvalidArgument),
        ("a|", KernelError::InvalidArgument),
        ("`", KernelError::InvalidArgument),
        ("\u{e4}", KernelError::InvalidArgument),
        ("a\n", KernelError::InvalidArgument),
        (&long, KernelError::TooLong),
        (&format!("a:{long}"), KernelError::TooLong),
        ("a:q", KernelError::BadFlag),
        ("a:r w", KernelError::BadFlag),
        ("a:reads", KernelError::BadFlag),
        ("a:/", KernelError::BadFlag),
    ] {
        assert_eq!(Path::parse(text.as_bytes()), Err(error), "{text:?}");
    }
    assert!(Path::parse("x".repeat(31).as_bytes()).is_ok());
    assert!(Path::parse(b"A-z0_9. ()[]{}~!@#$%^&?',;=+/").is_ok());
}

#[test]
fn the_last_name_is_found_and_dots_are_none() {
    let parent = |text: &'static str| {
        let path = Path::parse(text.as_bytes()).unwrap();
        path.parent().map(|(steps, last)| (steps.count(), last))
    };
    assert_eq!(parent("a"), Ok((0, &b"a"[..])));
    assert_eq!(parent("/a/b//"), Ok((1, &b"b"[..])));
    for text in ["", "/", "//", ".", "a/..", "/a/./", ".."] {
        assert_eq!(parent(text), Err(KernelError::InvalidArgument), "{text}");
    }
}
