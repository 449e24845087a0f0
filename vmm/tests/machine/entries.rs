//! Counting from breakpoints on, as where the processor runs ring 0 itself.
//!
//! Neighbours: `meter` has the counts, which are the same.

use iced_x86::code_asm::{CodeAssembler, al, dx, eax, edx, rax};
use mayfly_vmm::{Stop, Vm, meter};

use crate::common::{exit, run, small};
use crate::meter::{exits, visits_with};
use crate::ring3::{Builder, skip_ud2};

#[test]
fn breakpoints_at_the_entries_give_the_same_counts() {
    let handler = |a: &mut CodeAssembler| {
        a.mov(edx, 0x99).unwrap();
        a.out(dx, al).unwrap();
        a.nop().unwrap();
    };
    let stepped = visits_with(handler, exits);
    let broken = visits_with(handler, |places| meter::Config {
        entries: vec![places["fault"]],
        ..exits(places)
    });
    assert_eq!(stepped.len(), 3);
    for (stepped, broken) in stepped.iter().zip(&broken) {
        assert_eq!(stepped.instructions, broken.instructions);
        assert_eq!(stepped.enter.rax, broken.enter.rax);
    }
    assert_eq!(broken.len(), 3);
}

#[test]
fn a_breakpoint_where_handlers_come_together_gives_the_same_visits() {
    let visits = |at_junction: bool| {
        let mut b = Builder::new();
        let mut junction = b.a.create_label();
        b.handler(6);
        b.place("fault");
        b.a.push(rax).unwrap();
        b.a.mov(eax, 6 << 16).unwrap();
        b.a.jmp(junction).unwrap();
        b.handler(13);
        exit(&mut b.a, 3);
        b.place("junction");
        b.a.set_label(&mut junction).unwrap();
        b.a.nop().unwrap();
        b.a.pop(rax).unwrap();
        skip_ud2(&mut b.a);
        b.place("leave");
        b.a.iretq().unwrap();
        let (kernel, places) = b.build(|a| {
            a.ud2().unwrap();
            a.ud2().unwrap();
            a.hlt().unwrap();
        });
        let mut vm = Vm::new(&small(), &kernel, &[]).unwrap();
        let junction = meter::Junction {
            address: places["junction"],
            vector_shift: 16,
        };
        let config = meter::Config {
            junction: at_junction.then_some(junction),
            record: Some(8),
            ..exits(&places)
        };
        let config = match at_junction {
            // It is the only breakpoint.
            true => meter::Config {
                entries: Vec::new(),
                ..config
            },
            false => config,
        };
        vm.meter(Some(config)).unwrap();
        assert_eq!(run(&mut vm), Stop::Exit(3));
        let of = |it: meter::Visit| (it.vector, it.rips, it.user_rip, it.left_to);
        vm.take_visits().into_iter().map(of).collect::<Vec<_>>()
    };
    let stepped = visits(false);
    let all: Vec<_> = stepped.iter().map(|it| (it.0, it.1.len())).collect();
    assert_eq!(all, [(Some(6), 7), (Some(6), 7)]);
    assert_eq!(visits(true), stepped);
}
