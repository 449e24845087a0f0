//! Names and directories of PatchworkOS.
//!
//! Purpose: the paths of `specs/patchwork.md` §4, the root of §12, one
//! call at a time. Neighbours: `files.rs` has what is open, `binds.rs` mounts.

use mayfly::prelude::*;

use super::files::{close, open, read, write};

/// An address that no call may accept.
pub(crate) const BAD: u64 = 0x1234_5678_9000;

/// Names that a directory lists, with `/` behind directories.
pub(crate) fn list(probe: &Probe<'_>, path: &str) -> Result<Vec<String>> {
    let fd = open(probe, path)?;
    let mut names = Vec::new();
    loop {
        let call = probe.call(patchwork::GETDENTS, args![fd, out(272 * 16), 272 * 16])?;
        let length = usize::try_from(call.result.expect("a list")).expect("a length");
        if length == 0 {
            close(probe, fd)?;
            return Ok(names);
        }
        for dirent in call.buffers[0][..length].chunks(272) {
            let name = &dirent[12..268];
            let end = name.iter().position(|byte| *byte == 0).expect("a NUL");
            let name = String::from_utf8_lossy(&name[..end]);
            names.push(format!("{name}{}", if dirent[8] == 1 { "/" } else { "" }));
        }
    }
}

/// Makes a call that takes a path only.
pub(crate) fn with_path(
    probe: &Probe<'_>,
    number: u64,
    path: &str,
) -> Result<Result<u64, &'static str>> {
    Ok(probe.call(number, args![text(path)])?.result)
}

/// What STAT says: type, size, links, name.
pub(crate) fn stat(probe: &Probe<'_>, path: &str) -> Result<(u64, u64, u64, String)> {
    let call = probe.call(patchwork::STAT, args![text(path), out(168)])?;
    assert_eq!(call.result, Ok(0), "{path}");
    let name = &call.buffers[0][72..104];
    let end = name.iter().position(|byte| *byte == 0).expect("a NUL");
    let name = String::from_utf8_lossy(&name[..end]).into_owned();
    let word = |index| call.word(0, index).expect("a word");
    assert_eq!(call.buffers[0][104..], [0; 64]);
    Ok((word(1) & 0xffff_ffff, word(2), word(4), name))
}

#[mayfly::test(covers = "patchwork GETDENTS")]
fn the_root_is_that_of_patchwork(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    // What is looked at early does not come first.
    open(&probe, "/usr/share:d")?;
    let root = [
        "./", "../", "acpi/", "bin/", "cfg/", "dev/", "efi/", "home/", "kernel/", "lib/", "net/",
        "proc/", "sys/", "tmp/", "usr/", "var/",
    ];
    assert_eq!(list(&probe, "/:d")?, root);
    assert_eq!(
        list(&probe, "/usr:d")?,
        ["./", "../", "bin/", "share/", "license/"]
    );
    let programs = list(&probe, "/bin:d")?;
    assert!(programs.contains(&"patchwork-hello".into()), "{programs:?}");
    assert!(list(&probe, "/dev:d")?.contains(&"null".into()));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork GETDENTS, patchwork GETDENTS EBADF, patchwork GETDENTS EINVAL, patchwork GETDENTS EFAULT, patchwork GETDENTS ENOTDIR, patchwork GETDENTS EOVERFLOW"
)]
fn a_directory_is_listed_in_order(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    open(&probe, "/tmp/d:cd")?;
    open(&probe, "/tmp/d/z:c")?;
    open(&probe, "/tmp/d/a:cd")?;
    open(&probe, "/tmp/d/a/x:c")?;
    open(&probe, "/tmp/d/b:c")?;
    assert_eq!(list(&probe, "/tmp/d:d")?, ["./", "../", "z", "a/", "b"]);
    assert_eq!(
        list(&probe, "/tmp/d:dR")?,
        ["./", "../", "z", "a/", "a/x", "b"]
    );
    let fd = open(&probe, "/tmp/d:d")?;
    let get = |count: u64| probe.call(patchwork::GETDENTS, args![fd, out(272 * 3), count]);
    assert_eq!(get(271)?.result, Ok(0));
    assert_eq!(get(272 * 3 - 1)?.result, Ok(272 * 2));
    assert_eq!(get(272 * 2)?.buffers[0][12], b'z');
    assert_eq!(get(272)?.result, Ok(272));
    assert_eq!(get(272)?.result, Ok(0));
    probe.call(patchwork::SEEK, args![fd, 0, 0])?;
    assert_eq!(get(272)?.buffers[0][12..14], *b".\0");
    let write_only = open(&probe, "/tmp/d:dw")?;
    for (arguments, error) in [
        (args![99, out(272), 272], "EBADF"),
        (args![fd, 0, 272], "EINVAL"),
        (args![fd, BAD, 272], "EFAULT"),
        (args![fd, u64::MAX, 272], "EOVERFLOW"),
        (args![1, out(272), 272], "ENOTDIR"),
        (args![write_only, out(272), 272], "EBADF"),
    ] {
        let call = probe.call(patchwork::GETDENTS, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{arguments:?}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork STAT")]
fn stat_describes_files(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let file = open(&probe, "/tmp/a:create")?;
    write(&probe, file, &[1; 1000])?;
    assert_eq!(stat(&probe, "/tmp/a")?, (0, 1000, 1, "a".into()));
    assert_eq!(stat(&probe, "/tmp")?, (1, 0, 1, "tmp".into()));
    assert_eq!(stat(&probe, "/")?.3, "__root__");
    assert_eq!(stat(&probe, "/tmp/../dev/.")?.3, "dev");
    assert_eq!(stat(&probe, "/dev/null")?, (0, 0, 1, "null".into()));
    let call = probe.call(patchwork::STAT, args![text("/tmp/a"), out(168)])?;
    let now = probe.call(patchwork::UNIX_EPOCH, args![0])?.value;
    for word in 5..9 {
        let time = call.word(0, word).expect("a time");
        assert!((now - 10..=now).contains(&time), "{time} {now}");
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork STAT EINVAL, patchwork STAT EFAULT, patchwork STAT EBADFLAG, patchwork STAT ENOENT, patchwork STAT ENAMETOOLONG, patchwork STAT EACCES"
)]
fn a_stat_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let long = "x".repeat(32);
    for (arguments, error) in [
        (args![0, out(168)], "EINVAL"),
        (args![text("/tmp"), 0], "EINVAL"),
        (args![BAD, out(168)], "EFAULT"),
        (args![text("/tmp"), BAD], "EFAULT"),
        (args![text("/tmp:d"), out(168)], "EBADFLAG"),
        (args![text("/none"), out(168)], "ENOENT"),
        (args![text("/tmp/none/x"), out(168)], "ENOENT"),
        (args![text(&long), out(168)], "ENAMETOOLONG"),
        (args![text("/*"), out(168)], "EINVAL"),
    ] {
        let call = probe.call(patchwork::STAT, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{arguments:?}");
    }
    let source = open(&probe, "/bin:dw")?;
    let bound = probe.call(patchwork::BIND, args![source, text("/tmp"), 0])?;
    assert_eq!(bound.result, Ok(0));
    let call = probe.call(patchwork::STAT, args![text("/tmp"), out(168)])?;
    assert_eq!(call.result, Err("EACCES"));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork CHDIR, patchwork CHDIR ENOTDIR, patchwork CHDIR ENOENT, patchwork CHDIR EINVAL, patchwork CHDIR EFAULT, patchwork CHDIR EBADFLAG, patchwork CHDIR ENAMETOOLONG"
)]
fn relative_paths_begin_in_the_working_directory(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let chdir = |path: &str| with_path(&probe, patchwork::CHDIR, path);
    open(&probe, "dev/null")?;
    assert_eq!(chdir("/tmp")?, Ok(0));
    open(&probe, "d:cd")?;
    assert_eq!(chdir("d:create:r")?, Ok(0));
    open(&probe, "f:c")?;
    assert_eq!(stat(&probe, "/tmp/d/f")?.3, "f");
    assert_eq!(stat(&probe, "")?.3, "d");
    assert_eq!(stat(&probe, "..")?.3, "tmp");
    assert_eq!(stat(&probe, "../../../..")?.3, "__root__");
    assert_eq!(chdir("..")?, Ok(0));
    assert_eq!(stat(&probe, ".")?.3, "tmp");
    let long = "x".repeat(32);
    for (path, error) in [
        ("none", "ENOTDIR"),
        ("d/f", "ENOTDIR"),
        ("/dev/null", "ENOTDIR"),
        ("none/none", "ENOENT"),
        ("d:q", "EBADFLAG"),
        ("\x01", "EINVAL"),
        (long.as_str(), "ENAMETOOLONG"),
    ] {
        assert_eq!(chdir(path)?, Err(error), "{path}");
    }
    assert_eq!(
        probe.call(patchwork::CHDIR, args![0])?.result,
        Err("EINVAL")
    );
    assert_eq!(
        probe.call(patchwork::CHDIR, args![BAD])?.result,
        Err("EFAULT")
    );
    // A directory that is gone can still be the working directory; nothing is made in it.
    assert_eq!(chdir("/tmp/d")?, Ok(0));
    assert_eq!(with_path(&probe, patchwork::REMOVE, "/tmp/d:dR")?, Ok(0));
    assert_eq!(with_path(&probe, patchwork::OPEN, "new:c")?, Err("ENOENT"));
    Ok(())
}

#[mayfly::test(covers = "patchwork OPENAT, patchwork OPENAT EBADF, patchwork OPENAT ENOENT")]
fn a_path_may_begin_at_an_open_file(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let at = |from: u64, path: &str| {
        let call = probe.call(patchwork::OPENAT, args![from, text(path)])?;
        Ok::<_, Error>(call.result)
    };
    let dev = open(&probe, "/dev:d")?;
    let null = open(&probe, "/dev/null")?;
    assert_eq!(at(dev, "zero")?, Ok(5));
    assert_eq!(at(dev, "pipe/new")?, Ok(6));
    assert_eq!(at(dev, "../tmp:d")?, Ok(7));
    assert_eq!(at(dev, "/dev/zero")?, Ok(8));
    assert_eq!(at(u64::MAX, "dev/zero")?, Ok(9));
    assert_eq!(at(null, "")?, Ok(10));
    assert_eq!(at(99, "/dev/zero")?, Err("EBADF"));
    assert_eq!(at(null, "zero")?, Err("ENOENT"));
    assert_eq!(at(dev, "none")?, Err("ENOENT"));
    assert_eq!(at(dev, ":d*")?, Err("EBADFLAG"));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork REMOVE, patchwork REMOVE EINVAL, patchwork REMOVE EFAULT, patchwork REMOVE ENOENT, patchwork REMOVE ENOTDIR, patchwork REMOVE EISDIR, patchwork REMOVE ENOSYS, patchwork REMOVE ENOTEMPTY, patchwork REMOVE EACCES, patchwork REMOVE EBADFLAG, patchwork REMOVE ENAMETOOLONG"
)]
fn names_are_removed(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let remove = |path: &str| with_path(&probe, patchwork::REMOVE, path);
    let file = open(&probe, "/tmp/d:cd").and_then(|_| open(&probe, "/tmp/d/f:c"))?;
    write(&probe, file, b"abc")?;
    let long = "x".repeat(32);
    for (path, error) in [
        ("/tmp/none", "ENOENT"),
        ("/tmp/none/x", "ENOENT"),
        ("/tmp/d/f/x", "ENOENT"),
        ("/tmp/d/f:directory", "ENOTDIR"),
        ("/tmp/d", "EISDIR"),
        ("/tmp/d:R", "EISDIR"),
        ("/tmp/d:d", "ENOTEMPTY"),
        ("/dev/null", "ENOSYS"),
        ("/dev:dR", "ENOSYS"),
        ("/tmp/.", "EINVAL"),
        ("/tmp/..", "EINVAL"),
        ("/", "EINVAL"),
        ("", "EINVAL"),
        ("/tmp/d:z", "EBADFLAG"),
        (long.as_str(), "ENAMETOOLONG"),
    ] {
        assert_eq!(remove(path)?, Err(error), "{path}");
    }
    assert_eq!(
        probe.call(patchwork::REMOVE, args![0])?.result,
        Err("EINVAL")
    );
    assert_eq!(
        probe.call(patchwork::REMOVE, args![BAD])?.result,
        Err("EFAULT")
    );
    assert_eq!(remove("/tmp/d/f")?, Ok(0));
    assert_eq!(remove("/tmp/d/f")?, Err("ENOENT"));
    // What is open stays.
    probe.call(patchwork::SEEK, args![file, 0, 0])?;
    assert_eq!(read(&probe, file, 10)?, b"abc");
    open(&probe, "/tmp/d/e:cd")?;
    open(&probe, "/tmp/d/e/f:c")?;
    assert_eq!(remove("/tmp/d:directory:recursive")?, Ok(0));
    assert_eq!(list(&probe, "/tmp:d")?, ["./", "../"]);
    assert_eq!(remove("/bin/patchwork-exit")?, Ok(0));
    assert_eq!(remove("/bin/patchwork-exit")?, Err("ENOENT"));
    assert_eq!(remove("/tmp:d")?, Ok(0));
    assert_eq!(with_path(&probe, patchwork::OPEN, "/tmp:d")?, Err("ENOENT"));
    let source = open(&probe, "/bin:dr")?;
    probe.call(patchwork::BIND, args![source, text("/usr"), 0])?;
    assert_eq!(remove("/usr/patchwork-hello")?, Err("EACCES"));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork LINK, patchwork LINK EINVAL, patchwork LINK EFAULT, patchwork LINK EBADFLAG, patchwork LINK EXDEV, patchwork LINK ENOENT, patchwork LINK EISDIR, patchwork LINK ENOSYS, patchwork LINK EACCES, patchwork LINK EEXIST, patchwork LINK ENAMETOOLONG"
)]
fn a_file_may_have_two_names(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let link = |old: &str, new: &str| {
        let call = probe.call(patchwork::LINK, args![text(old), text(new)])?;
        Ok::<_, Error>(call.result)
    };
    let file = open(&probe, "/tmp/a:c")?;
    write(&probe, file, b"abc")?;
    assert_eq!(link("/tmp/a", "/var/b")?, Ok(0));
    assert_eq!(stat(&probe, "/var/b")?, (0, 3, 2, "b".into()));
    with_path(&probe, patchwork::REMOVE, "/tmp/a")?.expect("a REMOVE");
    assert_eq!(stat(&probe, "/var/b")?, (0, 3, 1, "b".into()));
    let read_only = open(&probe, "/var:dr")?;
    probe.call(patchwork::BIND, args![read_only, text("/lib"), 0])?;
    let long = "x".repeat(32);
    for (old, new, error) in [
        ("/var/b:r", "/tmp/c", "EBADFLAG"),
        ("/var/b", "/tmp/c:create", "EBADFLAG"),
        ("/dev/null", "/tmp/c", "EXDEV"),
        ("/var/b", "/dev/c", "EXDEV"),
        ("/none", "/tmp/c", "ENOENT"),
        ("/var/b", "/none/c", "ENOENT"),
        ("/tmp", "/var/c", "EISDIR"),
        ("/var/b", "/var/b", "EEXIST"),
        ("/var/b", "/var/b/", "EEXIST"),
        ("/dev/null", "/dev/nil", "ENOSYS"),
        ("/var/b", "/lib/c", "EACCES"),
        ("/var/b", "/var/.", "EINVAL"),
        ("/var/b", "/var/..", "EINVAL"),
        ("/var/b", long.as_str(), "ENAMETOOLONG"),
        ("/var/*", "/var/c", "EINVAL"),
    ] {
        assert_eq!(link(old, new)?, Err(error), "{old} {new}");
    }
    for (arguments, error) in [
        (args![0, text("a")], "EINVAL"),
        (args![text("a"), 0], "EINVAL"),
        (args![BAD, text("a")], "EFAULT"),
        (args![text("a"), BAD], "EFAULT"),
    ] {
        assert_eq!(probe.call(patchwork::LINK, arguments)?.result, Err(error));
    }
    Ok(())
}
