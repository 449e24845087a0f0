//! Descriptors against a list of numbers and files.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MOST: usize = 10;

#[derive(Clone, Copy, Debug)]
enum Deed {
    Insert,
    Set(u64),
    Close(u64),
    Inherit(usize),
    Limit(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let handle = || prop_oneof![8 => 0..MOST as u64 + 2, 1 => Just(u64::MAX), 1 => Just(1 << 32)];
    let deed = prop_oneof![
        6 => Just(Deed::Insert),
        3 => handle().prop_map(Deed::Set),
        4 => handle().prop_map(Deed::Close),
        1 => (0..MOST + 2).prop_map(Deed::Inherit),
        1 => (1..=MOST).prop_map(Deed::Limit),
    ];
    proptest::collection::vec(deed, 0..80)
}

proptest! {
    #[test]
    fn descriptors_are_those_of_a_model(deeds in deeds()) {
        let mut handles = Handles::new(MOST);
        let mut most = MOST as u64;
        let mut model: BTreeMap<u64, FileRef> = BTreeMap::new();
        for deed in deeds {
            let file = OpenFile::new(Node::Null, Mode::ALL);
            match deed {
                Deed::Insert => {
                    let free = (0..most).find(|handle| !model.contains_key(handle));
                    let wanted = free.ok_or(KernelError::NoRoom);
                    prop_assert_eq!(handles.insert(Rc::clone(&file)), wanted);
                    model.extend(free.map(|handle| (handle, file)));
                }
                Deed::Set(handle) => {
                    let set = handles.set(handle, Some(Rc::clone(&file)));
                    prop_assert_eq!(set.is_ok(), handle < most);
                    if handle < most {
                        model.insert(handle, file);
                    }
                }
                Deed::Close(handle) => {
                    let closed = handles.close(handle).ok();
                    let wanted = model.remove(&handle);
                    prop_assert_eq!(closed.map(|it| Rc::as_ptr(&it)), wanted.map(|it| Rc::as_ptr(&it)));
                }
                Deed::Inherit(below) => {
                    handles = handles.inherited(below);
                    model.retain(|handle, _| *handle < below as u64);
                }
                Deed::Limit(limit) => {
                    most = limit as u64;
                    handles = handles.limited(limit);
                    model.retain(|handle, _| *handle < most);
                }
            }
            let files: Vec<_> = handles.iter().map(|(handle, it)| (handle, Rc::as_ptr(it))).collect();
            let wanted: Vec<_> = model.iter().map(|(handle, it)| (*handle, Rc::as_ptr(it))).collect();
            prop_assert_eq!(files, wanted);
            prop_assert_eq!(handles.is_full(), model.len() as u64 == most);
            prop_assert_eq!(handles.is_empty(), model.is_empty());
            prop_assert_eq!(handles.files.capacity(), super::ROOM, "it never grows");
            for handle in (0..MOST as u64 + 2).chain([u64::MAX]) {
                prop_assert_eq!(handles.get(handle).is_ok(), model.contains_key(&handle));
            }
        }
        // Nobody else holds what was closed or replaced.
        prop_assert!(model.values().all(|file| Rc::strong_count(file) == 2));
    }
}
