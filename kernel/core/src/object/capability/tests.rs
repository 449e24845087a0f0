//! Tokens and their tree against a model, in any order of events.

mod model;

use super::tree::SENT_MAX;
use super::{Capabilities, Kind, Object, Rights, SLOTS_MAX, Tree};
use crate::error::KernelError;
use crate::object::process::{ProcessKey, ProcessMark};
use crate::object::stream::Stream;
use crate::slab::Table;

const CONSOLE: Object = Object::Device(Stream::Output);

/// Keys of so many processes.
fn holders(count: usize) -> Vec<ProcessKey> {
    let mut table: Table<ProcessMark, ()> = Table::default();
    (0..count).map(|_| table.reserve()).collect()
}

#[test]
fn a_token_is_found_and_its_neighbours_are_not() {
    let mut tree = Tree::default();
    let mut tokens = Capabilities::default();
    let holder = holders(1)[0];
    let rights = Rights::READ.and(Rights::WRITE);
    let token = tree
        .insert(holder, &mut tokens, CONSOLE, rights, None)
        .unwrap();
    assert_eq!(tokens.find(token).unwrap().object, CONSOLE);
    for bit in 0..64 {
        let other = tokens.find(token ^ 1 << bit);
        assert_eq!(other.unwrap_err(), KernelError::BadHandle);
    }
    for none in [0, u64::MAX, 1 << 63] {
        assert_eq!(tokens.find(none).unwrap_err(), KernelError::BadHandle);
    }
}

#[test]
fn the_kind_is_asked_before_the_rights() {
    let mut tree = Tree::default();
    let mut tokens = Capabilities::default();
    let token = tree.insert(holders(1)[0], &mut tokens, CONSOLE, Rights::READ, None);
    let token = token.unwrap();
    let check = |kind, rights| tokens.check(token, kind, rights).map(|_| ());
    assert_eq!(check(Kind::Device, Rights::READ), Ok(()));
    assert_eq!(
        check(Kind::Device, Rights::READ.and(Rights::WRITE)),
        Err(KernelError::NotPermitted)
    );
    assert_eq!(
        check(Kind::Process, Rights::WRITE),
        Err(KernelError::BadHandle)
    );
}

#[test]
fn messages_hold_only_a_part_of_all_capabilities() {
    let mut tree = Tree::default();
    let mut tokens = Capabilities::default();
    let holder = holders(1)[0];
    let token = tree.insert(holder, &mut tokens, CONSOLE, Rights::ALL, None);
    let parent = tokens.find(token.unwrap()).unwrap().node;
    let send = |tree: &mut Tree| tree.send_off(CONSOLE, Rights::READ, parent);
    let sent: Vec<_> = (0..SENT_MAX).map(|_| send(&mut tree).unwrap()).collect();
    assert_eq!(send(&mut tree), Err(KernelError::NoRoom));
    // One that is received makes room, and so does one that is revoked.
    let mut other = Capabilities::default();
    tree.deliver(sent[0], holder, &mut other).unwrap().unwrap();
    assert!(send(&mut tree).is_ok());
    assert_eq!(send(&mut tree), Err(KernelError::NoRoom));
    tree.take_leaf(sent[1]).unwrap();
    assert!(send(&mut tree).is_ok());
    assert_eq!(send(&mut tree), Err(KernelError::NoRoom));
    // All others can still be held.
    assert!(
        tree.insert(holder, &mut other, CONSOLE, Rights::ALL, None)
            .is_ok()
    );
}

#[test]
fn bit_63_is_clear_and_the_quota_holds() {
    let mut tree = Tree::default();
    let mut tokens = Capabilities::default();
    let holder = holders(1)[0];
    let mut insert =
        |tokens: &mut Capabilities| tree.insert(holder, tokens, CONSOLE, Rights::ALL, None);
    for _ in 1..SLOTS_MAX {
        let token = insert(&mut tokens).unwrap();
        assert!(token != 0 && token >> 63 == 0, "{token:#x}");
    }
    assert_eq!(tokens.len(), 1024);
    assert_eq!(insert(&mut tokens), Err(KernelError::NoRoom));
    // A slot that is free again is used again, under another token.
    let freed = tokens.clear(7).unwrap().token();
    let token = insert(&mut tokens).unwrap();
    assert_eq!(token & 0xffff, 7);
    assert_ne!(token, freed);
    assert!(tokens.find(freed).is_err());
}

#[test]
fn every_kind_has_its_published_code() {
    for (code, kind) in (0..).zip(Kind::ALL) {
        assert_eq!(kind as u64, code);
        assert_eq!(Kind::from_code(code), Some(kind));
    }
    for code in [11, 15, 16, 1 << 32, u64::MAX] {
        assert_eq!(Kind::from_code(code), None);
    }
}

#[test]
fn rights_are_8_bits() {
    assert_eq!(Rights::from_word(0), Some(Rights::NONE));
    assert_eq!(Rights::from_word(0xff), Some(Rights::ALL));
    for word in [0x100, 1 << 32, 1 << 63 | 1, u64::MAX] {
        assert_eq!(Rights::from_word(word), None, "{word:#x}");
    }
}
