//! What a visit tells beside its count: whose it was, and where it went.
//!
//! Neighbours: `meter` has the counts.

use iced_x86::code_asm::{cr3, eax, ecx, rax, rdi, rsi};
use mayfly_machine::layout;
use mayfly_vmm::meter;

use crate::common::DATA_PHYSICAL;
use crate::meter::{exits, visits_with};
use crate::ring3::{SCRATCH, USER, USER_STACK};

/// Page tables that are a copy of the first ones.
const COPY: u64 = DATA_PHYSICAL + 0x2_0000;

#[test]
fn instructions_belong_to_the_address_space_they_run_in() {
    let visits = visits_with(
        |a| {
            a.mov(rsi, layout::DIRECT_MAP_BASE + layout::PAGE_TABLES)
                .unwrap();
            a.mov(rdi, SCRATCH).unwrap();
            a.mov(ecx, 512).unwrap();
            a.rep().movsq().unwrap();
            a.mov(rax, COPY).unwrap();
            a.mov(cr3, rax).unwrap();
            a.nop().unwrap();
            a.nop().unwrap();
            a.mov(eax, layout::PAGE_TABLES as u32).unwrap();
            a.mov(cr3, rax).unwrap();
        },
        exits,
    );
    let part = |root, instructions| meter::Part { root, instructions };
    for visit in &visits {
        assert_eq!(
            visit.parts,
            [part(layout::PAGE_TABLES, 6 + 2), part(COPY, 4)]
        );
        assert_eq!(visit.instructions, 12);
    }
    assert_eq!(visits.len(), 3);
}

#[test]
fn a_visit_tells_who_came_and_where_ring_3_goes_on() {
    let visits = visits_with(|a| a.nop().unwrap(), exits);
    for (number, visit) in (1..).zip(&visits) {
        assert_eq!(visit.vector, Some(6));
        assert_eq!(visit.user_rsp, USER_STACK);
        // MOV has 5 bytes, UD2 two.
        assert_eq!(visit.user_rip, USER + 7 * number - 2);
        assert_eq!(visit.left_to, (USER + 7 * number, USER_STACK));
    }
    assert_eq!(visits.len(), 3);
}

#[test]
fn instructions_of_stubs_are_counted_apart() {
    let visits = visits_with(
        |a| (0..5).for_each(|_| a.nop().unwrap()),
        |places| {
            let at = places["fault"];
            meter::Config {
                // Three of the five, one byte each.
                stubs: vec![at + 1..at + 2, at + 2..at + 4],
                ..exits(places)
            }
        },
    );
    assert!(visits.iter().all(|v| (v.instructions, v.stubs) == (7, 3)));
}
