//! What a child takes over from its parent.

use mayfly_abi::patchwork::{ERR, nr};
use mayfly_abi::{Abi, xeneva};

use super::{BUFFER, EMPTY_CWD, EMPTY_FDS, EMPTY_NS, Family, STDIO_FDS, STRINGS, SUSPEND};
use crate::fake::bench::{Bench, call, pause, request};
use crate::fake::image::ENTRY;
use crate::kernel::SpawnRequest;
use crate::object::process::Cause;

#[test]
fn descriptors_are_inherited_as_the_flags_say() {
    let mut family = Family::new();
    assert_eq!(family.path_call(nr::OPEN, "/dev/null"), 3);
    assert_eq!(family.call(nr::DUP2, &[3, 9]), 9);
    assert_eq!(family.call(nr::CLOSE, &[1]), 0);
    for (flags, expected) in [
        (0, &[0, 2, 3, 9][..]),
        (STDIO_FDS, &[0, 2]),
        (EMPTY_FDS, &[]),
        (EMPTY_FDS | STDIO_FDS, &[]),
        (1 << 32 | EMPTY_FDS, &[]),
        (1 << 33, &[0, 2, 3, 9]),
    ] {
        let child = family.child(&["/bin/patchwork"], SUSPEND | flags);
        let handles = &family.bench.process(child).handles;
        let found: Vec<u64> = handles.iter().map(|(handle, _)| handle).collect();
        assert_eq!(found, expected, "{flags:#x}");
        assert_eq!(handles.most(), 64);
    }
}

#[test]
fn a_child_ends_its_inherited_files() {
    let mut family = Family::new();
    family
        .bench
        .poke(family.parent, STRINGS, b"/dev/pipe/new\0");
    assert_eq!(family.call(nr::OPEN2, &[STRINGS, BUFFER]), 0);
    let child = family.child(&["/bin/patchwork"], 0);
    // Only the child has the writing end now; the reader waits for it.
    family.start(child);
    assert_eq!(family.call(nr::CLOSE, &[4]), 0);
    family.bench.script(child, [pause()]);
    assert!(family.bench.turn());
    family.bench.begin(family.parent, nr::READ, &[3, BUFFER, 8]);
    assert_eq!(family.bench.returned(), None);
    family
        .bench
        .script(child, [call(Abi::Patchwork, nr::PROCESS_EXIT, &[5])]);
    assert!(family.bench.turn());
    assert!(family.bench.turn());
    assert_eq!(family.bench.returned(), Some(0));
    let exit = family.bench.kernel.exit_of(Abi::Patchwork, 3).unwrap();
    assert_eq!(exit.status.get(), Some(5));
    // A plain exit of a child that nobody traces is no news for the host.
    assert!(family.bench.ends().is_empty());
}

#[test]
fn names_are_seen_as_the_flags_say() {
    let mut family = Family::new();
    assert_eq!(family.path_call(nr::CHDIR, "/bin"), 0);
    let child = family.child(&["patchwork"], 0);
    assert_eq!(family.start(child).rip, ENTRY);
    assert!(family.bench.kernel.kill(child));
    let child = family.child(&["patchwork"], EMPTY_NS);
    assert_eq!(family.start(child).rip, ENTRY);
    assert!(family.bench.kernel.kill(child));
    let child = family.child(&["bin/patchwork"], EMPTY_CWD);
    assert_eq!(family.start(child).rip, ENTRY);
    assert!(family.bench.kernel.kill(child));
    let child = family.child(&["bin/patchwork"], EMPTY_CWD | EMPTY_NS);
    assert_eq!(family.start(child).rip, ENTRY);
    assert!(family.bench.kernel.kill(child));
    assert_eq!(family.fails("patchwork", EMPTY_CWD), 2);
    assert_eq!(family.fails("/bin/patchwork", EMPTY_NS), 2);
}

#[test]
fn an_executable_that_may_only_be_read_is_loaded_and_nothing_more() {
    let mut family = Family::new();
    let bin = family.path_call(nr::OPEN, "/bin:directory:read");
    family.bench.poke(family.parent, STRINGS, b"/tmp\0");
    assert_eq!(family.call(nr::BIND, &[bin, STRINGS, 0]), 0);
    assert_eq!(family.fails("/tmp/patchwork:write", 0), 13);
    let child = family.child(&["/tmp/patchwork"], 0);
    assert_eq!(family.start(child).rip, ENTRY);
}

#[test]
fn binds_are_passed_on_between_parent_and_child() {
    const TO_PARENT: u64 = 1;
    const TO_CHILDREN: u64 = 2;
    let mut family = Family::new();
    let bin = family.path_call(nr::OPEN, "/bin:directory");
    // Neither has bound anything when the child is made.
    let (parent, child) = (family.parent, family.child(&["/bin/patchwork"], 0));
    family.start(child);
    family.pass(parent);
    family.bench.poke(child, STRINGS, b"/tmp/patchwork\0");
    family.pass(parent);
    assert_eq!(family.bench.call(child, nr::OPEN, &[STRINGS]), ERR);
    family.bench.poke(parent, STRINGS, b"/tmp\0");
    family.pass(child);
    assert_eq!(family.call(nr::BIND, &[bin, STRINGS, TO_CHILDREN]), 0);
    assert_ne!(family.bench.call(child, nr::OPEN, &[STRINGS]), ERR);
    // And the other way.
    family.bench.poke(parent, STRINGS, b"/var/patchwork\0");
    family.bench.poke(child, BUFFER, b"/var\0");
    family.pass(parent);
    let bound = family
        .bench
        .call(child, nr::BIND, &[bin, BUFFER, TO_PARENT]);
    assert_eq!(bound, 0);
    assert_ne!(family.call(nr::OPEN, &[STRINGS]), ERR);
}

#[test]
fn a_suspended_child_waits_to_be_started() {
    let mut family = Family::new();
    let child = family.child(&["/bin/patchwork"], SUSPEND);
    family.pass(family.parent);
    assert!(!family.bench.process(child).loaded);
    assert_eq!(family.bench.kernel.start_child(child), Ok(()));
    assert!(family.bench.kernel.start_child(child).is_err(), "once only");
    family.pass(family.parent);
    assert_eq!(family.start(child).rip, ENTRY);
    assert!(family.bench.kernel.start_child(child).is_err());
    let parent = family.parent;
    assert!(family.bench.kernel.start_child(parent).is_err());
}

#[test]
fn output_goes_where_the_hosts_program_writes() {
    let mut family = Family::new();
    let child = family.child(&["/bin/patchwork"], 0);
    family.start(child);
    family.pass(family.parent);
    family.bench.poke(child, BUFFER, b"from below");
    family.pass(family.parent);
    assert_eq!(family.bench.call(child, nr::WRITE, &[1, BUFFER, 10]), 10);
    assert_eq!(family.bench.output(1, 1), b"from below");
    assert!(family.bench.output(2, 1).is_empty());
}

#[test]
fn a_child_is_traced_and_limited_as_its_parent_is() {
    let mut bench = Bench::new();
    let asked = SpawnRequest {
        traced: true,
        frames_max: 40,
        ..request("patchwork")
    };
    let parent = bench.kernel.spawn(&asked).unwrap();
    let mut family = Family { bench, parent };
    let child = family.child(&["/bin/xeneva"], 0);
    family.start(child);
    assert_eq!(family.bench.process(child).space.frames_max(), 40);
    let told = &family.bench.kernel.host.children;
    assert_eq!(told[..], [(2, 1, Abi::Xeneva, b"/bin/xeneva".to_vec())]);
    family.pass(family.parent);
    family
        .bench
        .script(child, [call(Abi::Xeneva, xeneva::nr::ProcessExit, &[])]);
    assert!(family.bench.turn());
    let last = family.bench.kernel.host.traces.last().unwrap();
    assert_eq!((last.process, last.abi), (2, Abi::Xeneva));
    assert_eq!(family.bench.ends(), [(2, Cause::Exit, 0)]);
    // One that cannot be loaded is told of too.
    assert_eq!(family.fails("/bin/none", 0), 2);
    let (number, maker, abi, program) = family.bench.kernel.host.children.last().unwrap();
    assert_eq!((*number, *maker, *abi), (3, 1, Abi::Patchwork));
    assert_eq!(program, b"/bin/none");
}
