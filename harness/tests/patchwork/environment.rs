//! Environments of PatchworkOS: `/proc/PID/env` (`specs/patchwork.md` §6).
//!
//! Purpose: variables as a probe sees its own and another's. Neighbours:
//! `proc.rs` has the files beside it.

use mayfly::prelude::*;

use super::files::{close, open, read, write};
use super::paths::{list, stat, with_path};
use super::proc::{pid, says};

#[mayfly::test(covers = "patchwork OPEN, patchwork GETDENTS, patchwork REMOVE")]
fn variables_are_files(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    assert_eq!(list(&one, "/proc/self/env:d")?, ["./", "../"]);
    let home = open(&one, "/proc/self/env/HOME:rwc")?;
    write(&one, home, b"/home")?;
    let path = open(&one, "/proc/self/env/PATH:create")?;
    write(&one, path, b"/bin")?;
    write(&one, path, b":/usr/bin")?;
    let theirs = format!("/proc/{}/env", pid(&one)?);
    assert_eq!(says(&other, &format!("{theirs}/PATH"))?, "/bin:/usr/bin");
    assert_eq!(says(&one, "/proc/self/env/HOME")?, "/home");
    assert_eq!(stat(&one, "/proc/self/env/HOME")?.1, 5, "no NUL is added");
    assert_eq!(
        list(&other, &format!("{theirs}:d"))?,
        ["./", "../", "HOME", "PATH"]
    );
    assert_eq!(
        list(&other, "/proc/self/env:d")?,
        ["./", "../"],
        "each has its own"
    );
    // A position, as files have.
    assert_eq!(one.call(patchwork::SEEK, args![home, 1, 0])?.result, Ok(1));
    assert_eq!(read(&one, home, 9)?, b"home");
    close(&one, open(&one, "/proc/self/env/HOME:truncate")?)?;
    assert_eq!(says(&one, "/proc/self/env/HOME")?, "");
    // Others may write to it, and remove.
    let set = open(&other, &format!("{theirs}/NEW:rwc"))?;
    write(&other, set, b"x")?;
    assert_eq!(says(&one, "/proc/self/env/NEW")?, "x");
    let removed = with_path(&other, patchwork::REMOVE, &format!("{theirs}/PATH"))?;
    assert_eq!(removed, Ok(0));
    assert_eq!(
        list(&one, "/proc/self/env:d")?,
        ["./", "../", "HOME", "NEW"]
    );
    Ok(())
}

#[mayfly::test(
    covers = "patchwork OPEN ENOSYS, patchwork OPEN ENOENT, patchwork OPEN EEXIST, patchwork LINK, patchwork LINK EXDEV"
)]
fn an_environment_is_a_file_system_of_its_own(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    close(&probe, open(&probe, "/proc/self/env/A:c")?)?;
    for (path, error) in [
        ("/proc/self/env/B", "ENOENT"),
        ("/proc/self/env/A:ce", "EEXIST"),
        ("/proc/self/env/D:cd", "ENOSYS"),
    ] {
        assert_eq!(
            with_path(&probe, patchwork::OPEN, path)?,
            Err(error),
            "{path}"
        );
    }
    let link = |new: &str| {
        let old = text("/proc/self/env/A");
        let call = probe.call(patchwork::LINK, args![old, text(new)])?;
        Ok::<_, Error>(call.result)
    };
    assert_eq!(link("/tmp/A")?, Err("EXDEV"));
    assert_eq!(link("/proc/self/env/B")?, Ok(0));
    assert_eq!(link("/proc/self/env/B")?, Err("EEXIST"));
    Ok(())
}

#[mayfly::test(memory = "8M", covers = "patchwork WRITE ENOMEM")]
fn what_is_set_goes_with_its_process(vm: Vm) -> Result<()> {
    // Each fills what there is for files; the next one finds it empty.
    for _ in 0..3 {
        let probe = vm.probe(Abi::Patchwork)?;
        let variable = open(&probe, "/proc/self/env/A:rwc")?;
        let mut full = None;
        for _ in 0..100 {
            let call = probe.call(patchwork::WRITE, args![variable, out(4000), 4000])?;
            full = call.result.err();
            if full.is_some() {
                break;
            }
        }
        assert_eq!(full, Some("ENOMEM"));
        probe.close()?;
    }
    Ok(())
}
