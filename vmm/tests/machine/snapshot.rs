//! Machines made from others: what goes on, what is shared, what is refused.
//!
//! The guest says "x" and a newline on COM1 and counts that, in a register, in
//! a vector register, in a model-specific register and in memory; after the
//! fifth line it ends with their sum.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use iced_x86::code_asm::{
    CodeAssembler, al, dr0, dword_ptr, dx, eax, ecx, edx, esi, r14, rax, xmm3, xmmword_ptr,
};
use mayfly_vmm::{Config, Error, Module, Port, Snapshot, Stop, Vm};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::common::{DATA, DATA_PHYSICAL, kernel, small, soon, vm};

/// IA32_LSTAR, which KVM keeps for the guest.
const MSR: u32 = 0xc000_0082;
/// Lines that the guest writes.
const LINES: u32 = 5;
/// What it ends with after the last one: every count is right.
const END: u32 = 4 * LINES;

fn counting(a: &mut CodeAssembler) {
    let mut top = a.create_label();
    a.mov(r14, DATA).unwrap();
    a.xor(esi, esi).unwrap();
    a.set_label(&mut top).unwrap();
    // One more in each place.
    a.inc(esi).unwrap();
    a.inc(dword_ptr(r14)).unwrap();
    // By way of memory, which then forgets: KVM's emulator knows no MOVD.
    a.movups(xmmword_ptr(r14 + 64), xmm3).unwrap();
    a.inc(dword_ptr(r14 + 64)).unwrap();
    a.movups(xmm3, xmmword_ptr(r14 + 64)).unwrap();
    a.mov(dword_ptr(r14 + 64), 0).unwrap();
    a.mov(ecx, MSR).unwrap();
    a.rdmsr().unwrap();
    a.inc(eax).unwrap();
    a.wrmsr().unwrap();
    a.mov(edx, 0x3f8).unwrap();
    for byte in [b'x', b'\n'] {
        a.mov(al, i32::from(byte)).unwrap();
        a.out(dx, al).unwrap();
    }
    a.cmp(esi, 5).unwrap();
    a.jb(top).unwrap();
    // The sum is the exit code.
    a.mov(ecx, MSR).unwrap();
    a.rdmsr().unwrap();
    a.movups(xmmword_ptr(r14 + 64), xmm3).unwrap();
    a.add(eax, dword_ptr(r14 + 64)).unwrap();
    a.add(eax, esi).unwrap();
    a.add(eax, dword_ptr(r14)).unwrap();
    a.mov(edx, 0xf4).unwrap();
    a.out(dx, eax).unwrap();
}

/// A machine that has written `lines` lines.
fn after(lines: u32) -> Vm {
    let mut vm = vm(counting);
    for _ in 0..lines {
        assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
    }
    vm
}

/// Runs to the end: how many more lines there were.
fn finish(vm: &mut Vm) -> u32 {
    let mut lines = 0;
    loop {
        match vm.run(soon()).unwrap() {
            Stop::Output => lines += 1,
            stop => {
                assert_eq!(stop, Stop::Exit(END));
                return lines;
            }
        }
    }
}

fn count_in_memory(vm: &Vm) -> u8 {
    let mut byte = [0];
    vm.read_memory(DATA_PHYSICAL, &mut byte).unwrap();
    byte[0]
}

fn file() -> File {
    File::from(memfd_create("test", MFdFlags::empty()).unwrap())
}

#[test]
fn a_fork_goes_on_where_its_snapshot_was_taken() {
    for lines in 0..LINES {
        let mut first = after(lines);
        let snapshot = first.snapshot().unwrap();
        let mut forks = [(); 2].map(|()| snapshot.fork(&[]).unwrap());
        // The machine itself goes on, unseen by the forks.
        assert_eq!(finish(&mut first), LINES - lines);
        for fork in &mut forks {
            assert_eq!(count_in_memory(fork), lines as u8);
            assert_eq!(finish(fork), LINES - lines);
        }
        // What was not taken yet is in the fork as well, once in each.
        for mut vm in forks.into_iter().chain([first]) {
            assert_eq!(vm.take_serial(), b"x\n".repeat(LINES as usize));
        }
    }
}

#[test]
fn a_copy_that_did_not_run_is_where_its_snapshot_was_taken() {
    let mut first = after(2);
    let snapshot = first.snapshot().unwrap();
    let registers = first.registers().unwrap();
    let mut copy = snapshot.fork_to_reset(&[]).unwrap();
    // New, of others, and brought back.
    for _ in 0..2 {
        assert_eq!(copy.registers().unwrap(), registers);
        let mut byte = [0];
        copy.read_virtual(DATA, &mut byte).unwrap();
        assert_eq!(byte, [2]);
        let other = snapshot.fork(&[]).unwrap().snapshot().unwrap();
        assert_eq!(finish(&mut other.fork(&[]).unwrap()), LINES - 2);
        assert_eq!(finish(&mut copy), LINES - 2);
        copy.reset(&snapshot).unwrap();
    }
}

#[test]
fn a_machine_that_sleeps_goes_back_to_when_it_did_not() {
    let mut first = vm(|a| {
        let mut top = a.create_label();
        a.mov(edx, 0x3f8).unwrap();
        for byte in [b'x', b'\n'] {
            a.mov(al, i32::from(byte)).unwrap();
            a.out(dx, al).unwrap();
        }
        a.sti().unwrap();
        a.set_label(&mut top).unwrap();
        a.hlt().unwrap();
        a.jmp(top).unwrap();
    });
    let snapshot = first.snapshot().unwrap();
    let mut vm = snapshot.fork_to_reset(&[]).unwrap();
    for _ in 0..2 {
        assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
        match vm.run(Instant::now() + Duration::from_millis(20)).unwrap() {
            Stop::Deadline(position) => assert!(position.halted, "{position:?}"),
            stop => panic!("{stop:?}"),
        }
        vm.reset(&snapshot).unwrap();
    }
}

#[test]
fn a_machine_becomes_its_snapshot() {
    let snapshot = after(2).into_snapshot().unwrap();
    let mut fork = snapshot.fork(&[]).unwrap();
    assert_eq!(fork.run(soon()).unwrap(), Stop::Output);
    // A fork has pages of its own, which its snapshot has to copy.
    let second = fork.snapshot().unwrap();
    let third = fork.into_snapshot().unwrap();
    assert_eq!(finish(&mut second.fork(&[]).unwrap()), LINES - 3);
    assert_eq!(finish(&mut third.fork(&[]).unwrap()), LINES - 3);
    assert_eq!(finish(&mut snapshot.fork(&[]).unwrap()), LINES - 2);
}

#[test]
fn forks_are_the_same_on_every_thread_at_once() {
    let snapshot = after(1).into_snapshot().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(finish(&mut snapshot.fork(&[]).unwrap()), LINES - 1);
                }
            });
        }
    });
}

#[test]
fn bytes_that_wait_for_the_guest_are_kept() {
    let mut vm = after(1);
    vm.send(Port::Control, b"early").unwrap();
    let snapshot = vm.snapshot().unwrap();
    // As many again are too many for the limit below, in the fork too.
    let mut fork = snapshot.fork(&[]).unwrap();
    let most = Config::default().output_max;
    let refused = fork.send(Port::Control, &vec![0; most]).unwrap_err();
    assert!(matches!(refused, Error::InputFull { bytes, .. } if bytes == most + 5));
}

#[test]
fn a_fork_may_have_more_modules() {
    static MODULE: [Page; 1] = [Page([7; 4096])];
    #[repr(C, align(4096))]
    struct Page([u8; 4096]);
    let first = Module::Static(&MODULE[0].0);
    let vm = Vm::new(&small(), &kernel(counting), std::slice::from_ref(&first)).unwrap();
    let at = vm.modules()[0];
    let snapshot = vm.into_snapshot().unwrap();
    let fork = snapshot.fork(&[first]).unwrap();
    assert_eq!(fork.modules(), [at, (at.0 + 4096, 4096)]);
    for (address, _) in fork.modules() {
        let mut bytes = [0; 4];
        fork.read_memory(*address, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 4]);
    }
}

#[test]
fn a_saved_snapshot_comes_back() {
    let snapshot = after(3).into_snapshot().unwrap();
    let saved = file();
    snapshot.save(&saved, b"label").unwrap();
    let (loaded, label) = Snapshot::load(saved.try_clone().unwrap(), Vec::new()).unwrap();
    assert_eq!(label, b"label");
    assert_eq!(finish(&mut loaded.fork(&[]).unwrap()), LINES - 3);
    // Forks do not write to the file.
    assert_eq!(finish(&mut loaded.fork(&[]).unwrap()), LINES - 3);
    assert!(Snapshot::load(saved, Vec::new()).is_ok());
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let snapshot = after(3).into_snapshot().unwrap();
    let mut whole = file();
    snapshot.save(&whole, b"label").unwrap();
    let mut bytes = Vec::new();
    whole.seek(SeekFrom::Start(0)).unwrap();
    whole.read_to_end(&mut bytes).unwrap();
    let refused = |bytes: &[u8]| {
        let mut changed = file();
        changed.write_all(bytes).unwrap();
        match Snapshot::load(changed, Vec::new()) {
            Err(Error::Snapshot(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    // A bit of memory (the first page is zeros), of the state, and of the end.
    let ram = small().memory_bytes as usize;
    for at in [
        0,
        DATA_PHYSICAL as usize,
        ram + 10,
        bytes.len() - 9,
        bytes.len() - 48,
    ] {
        bytes[at] ^= 1;
        let why = refused(&bytes);
        assert!(why.starts_with("the file cannot be used: "), "{at}: {why}");
        bytes[at] ^= 1;
    }
    for length in [0, 1, 47, 48, ram, bytes.len() - 1] {
        refused(&bytes[..length]);
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    refused(&longer);
    // And unchanged, it is good.
    let mut same = file();
    same.write_all(&bytes).unwrap();
    assert!(Snapshot::load(same, Vec::new()).is_ok());
}

#[test]
fn other_modules_are_refused() {
    let saved = file();
    after(0).into_snapshot().unwrap().save(&saved, b"").unwrap();
    static PAGE: Aligned = Aligned([0; 4096]);
    #[repr(C, align(4096))]
    struct Aligned([u8; 4096]);
    let other = vec![Module::Static(&PAGE.0)];
    let error = Snapshot::load(saved, other).unwrap_err();
    assert!(error.to_string().contains("other modules"), "{error}");
}

#[test]
fn a_machine_that_has_ended_has_no_snapshot() {
    let mut vm = after(LINES);
    assert_eq!(finish(&mut vm), 0);
    let error = vm.snapshot().unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");
}

/// All of a machine's memory.
fn memory(vm: &Vm) -> Vec<u8> {
    let mut bytes = vec![0; small().memory_bytes as usize];
    vm.read_memory(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_machine_goes_back_as_often_as_it_is_told() {
    let snapshot = after(2).into_snapshot().unwrap();
    let pristine = memory(&snapshot.fork(&[]).unwrap());
    let mut vm = snapshot.fork_to_reset(&[]).unwrap();
    for lines in [0, 1, LINES - 2, 0, 2] {
        for _ in 0..lines {
            assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
        }
        vm.reset(&snapshot).unwrap();
        assert!(memory(&vm) == pristine, "after {lines} lines");
    }
    for _ in 0..3 {
        assert_eq!(finish(&mut vm), LINES - 2);
        assert_eq!(vm.take_serial(), b"x\n".repeat(LINES as usize));
        // It has ended, and is back before that.
        vm.reset(&snapshot).unwrap();
    }
}

#[test]
fn only_a_machine_that_was_made_for_it_goes_back() {
    let snapshot = after(2).into_snapshot().unwrap();
    let other = after(2).into_snapshot().unwrap();
    for mut vm in [after(0), snapshot.fork(&[]).unwrap()] {
        assert!(vm.reset(&snapshot).is_err());
    }
    let mut vm = snapshot.fork_to_reset(&[]).unwrap();
    assert!(vm.reset(&other).is_err());
    // And nothing has happened to it.
    assert_eq!(finish(&mut vm), LINES - 2);
}

#[test]
fn debug_registers_are_those_of_the_snapshot() {
    // Adds to one, says so, and ends with it.
    let add = |a: &mut CodeAssembler| {
        let mut top = a.create_label();
        a.set_label(&mut top).unwrap();
        a.mov(rax, dr0).unwrap();
        a.add(rax, 7).unwrap();
        a.mov(dr0, rax).unwrap();
        a.mov(edx, 0x3f8).unwrap();
        for byte in [b'x', b'\n'] {
            a.mov(al, i32::from(byte)).unwrap();
            a.out(dx, al).unwrap();
        }
        a.mov(rax, dr0).unwrap();
        a.cmp(eax, 14).unwrap();
        a.jb(top).unwrap();
        a.mov(edx, 0xf4).unwrap();
        a.out(dx, eax).unwrap();
    };
    let mut first = vm(add);
    // With nothing in it, and with an address that no breakpoint uses.
    for lines in [2, 1] {
        let snapshot = first.snapshot().unwrap();
        let mut vm = snapshot.fork_to_reset(&[]).unwrap();
        for _ in 0..3 {
            for _ in 0..lines {
                assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
            }
            assert_eq!(vm.run(soon()).unwrap(), Stop::Exit(14));
            vm.reset(&snapshot).unwrap();
        }
        assert_eq!(first.run(soon()).unwrap(), Stop::Output);
    }
}
