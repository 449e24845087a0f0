//! Ends of a machine: exit codes, halts, crashes, deadlines.

use std::time::{Duration, Instant};

use iced_x86::code_asm::{al, ax, byte_ptr, dx, eax, edx, rax};
use mayfly_machine::{exit, layout};
use mayfly_vmm::{CrashKind, Stop};

use crate::common::{CODE, crash, exit as exit_with, run, vm};

#[test]
fn an_exit_code_arrives() {
    let mut vm = vm(|a| exit_with(a, 0x1234_5678));
    assert_eq!(run(&mut vm), Stop::Exit(0x1234_5678));
}

#[test]
fn narrow_exit_codes_arrive() {
    let mut byte = vm(|a| {
        a.mov(edx, u32::from(exit::EXIT_PORT)).unwrap();
        a.mov(eax, 0xabcd_ef42_u32).unwrap();
        a.out(dx, al).unwrap();
    });
    assert_eq!(run(&mut byte), Stop::Exit(0x42));
    let mut word = vm(|a| {
        a.mov(edx, u32::from(exit::EXIT_PORT)).unwrap();
        a.mov(eax, 0xabcd_ef42_u32).unwrap();
        a.out(dx, ax).unwrap();
    });
    assert_eq!(run(&mut word), Stop::Exit(0xef42));
}

#[test]
fn a_machine_that_ended_says_so_again() {
    let mut vm = vm(|a| exit_with(a, 7));
    assert_eq!(run(&mut vm), Stop::Exit(7));
    assert_eq!(run(&mut vm), Stop::Exit(7));
}

#[test]
fn a_halt_with_interrupts_off_is_a_crash() {
    let mut vm = vm(|a| {
        a.cli().unwrap();
        a.hlt().unwrap();
    });
    assert_eq!(crash(&mut vm).what, CrashKind::DeadHalt);
}

#[test]
fn a_triple_fault_is_a_crash_where_it_happened() {
    let mut vm = vm(|a| {
        a.nop().unwrap();
        a.ud2().unwrap();
    });
    let crash = crash(&mut vm);
    assert_eq!(crash.what, CrashKind::TripleFault);
    assert_eq!(crash.registers.rip, CODE + 1);
}

#[test]
fn an_access_to_nowhere_is_a_crash_that_names_it() {
    let address = layout::DEVICE_WINDOW + 0x1238;
    let mut store = vm(|a| {
        a.mov(rax, layout::DIRECT_MAP_BASE + address).unwrap();
        a.mov(byte_ptr(rax), 1).unwrap();
    });
    assert_eq!(
        crash(&mut store).what,
        CrashKind::UnknownMmio {
            address,
            size: 1,
            write: true
        }
    );
    let mut load = vm(|a| {
        a.mov(rax, layout::DIRECT_MAP_BASE + address).unwrap();
        a.mov(rax, iced_x86::code_asm::qword_ptr(rax)).unwrap();
    });
    assert_eq!(
        crash(&mut load).what,
        CrashKind::UnknownMmio {
            address,
            size: 8,
            write: false
        }
    );
}

#[test]
fn an_unknown_port_reads_as_ones_and_ignores_writes() {
    let mut vm = vm(|a| {
        a.mov(edx, 0x99).unwrap();
        a.xor(eax, eax).unwrap();
        a.out(dx, eax).unwrap();
        a.in_(eax, dx).unwrap();
        a.mov(edx, u32::from(exit::EXIT_PORT)).unwrap();
        a.out(dx, eax).unwrap();
    });
    assert_eq!(run(&mut vm), Stop::Exit(u32::MAX));
    assert_eq!(vm.stats().unknown_ports, 2);
}

#[test]
fn an_instruction_that_cannot_be_emulated_ends_the_machine() {
    // XSAVE: emulated back ends give up with its bytes; real ones fault, and
    // without an IDT that is a triple fault.
    let mut vm = vm(|a| a.db(&[0x0f, 0xae, 0x20]).unwrap());
    match crash(&mut vm).what {
        CrashKind::TripleFault => {}
        CrashKind::InternalError { instruction, .. } => {
            assert_eq!(instruction[..3], [0x0f, 0xae, 0x20]);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_deadline_ends_a_spin_with_interrupts_off() {
    let mut vm = vm(|a| {
        a.cli().unwrap();
        let mut top = a.create_label();
        a.set_label(&mut top).unwrap();
        a.jmp(top).unwrap();
    });
    for _ in 0..2 {
        let start = Instant::now();
        match vm.run(start + Duration::from_millis(30)).unwrap() {
            Stop::Deadline(position) => {
                assert_eq!(position.rip, CODE + 1);
                assert_eq!(position.cpl, 0);
                assert!(!position.halted && !position.interrupts_enabled);
            }
            other => panic!("{other}"),
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(30), "too early: {took:?}");
        assert!(took < Duration::from_secs(5), "too late: {took:?}");
    }
}

#[test]
fn a_deadline_ends_a_halt_that_could_be_woken() {
    let mut vm = vm(|a| {
        a.sti().unwrap();
        a.hlt().unwrap();
    });
    // Longer than one look at the guest, which must not take it for dead.
    match vm.run(Instant::now() + Duration::from_millis(120)).unwrap() {
        Stop::Deadline(position) => assert!(position.halted && position.interrupts_enabled),
        other => panic!("{other}"),
    }
}

#[test]
fn a_deadline_in_the_past_runs_nothing() {
    let mut vm = vm(|a| exit_with(a, 1));
    let past = vm.run(Instant::now()).unwrap();
    assert!(matches!(past, Stop::Deadline(position) if position.rip == CODE));
    assert_eq!(run(&mut vm), Stop::Exit(1));
}
