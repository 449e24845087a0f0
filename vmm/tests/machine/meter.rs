//! Golden counts: what the meter says of code that was counted by hand.
//!
//! Each test names the rule of `mayfly_vmm::meter` that it holds.

use iced_x86::code_asm::{
    CodeAssembler, al, ax, cr3, dword_ptr, dx, eax, ecx, edx, ptr, r15, rax, rdi, rsi, rsp, ss,
};
use mayfly_machine::layout;
use mayfly_vmm::{Stop, Vm, meter};

use crate::common::{exit, run, runs_ring_0_itself, small, soon};
use crate::ring3::{Builder, Places, SCRATCH, skip_ud2};

/// Runs a kernel whose fault handler is `handler` on a program that faults
/// three times with EAX 1, 2, 3, and returns the visits.
pub(crate) fn visits_with(
    handler: impl FnOnce(&mut CodeAssembler),
    config: impl FnOnce(&Places) -> meter::Config,
) -> Vec<meter::Visit> {
    let mut b = Builder::new();
    b.handler(6);
    b.place("fault");
    handler(&mut b.a);
    skip_ud2(&mut b.a);
    b.place("leave");
    b.a.iretq().unwrap();
    b.handler(13);
    exit(&mut b.a, 3);
    let (kernel, places) = b.build(|a| {
        for n in 1..=3 {
            a.mov(eax, n).unwrap();
            a.ud2().unwrap();
        }
        // Not allowed in ring 3: ends the test.
        a.hlt().unwrap();
    });
    let mut vm = Vm::new(&small(), &kernel, &[]).unwrap();
    vm.meter(Some(config(&places))).unwrap();
    assert_eq!(run(&mut vm), Stop::Exit(3));
    vm.take_visits()
}

/// What to count of a kernel with the places `enter` and `leave`; `fault` is where
/// it is entered, which hosts with VT-x or SVM must be told.
pub(crate) fn exits(places: &Places) -> meter::Config {
    let entry = places.get("fault").filter(|_| runs_ring_0_itself());
    meter::Config {
        exits: vec![places["enter"], places["leave"]],
        entries: entry.into_iter().copied().collect(),
        ..meter::Config::default()
    }
}

/// Counts of the three visits of a handler, less the two instructions that
/// every handler ends with.
fn counts(handler: impl Fn(&mut CodeAssembler)) -> Vec<u64> {
    let visits = visits_with(handler, exits);
    visits.iter().map(|visit| visit.instructions - 2).collect()
}

#[test]
fn plain_instructions_count_one_each() {
    for n in [0, 1, 10] {
        let counted = counts(|a| (0..n).for_each(|_| a.nop().unwrap()));
        assert_eq!(counted, [n, n, n]);
    }
}

#[test]
fn a_string_instruction_counts_once_however_long_it_is() {
    for length in [0, 1, 100, 5000] {
        let counted = counts(|a| {
            a.mov(rdi, SCRATCH).unwrap();
            a.mov(rsi, SCRATCH + 0x4000).unwrap();
            a.mov(ecx, length).unwrap();
            a.rep().movsb().unwrap();
            a.nop().unwrap();
        });
        assert_eq!(counted, [5, 5, 5], "{length} bytes");
    }
}

#[test]
fn an_instruction_that_jumps_to_itself_counts_each_time() {
    let counted = counts(|a| {
        a.mov(ecx, 7).unwrap();
        let mut again = a.create_label();
        a.set_label(&mut again).unwrap();
        a.loop_(again).unwrap();
    });
    assert_eq!(counted, [8, 8, 8]);
}

#[test]
fn device_accesses_count_once() {
    let counted = counts(|a| {
        a.mov(edx, 0x99).unwrap();
        a.out(dx, al).unwrap();
        a.out(dx, al).unwrap();
        a.in_(al, dx).unwrap();
        a.mov(r15, layout::DIRECT_MAP_BASE + layout::IOAPIC_BASE)
            .unwrap();
        a.mov(dword_ptr(r15), 1).unwrap();
        a.mov(dword_ptr(r15), 1).unwrap();
        a.mov(eax, dword_ptr(r15)).unwrap();
        a.mov(rsi, SCRATCH).unwrap();
        a.mov(ecx, 3).unwrap();
        a.rep().outsb().unwrap();
        a.nop().unwrap();
    });
    assert_eq!(counted, [12, 12, 12]);
}

#[test]
fn privileged_instructions_count_one_each() {
    let counted = counts(|a| {
        a.cpuid().unwrap();
        a.mov(ecx, 0xc000_0080_u32).unwrap();
        a.rdmsr().unwrap();
        a.wrmsr().unwrap();
        a.mov(rax, cr3).unwrap();
        a.mov(cr3, rax).unwrap();
        a.swapgs().unwrap();
        a.swapgs().unwrap();
        a.pushfq().unwrap();
        a.popfq().unwrap();
    });
    assert_eq!(counted, [10, 10, 10]);
}

#[test]
fn instructions_without_a_stop_of_their_own_count() {
    // In the middle, in a row, and first thing in the handler.
    let counted = counts(|a| {
        a.swapgs().unwrap();
        a.lfence().unwrap();
        a.swapgs().unwrap();
        a.push(rax).unwrap();
        a.mov(rax, SCRATCH).unwrap();
        a.fxsave64(ptr(rax)).unwrap();
        a.fxrstor64(ptr(rax)).unwrap();
        a.mfence().unwrap();
        a.mov(ax, ss).unwrap();
        a.mov(ss, ax).unwrap();
        a.pop(rax).unwrap();
        a.nop().unwrap();
    });
    assert_eq!(counted, [12, 12, 12]);
}

#[test]
fn an_exit_behind_an_instruction_without_a_stop_is_seen() {
    let mut b = Builder::new();
    b.handler(6);
    b.place("fault");
    b.a.swapgs().unwrap();
    skip_ud2(&mut b.a);
    b.a.swapgs().unwrap();
    b.place("leave");
    b.a.iretq().unwrap();
    b.handler(13);
    exit(&mut b.a, 3);
    let (kernel, places) = b.build(|a| {
        a.ud2().unwrap();
        a.ud2().unwrap();
        a.hlt().unwrap();
    });
    let mut vm = Vm::new(&small(), &kernel, &[]).unwrap();
    vm.meter(Some(exits(&places))).unwrap();
    assert_eq!(run(&mut vm), Stop::Exit(3));
    let visits = vm.take_visits();
    let counted: Vec<_> = visits.iter().map(|visit| visit.instructions).collect();
    assert_eq!(counted, [4, 4]);
    assert!(visits.iter().all(|v| v.leave_rip == places["leave"]));
}

#[test]
fn a_fault_in_the_kernel_belongs_to_the_visit() {
    // The handler faults itself unless EAX is 9.
    let visits = visits_with(
        |a| {
            let mut done = a.create_label();
            a.cmp(eax, 9).unwrap();
            a.je(done).unwrap();
            a.mov(eax, 9).unwrap();
            a.ud2().unwrap();
            a.set_label(&mut done).unwrap();
            a.zero_bytes().unwrap();
        },
        exits,
    );
    // Outer: CMP JE MOV [UD2 faults] ... ADD IRETQ; inner: CMP JE ADD IRETQ.
    let counted: Vec<_> = visits.iter().map(|visit| visit.instructions).collect();
    assert_eq!(counted, [9, 9, 9]);
}

#[test]
fn a_visit_tells_what_came_in_and_what_went_out() {
    let visits = visits_with(
        |a| {
            a.nop().unwrap();
            a.add(eax, 0x100).unwrap();
        },
        exits,
    );
    let entered: Vec<_> = visits.iter().map(|visit| visit.enter.rax).collect();
    let results: Vec<_> = visits.iter().map(|visit| visit.result_rax).collect();
    assert_eq!(entered, [1, 2, 3]);
    assert_eq!(results, [0x101, 0x102, 0x103]);
    assert!(visits.iter().all(|v| v.cr3 == layout::PAGE_TABLES));
    assert!(visits.iter().all(|v| v.halts == 0 && !v.partial));
}

#[test]
fn recorded_addresses_are_those_of_the_instructions() {
    let (mut fault, mut leave) = (0, 0);
    let visits = visits_with(
        |a| {
            a.swapgs().unwrap();
            a.nop().unwrap();
            a.swapgs().unwrap();
        },
        |places| {
            (fault, leave) = (places["fault"], places["leave"]);
            meter::Config {
                record: Some(8),
                ..exits(places)
            }
        },
    );
    // SWAPGS (3 bytes), NOP (1), SWAPGS, ADD (5), IRETQ.
    for visit in visits {
        assert_eq!(
            visit.rips,
            [fault, fault + 3, fault + 4, fault + 7, fault + 12]
        );
        assert_eq!(visit.leave_rip, leave);
    }
}

#[test]
fn no_more_addresses_are_recorded_than_asked_for() {
    let visits = visits_with(
        |a| (0..20).for_each(|_| a.nop().unwrap()),
        |places| meter::Config {
            record: Some(5),
            ..exits(places)
        },
    );
    assert!(visits.iter().all(|v| v.rips.len() == 5));
    assert!(visits.iter().all(|v| v.instructions == 22));
}

#[test]
fn the_boot_counts_from_its_first_instruction() {
    let mut counts = Vec::new();
    for _ in 0..5 {
        let (kernel, places) = Builder::new().build(|a| a.nop().unwrap());
        let mut vm = Vm::new(&small(), &kernel, &[]).unwrap();
        vm.meter(Some(meter::Config {
            boot: true,
            ..exits_of(&places, &["enter"])
        }))
        .unwrap();
        // The program runs into zeros and faults without a handler.
        assert!(matches!(run(&mut vm), Stop::Crash(_)));
        let boot = vm.take_visits().remove(0);
        assert!(boot.partial);
        counts.push(boot.instructions);
    }
    // Five pushes and the IRETQ.
    assert_eq!(counts, [Builder::SET_UP + 6; 5]);
}

#[test]
fn without_boot_the_rest_of_a_visit_does_not_count() {
    let visits = visits_with(|a| a.nop().unwrap(), exits);
    assert_eq!(visits.len(), 3);
    let (kernel, places) = Builder::new().build(|a| a.nop().unwrap());
    let mut vm = Vm::new(&small(), &kernel, &[]).unwrap();
    vm.meter(Some(exits_of(&places, &["enter"]))).unwrap();
    assert!(matches!(run(&mut vm), Stop::Crash(_)));
    assert_eq!(vm.take_visits(), []);
    assert_eq!(vm.instructions(), 0);
}

#[test]
fn counting_again_counts_the_same() {
    let handler = |a: &mut CodeAssembler| {
        a.mov(rdi, SCRATCH).unwrap();
        a.mov(ecx, 2000).unwrap();
        a.rep().stosq().unwrap();
        a.push(rax).unwrap();
        a.pop(rax).unwrap();
        a.mov(rax, rsp).unwrap();
    };
    let first = counts(handler);
    for _ in 0..100 {
        assert_eq!(counts(handler), first);
    }
}

#[test]
fn the_meter_can_be_switched_off_and_keeps_its_total() {
    let mut vm = crate::common::vm(|a| {
        a.nop().unwrap();
        a.nop().unwrap();
        a.mov(edx, 0x3f8).unwrap();
        a.mov(al, i32::from(b'\n')).unwrap();
        a.out(dx, al).unwrap();
        a.nop().unwrap();
        exit(a, 1);
    });
    vm.meter(Some(meter::Config {
        boot: true,
        ..meter::Config::default()
    }))
    .unwrap();
    assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
    vm.meter(None).unwrap();
    assert_eq!(run(&mut vm), Stop::Exit(1));
    // Where the processor runs ring 0 itself, the OUT was not over then.
    assert_eq!(vm.instructions(), 5 - u64::from(runs_ring_0_itself()));
}

fn exits_of(places: &Places, names: &[&str]) -> meter::Config {
    meter::Config {
        exits: names.iter().map(|name| places[name]).collect(),
        ..meter::Config::default()
    }
}
