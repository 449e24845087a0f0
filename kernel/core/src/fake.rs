//! A machine and a host in ordinary memory, for the tests of this crate.
//!
//! Purpose: [`FakeMachine`] keeps the promises that [`port`](crate::port) makes,
//! and panics when core breaks one of its own: a frame given back twice or
//! while it is mapped, a frame of another space or a writable file page mapped,
//! user memory accessed while no space is loaded, a thread run that was not
//! loaded. Frame numbers never come again, so that a stale one is found out.
//! What ring 3 does is a script per address space. Neighbours, for tests only:
//!
//! - [`bench`]: a kernel over this machine, with programs, and its leak check.
//! - `copies`: user memory. `frames`: which there are. `objects`: those that no tables own. `host`: what the host was told, and the memory that it shares with the machine.
//! - [`image`]: builds executables and bundles. `tables`: what page tables hold.

pub mod bench;
mod copies;
mod frames;
mod host;
pub mod image;
mod objects;
mod tables;

pub use host::{FakeHost, Ram};
use objects::Objects;
use tables::TablesState;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::frame::TrapFrame;
use crate::port::{
    Access, Contents, CopyFault, DeadFrames, FrameList, Machine, NoFrames, PAGE_BYTES, PAGE_SIZE,
    PageFrame, Port, Reason, USER_END,
};

/// A kernel of fakes.
#[derive(Debug)]
pub enum FakePort {}

impl Port for FakePort {
    type Machine = FakeMachine;
    type Host = FakeHost;
}

/// One thing that ring 3 does until it traps.
pub type Step = Box<dyn FnOnce(&mut FakeMachine, &mut TrapFrame) -> Reason>;

/// Page tables of an address space.
pub struct FakeTables(Rc<RefCell<TablesState>>);

/// Registers of a thread.
pub struct FakeContext {
    id: u64,
    frame: TrapFrame,
    /// Stands for the vector registers: what they were when last saved.
    vector: u64,
}

/// The processor and its memory.
pub struct FakeMachine {
    /// Memory.
    pub ram: Rc<RefCell<Ram>>,
    /// Frames that the machine has in all.
    pub total: u64,
    /// Allocations that still succeed.
    pub allocations_left: u64,
    /// What [`Machine::heap_low`] answers.
    pub heap_low: bool,
    /// What [`Machine::heap_full`] answers.
    pub heap_full: bool,
    /// Nanoseconds since boot.
    pub now: u64,
    /// Unix time at boot.
    pub epoch: u64,
    /// What the timer was last set to.
    pub armed: Option<u64>,
    /// Address of the last page fault.
    pub fault_address: u64,
    /// The vector registers, as one number.
    pub vector: u64,
    /// User copies count whole words only, as the copy routine of `kernel/arch` does.
    pub whole_words: bool,
    /// User addresses that were read, in order: address and length of every copy.
    pub user_reads: Vec<(u64, usize)>,
    /// What ring 3 does, by root of the address space.
    pub scripts: HashMap<u64, VecDeque<Step>>,
    /// Registers that scripts noted.
    pub seen: Vec<TrapFrame>,
    objects: Objects,
    ticks: Cell<u64>,
    running: Option<Rc<RefCell<TablesState>>>,
    loaded: u64,
    contexts: u64,
}

impl FakeMachine {
    /// A machine of `total` frames, and the host that sees its memory.
    pub fn new(total: u64) -> (Self, FakeHost) {
        let ram = Rc::new(RefCell::new(Ram::default()));
        let host = FakeHost::new(&ram);
        let machine = Self {
            ram,
            total,
            allocations_left: u64::MAX,
            heap_low: false,
            heap_full: false,
            now: 0,
            epoch: 0,
            armed: None,
            fault_address: 0,
            vector: 0,
            whole_words: false,
            user_reads: Vec::new(),
            scripts: HashMap::new(),
            seen: Vec::new(),
            objects: Objects::default(),
            ticks: Cell::new(0),
            running: None,
            loaded: 0,
            contexts: 0,
        };
        (machine, host)
    }

    /// Puts a file at a page boundary of memory; says where.
    pub fn add_file(&mut self, bytes: &'static [u8]) -> PageFrame {
        self.ram.borrow_mut().add_file(bytes)
    }
}

impl Machine for FakeMachine {
    type Context = FakeContext;
    type Tables = FakeTables;

    fn context(&mut self) -> FakeContext {
        self.contexts += 1;
        FakeContext {
            id: self.contexts,
            frame: TrapFrame::default(),
            vector: 0,
        }
    }

    fn registers(context: &FakeContext) -> &TrapFrame {
        &context.frame
    }

    fn registers_mut(context: &mut FakeContext) -> &mut TrapFrame {
        &mut context.frame
    }

    fn switch(
        &mut self,
        previous: Option<&mut FakeContext>,
        next: &FakeContext,
        tables: &FakeTables,
    ) {
        if let Some(previous) = previous {
            assert_eq!(
                previous.id, self.loaded,
                "only the loaded thread can be saved"
            );
            previous.vector = self.vector;
        }
        self.vector = next.vector;
        self.loaded = next.id;
        self.running = Some(Rc::clone(&tables.0));
    }

    fn run(&mut self, context: &mut FakeContext) -> Reason {
        assert_eq!(context.id, self.loaded, "a thread runs that was not loaded");
        let running = self
            .running
            .as_ref()
            .expect("a thread runs without a space");
        let root = running.borrow().root.address();
        let script = self.scripts.get_mut(&root);
        let step = script.and_then(VecDeque::pop_front);
        let step = step.expect("ring 3 runs though its script is over");
        step(self, &mut context.frame)
    }

    fn fault_address(&self) -> u64 {
        self.fault_address
    }

    fn frames_free(&self) -> u64 {
        self.total - self.frames_used()
    }

    fn frames(&self) -> u64 {
        self.total
    }

    fn heap_used(&self) -> u64 {
        0
    }

    fn heap_low(&self) -> bool {
        self.heap_low
    }

    fn heap_full(&self) -> bool {
        self.heap_full
    }

    fn tables(&mut self) -> Result<FakeTables, NoFrames> {
        let mut state = TablesState::default();
        state.root = self.allocate(&mut state, 0)?;
        let state = Rc::new(RefCell::new(state));
        self.objects.watch(&state);
        Ok(FakeTables(state))
    }

    fn root(tables: &FakeTables) -> u64 {
        tables.0.borrow().root.address()
    }

    fn owned(tables: &FakeTables) -> u64 {
        tables.0.borrow().owned.len() as u64
    }

    fn release(&mut self, tables: FakeTables) {
        let state = tables.0.borrow();
        for frame in &state.owned {
            let freed = self.ram.borrow_mut().pages.remove(frame);
            assert!(freed.is_some(), "{frame:?} is given back twice");
        }
        self.scripts.remove(&state.root.address());
        self.running
            .take_if(|running| Rc::ptr_eq(running, &tables.0));
    }

    fn page(&mut self, tables: &mut FakeTables, contents: Contents) -> Result<PageFrame, NoFrames> {
        self.allocate(&mut tables.0.borrow_mut(), objects::fill(contents))
    }

    fn object_page(
        &mut self,
        list: &mut FrameList,
        contents: Contents,
    ) -> Result<PageFrame, NoFrames> {
        let frame = self.new_frame(objects::fill(contents))?;
        self.objects.add(list, frame);
        Ok(frame)
    }

    fn dead_frames(&self) -> &Rc<DeadFrames> {
        &self.objects.dead
    }

    fn reap(&mut self) {
        let mut ram = self.ram.borrow_mut();
        self.objects.reap(|frame| {
            let freed = ram.pages.remove(&frame);
            assert!(freed.is_some(), "{frame:?} is given back twice");
        });
    }

    fn free_page(&mut self, tables: &mut FakeTables, frame: PageFrame) {
        let mut state = tables.0.borrow_mut();
        let mapped = state.pages.values().any(|(mapped, _)| *mapped == frame);
        assert!(!mapped, "{frame:?} is given back while it is mapped");
        let table = frame == state.root || state.lower.values().any(|table| *table == frame);
        assert!(!table, "{frame:?} is given back while it is a table");
        assert!(state.owned.remove(&frame), "{frame:?} is not of this space");
        self.ram.borrow_mut().pages.remove(&frame);
    }

    fn map(
        &mut self,
        tables: &mut FakeTables,
        address: u64,
        frame: PageFrame,
        access: Access,
    ) -> Result<(), NoFrames> {
        assert!(address.is_multiple_of(PAGE_SIZE) && address < USER_END);
        let mut state = tables.0.borrow_mut();
        let own = state.owned.contains(&frame);
        let file = !access.write && self.ram.borrow().file_page(frame).is_some();
        assert!(
            own || file || self.objects.has(frame),
            "{frame:?} is mapped with {access:?} where it does not belong"
        );
        for level in [3, 2, 1] {
            let key = (level, address >> (12 + 9 * level));
            if !state.lower.contains_key(&key) {
                let table = self.allocate(&mut state, 0)?;
                state.lower.insert(key, table);
            }
        }
        state.pages.insert(address, (frame, access));
        Ok(())
    }

    fn unmap(&mut self, tables: &mut FakeTables, address: u64) -> Option<PageFrame> {
        let page = address & !(PAGE_SIZE - 1);
        let mut state = tables.0.borrow_mut();
        let (frame, _) = state.pages.remove(&page)?;
        for table in state.trim(page) {
            self.ram.borrow_mut().pages.remove(&table);
        }
        Some(frame)
    }

    fn protect(&mut self, tables: &mut FakeTables, address: u64, access: Access) {
        let mut state = tables.0.borrow_mut();
        let page = state.pages.get_mut(&(address & !(PAGE_SIZE - 1)));
        let Some((frame, old)) = page else { return };
        *old = access;
        let file = self.ram.borrow().file_page(*frame).is_some();
        assert!(
            !file || !access.write,
            "{frame:?} of a file becomes writable"
        );
    }

    fn next_page(&self, tables: &FakeTables, start: u64, end: u64) -> Option<(u64, PageFrame)> {
        let state = tables.0.borrow();
        let (page, (frame, _)) = state.pages.range(start..end).next()?;
        Some((*page, *frame))
    }

    fn lookup(&self, tables: &FakeTables, address: u64) -> Option<(PageFrame, Access)> {
        let page = address & !(PAGE_SIZE - 1);
        tables.0.borrow().pages.get(&page).copied()
    }

    fn copy_frame(&mut self, from: PageFrame, to: PageFrame) {
        assert_ne!(from, to, "a frame is copied to itself");
        let mut bytes = [0; PAGE_BYTES];
        self.read_frame(from, 0, &mut bytes);
        self.write_frame(to, 0, &bytes);
    }

    fn write_frame(&mut self, frame: PageFrame, offset: usize, bytes: &[u8]) {
        let mut ram = self.ram.borrow_mut();
        let page = ram
            .pages
            .get_mut(&frame)
            .expect("a write to a frame that is not in use");
        page[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read_frame(&self, frame: PageFrame, offset: usize, buffer: &mut [u8]) {
        self.ram.borrow().read(frame, offset, buffer);
    }

    fn read_user(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), CopyFault> {
        self.user_reads.push((address, buffer.len()));
        self.user_copy(address, buffer.len(), false, |ram, frame, offset, range| {
            ram.read(frame, offset, &mut buffer[range]);
        })
    }

    fn write_user(&mut self, address: u64, bytes: &[u8]) -> Result<(), CopyFault> {
        self.user_copy(address, bytes.len(), true, |ram, frame, offset, range| {
            let page = ram.pages.get_mut(&frame).expect("writable pages are RAM");
            page[offset..offset + range.len()].copy_from_slice(&bytes[range]);
        })
    }

    fn ticks(&self) -> u64 {
        self.ticks.set(self.ticks.get() + 1);
        self.ticks.get()
    }

    fn nanoseconds(&self, ticks: u64) -> u64 {
        ticks
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn boot_epoch(&self) -> u64 {
        self.epoch
    }

    fn arm_timer(&mut self, deadline: Option<u64>) {
        self.armed = deadline;
    }
}
