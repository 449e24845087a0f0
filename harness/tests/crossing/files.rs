//! Files that one interface writes and the others read.
//!
//! Purpose: one file tree for all; VeridianOS, which has no file calls, reads
//! and writes what it was given for standard streams. Neighbours: `start.rs`.

use mayfly::prelude::*;

#[mayfly::test(
    covers = "xeneva OpenFile, xeneva ReadFile, xeneva WriteFile, patchwork OPEN, patchwork READ, patchwork WRITE"
)]
fn what_one_writes_the_other_reads(vm: Vm) -> Result<()> {
    let (xeneva, patchwork) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Patchwork)?);
    let fd = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/x"), 6])?
        .value;
    xeneva.call(xeneva::WriteFile, args![fd, input("by XenevaOS"), 11])?;
    let other = patchwork
        .call(patchwork::OPEN, args![text("/tmp/x")])?
        .value;
    let read = patchwork.call(patchwork::READ, args![other, out(64), 64])?;
    assert_eq!(
        (read.value, &read.buffers[0][..11]),
        (11, &b"by XenevaOS"[..])
    );
    // Both write, each at its own position, and both see it at once.
    patchwork.call(
        patchwork::WRITE,
        args![other, input(", then PatchworkOS"), 18],
    )?;
    let read = xeneva.call(xeneva::ReadFile, args![fd, out(64), 64])?;
    assert_eq!(
        (read.value, &read.buffers[0][..18]),
        (18, &b", then PatchworkOS"[..])
    );
    // A directory of one is a directory of the other.
    patchwork.call(patchwork::OPEN, args![text("/tmp/d:dc")])?;
    let inside = xeneva.call(xeneva::OpenFile, args![text("/tmp/d/in"), 4])?;
    assert!(inside.result.is_ok());
    let found = patchwork.call(patchwork::OPEN, args![text("/tmp/d/in")])?;
    assert!(found.result.is_ok());
    Ok(())
}

#[mayfly::test(covers = "veridian WRITE, patchwork SPAWN, xeneva ProcessLoadExec")]
fn veridian_output_becomes_a_file_that_both_read(vm: Vm) -> Result<()> {
    let (xeneva, patchwork) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Patchwork)?);
    let fd = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/v"), 6])?
        .value;
    let slot = xeneva
        .call(xeneva::CreateProcess, args![0, text("v")])?
        .value;
    xeneva.call(xeneva::SetFileToProcess, args![fd, 1, slot])?;
    let load = args![slot, text("/bin/veridian-args.exe"), 0, 0];
    assert_eq!(xeneva.call(xeneva::ProcessLoadExec, load)?.result, Ok(0));
    xeneva.call(xeneva::ProcessWaitForTermination, args![slot])?;
    let said = b"/bin/veridian-args.exe\n";
    let again = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/v"), 2])?
        .value;
    let read = xeneva.call(xeneva::ReadFile, args![again, out(64), 64])?;
    assert_eq!(read.buffers[0][..said.len()], said[..]);
    let other = patchwork
        .call(patchwork::OPEN, args![text("/tmp/v")])?
        .value;
    let read = patchwork.call(patchwork::READ, args![other, out(64), 64])?;
    assert_eq!(
        (read.value, &read.buffers[0][..said.len()]),
        (23, &said[..])
    );
    Ok(())
}

#[mayfly::test(covers = "veridian PROCESS_CREATE, veridian WRITE, xeneva SetFileToProcess")]
fn what_veridian_children_write_goes_where_their_makers_does(vm: Vm) -> Result<()> {
    let xeneva = vm.probe(Abi::Xeneva)?;
    let fd = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/v"), 4])?
        .value;
    let slot = xeneva
        .call(xeneva::CreateProcess, args![0, text("v")])?
        .value;
    xeneva.call(xeneva::SetFileToProcess, args![fd, 1, slot])?;
    let mut path = b"/bin/veridian-processes.exe\0".to_vec();
    let run = BUFFER + path.len() as u64;
    path.extend(b"run\0");
    let load = args![slot, input(path), 1, input(run.to_le_bytes())];
    assert_eq!(xeneva.call(xeneva::ProcessLoadExec, load)?.result, Ok(0));
    xeneva.call(xeneva::ProcessWaitForTermination, args![slot])?;
    let said = vm.spawn("veridian-processes").arg("run").run()?.stdout;
    assert!(said.len() > b"processes ok\n".len(), "a child prints too");
    let again = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/v"), 2])?
        .value;
    let read = xeneva.call(xeneva::ReadFile, args![again, out(4096), 4096])?;
    let length = usize::try_from(read.value).expect("a length");
    assert_eq!(read.buffers[0][..length], said[..]);
    assert_eq!(xeneva.stdout_so_far(), b"");
    Ok(())
}

#[mayfly::test(
    covers = "xeneva OpenFile, xeneva OpenFile FAILED, xeneva ProcessLoadExec FAILED, patchwork BIND"
)]
fn a_bind_caps_what_xeneva_may_do(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let open = |path: &str| {
        let opened = probe.call(patchwork::OPEN, args![text(path)])?;
        Ok::<_, Error>(opened.result.expect("open"))
    };
    let bind = |source: u64, path: &str| {
        let bound = probe.call(patchwork::BIND, args![source, text(path), 0])?;
        assert_eq!(bound.result, Ok(0), "{path}");
        Ok::<_, Error>(())
    };
    // One file lies there, and a program.
    open("/var/x:c")?;
    let link = args![text("/bin/xeneva-args"), text("/var/y.exe")];
    assert_eq!(probe.call(patchwork::LINK, link)?.result, Ok(0));
    let mut from = 0;
    let mut run = |arguments: &[&str]| {
        let child = spawn(&probe, arguments)?;
        let wait = open(&format!("/proc/{child}/wait"))?;
        probe.call(patchwork::READ, args![wait, out(8), 8])?;
        let said = probe.stdout_so_far();
        let new = String::from_utf8_lossy(&said[from..]).into_owned();
        from = said.len();
        Ok::<_, Error>(new)
    };
    bind(open("/var:dr")?, "/tmp")?;
    let ways = ["/tmp/x", "2", "/tmp/x", "4", "/tmp/x", "6", "/tmp/new", "8"];
    let mut words = vec!["/bin/xeneva-open"];
    words.extend(ways);
    let said = run(&words)?;
    let wanted = "/tmp/x 2: read 0, wrote 0\n/tmp/x 4: not opened\n/tmp/x 6: not opened\n\
                  /tmp/new 8: not opened\n";
    assert_eq!(said, wanted);
    let program = ["/bin/xeneva-processes", "run", "/tmp/y.exe"];
    assert_eq!(run(&program)?, "/tmp/y.exe\nover\n");
    // What can only be written is no program to run.
    bind(open("/var:dw")?, "/tmp")?;
    let said = run(&words)?;
    let wanted = "/tmp/x 2: not opened\n/tmp/x 4: read 0, wrote 1\n/tmp/x 6: not opened\n\
                  /tmp/new 8: not opened\n";
    assert_eq!(said, wanted);
    let program = ["/bin/xeneva-processes", "none", "/tmp/y.exe"];
    assert_eq!(run(&program)?, "none\n");
    Ok(())
}

/// Starts a program; its id.
fn spawn(probe: &Probe<'_>, arguments: &[&str]) -> Result<u64> {
    let array = (arguments.len() as u64 + 1) * 8;
    let (mut pointers, mut strings) = (Vec::new(), Vec::new());
    for argument in arguments {
        pointers.extend((BUFFER + array + strings.len() as u64).to_le_bytes());
        strings.extend(argument.bytes().chain([0]));
    }
    pointers.extend([0; 8]);
    let bytes = [pointers, strings].concat();
    let spawned = probe.call(patchwork::SPAWN, args![input(bytes), 0])?;
    Ok(spawned.result.expect("a child"))
}
