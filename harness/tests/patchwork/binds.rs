//! Binds and shares of PatchworkOS.
//!
//! Purpose: what a process shows itself elsewhere and hands to others
//! (`specs/patchwork.md` §10). Neighbours: `paths.rs` has names.

use mayfly::prelude::*;

use super::files::{close, open, read, write};
use super::paths::{BAD, list, stat, with_path};

#[mayfly::test(
    covers = "patchwork BIND, patchwork BIND EINVAL, patchwork BIND EBADF, patchwork BIND ENOENT, patchwork BIND EFAULT, patchwork BIND ENOMEM, patchwork OPEN EACCES"
)]
fn the_newest_bind_is_seen_and_caps_what_may_be_done(vm: Vm) -> Result<()> {
    let (probe, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let bind = |source: u64, path: &str| {
        let call = probe.call(patchwork::BIND, args![source, text(path), 0])?;
        Ok::<_, Error>(call.result)
    };
    open(&probe, "/var/x:c")?;
    let (var, bin) = (open(&probe, "/var:dr")?, open(&probe, "/bin:d")?);
    assert_eq!(bind(var, "/tmp")?, Ok(0));
    assert_eq!(list(&probe, "/tmp:d")?, ["./", "../", "x"]);
    assert_eq!(stat(&probe, "/tmp/x")?.3, "x");
    assert_eq!(
        list(&other, "/tmp:d")?,
        ["./", "../"],
        "others see what they saw"
    );
    assert_eq!(
        with_path(&probe, patchwork::OPEN, "/tmp/x:w")?,
        Err("EACCES")
    );
    assert!(with_path(&probe, patchwork::OPEN, "/tmp/x:r")?.is_ok());
    assert_eq!(
        with_path(&probe, patchwork::OPEN, "/tmp/new:c")?,
        Err("EACCES")
    );
    // Through the mount and out again.
    assert_eq!(stat(&probe, "/tmp/..")?.3, "__root__");
    assert_eq!(bind(bin, "/tmp")?, Ok(0));
    assert!(stat(&probe, "/tmp/patchwork-hello").is_ok());
    assert_eq!(with_path(&probe, patchwork::OPEN, "/tmp/x")?, Err("ENOENT"));
    // A file over a file.
    let null = open(&probe, "/dev/null")?;
    assert_eq!(bind(null, "/var/x")?, Ok(0));
    let x = open(&probe, "/var/x")?;
    write(&probe, x, b"gone")?;
    assert!(read(&probe, x, 10)?.is_empty());
    assert_eq!(bind(null, "/none")?, Err("ENOENT"));
    assert_eq!(bind(99, "/tmp")?, Err("EBADF"));
    assert_eq!(bind(null, "/tmp:q")?, Err("EBADFLAG"));
    let call = probe.call(patchwork::BIND, args![null, 0, 0])?;
    assert_eq!(call.result, Err("EINVAL"));
    let call = probe.call(patchwork::BIND, args![null, BAD, 0])?;
    assert_eq!(call.result, Err("EFAULT"));
    let full = (0..100).find_map(|_| bind(bin, "/tmp").ok()?.err());
    assert_eq!(full, Some("ENOMEM"));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork SHARE, patchwork SHARE EFAULT, patchwork SHARE EBADF, patchwork CLAIM, patchwork CLAIM EFAULT, patchwork CLAIM ENOENT, patchwork CLAIM EMFILE"
)]
fn an_open_file_goes_to_who_has_the_key(vm: Vm) -> Result<()> {
    let (giver, taker) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let share = |fd: u64, timeout: u64| {
        let call = giver.call(patchwork::SHARE, args![out(16), fd, timeout])?;
        Ok::<_, Error>((call.result, call.buffers[0].clone()))
    };
    let claim = |key: &[u8]| {
        let call = taker.call(patchwork::CLAIM, args![input(key)])?;
        Ok::<_, Error>(call.result)
    };
    let file = open(&giver, "/tmp/a:c")?;
    write(&giver, file, b"abc")?;
    let (shared, key) = share(file, u64::MAX)?;
    assert_eq!(shared, Ok(0));
    assert_ne!(key, share(file, u64::MAX)?.1);
    assert_eq!(claim(&key)?, Ok(3));
    assert_eq!(claim(&key)?, Err("ENOENT"), "a key is good for one");
    // The same open file, with its position.
    assert_eq!(taker.call(patchwork::SEEK, args![3, 0, 1])?.result, Ok(3));
    assert_eq!(claim(&[0; 16])?, Err("ENOENT"));
    assert_eq!(share(99, 0)?.0, Err("EBADF"));
    for address in [0, BAD] {
        let call = giver.call(patchwork::SHARE, args![address, file, 0])?;
        assert_eq!(call.result, Err("EFAULT"));
        assert_eq!(
            taker.call(patchwork::CLAIM, args![address])?.result,
            Err("EFAULT")
        );
    }
    let (_, key) = share(file, 1_000_000)?;
    giver.call(patchwork::NANOSLEEP, args![2_000_000])?;
    assert_eq!(claim(&key)?, Err("ENOENT"), "its time is over");
    let (_, key) = share(file, u64::MAX)?;
    for _ in 4..64 {
        taker.call(patchwork::DUP, args![3])?;
    }
    assert_eq!(claim(&key)?, Err("EMFILE"));
    close(&taker, 10)?;
    assert_eq!(claim(&key)?, Err("ENOENT"), "a key is used up even so");
    Ok(())
}
