//! The port of `kernel/core`, on this processor.

use alloc::boxed::Box;
use alloc::rc::Rc;

use mayfly_core::frame::TrapFrame;
use mayfly_core::port::{
    Access, Contents, CopyFault, DeadFrames, FrameList, Machine, NoFrames, Owner, PAGE_BYTES,
    PAGE_SIZE, Page, PageFrame, Reason,
};

use crate::boot::{Boot, BootError, Epoch};
use crate::clock::{self, Clock};
use crate::frames::Frames;
use crate::paging::{self, Tables};
use crate::user::{self, UserContext};
use crate::{bases, direct, heap, trap, usercopy};

extern crate alloc;

/// Share of memory that the kernel's heap gets, and its bounds in frames.
const HEAP_SHARE: u64 = 8;
const HEAP_MAX: u64 = 64 << 20 >> 12;
/// No process's tables are in use.
const NO_ROOT: PageFrame = PageFrame(0);

/// The processor and its memory.
pub struct Hardware {
    frames: Frames,
    kernel_root: PageFrame,
    clock: Clock,
    epoch: Epoch,
    /// Unix time at some tick since the base, once a resume has told one.
    resumed_epoch: Option<(u64, u64)>,
    running_root: PageFrame,
}

impl Hardware {
    /// Takes over the memory that the loader left.
    ///
    /// # Errors
    /// [`BootError::NoMemory`].
    ///
    /// # Safety
    /// Called once, with what the loader said.
    pub unsafe fn new(boot: &Boot, clock: Clock, epoch: Epoch) -> Result<Self, BootError> {
        let (start, end) = boot.free_memory()?;
        // SAFETY: nothing else uses the memory (`free_memory`), and the direct
        // protocol promises zeros.
        let mut frames = unsafe { Frames::new(start, end, boot.direct) };
        let heap = (frames.free() / HEAP_SHARE).min(HEAP_MAX);
        let count = u32::try_from(heap).map_err(|_| BootError::NoMemory)?;
        let heap_start = frames.reserve(count).ok_or(BootError::NoMemory)?;
        // SAFETY: those frames were just reserved for good.
        unsafe { heap::initialise(heap_start, heap * PAGE_SIZE, boot.direct) };
        Ok(Self {
            frames,
            kernel_root: paging::kernel_root(),
            clock,
            epoch,
            resumed_epoch: None,
            running_root: NO_ROOT,
        })
    }

    /// The time base.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Lets the clock go on after a standstill: `elapsed` is what
    /// [`Clock::elapsed`] was, `epoch` the Unix time now, 0 for what it was.
    pub fn resume_clock(&mut self, elapsed: u64, epoch: u64) {
        self.clock.resume(elapsed);
        if epoch != 0 {
            self.resumed_epoch = Some((epoch, self.clock.elapsed()));
        }
    }
}

impl Machine for Hardware {
    type Context = Box<UserContext>;
    type Tables = Tables;

    fn context(&mut self) -> Box<UserContext> {
        UserContext::boxed()
    }

    #[inline(always)]
    fn registers(context: &Box<UserContext>) -> &TrapFrame {
        context.frame()
    }

    #[inline(always)]
    fn registers_mut(context: &mut Box<UserContext>) -> &mut TrapFrame {
        context.frame_mut()
    }

    fn name(context: &mut Box<UserContext>, owner: Owner) {
        context.name(owner);
    }

    #[inline(always)]
    fn switch(
        &mut self,
        previous: Option<&mut Box<UserContext>>,
        next: &Box<UserContext>,
        tables: &Tables,
    ) {
        if self.running_root != tables.root_frame() {
            self.running_root = tables.root_frame();
            tables.activate();
        }
        user::switch(
            bases::available(),
            previous.map(|context| &mut **context),
            next,
        );
    }

    #[inline(always)]
    fn run(&mut self, context: &mut Box<UserContext>) -> Reason {
        user::run(context)
    }

    fn fault_address(&self) -> u64 {
        trap::fault_address()
    }

    fn frames_free(&self) -> u64 {
        self.frames.free()
    }

    fn frames(&self) -> u64 {
        self.frames.total()
    }

    fn heap_used(&self) -> u64 {
        heap::used()
    }

    fn heap_low(&self) -> bool {
        heap::low()
    }

    fn heap_full(&self) -> bool {
        heap::full()
    }

    fn tables(&mut self) -> Result<Tables, NoFrames> {
        Tables::new(&mut self.frames, self.kernel_root)
    }

    fn root(tables: &Tables) -> u64 {
        tables.root()
    }

    fn owned(tables: &Tables) -> u64 {
        tables.owned()
    }

    fn most_owned(tables: &Tables) -> u64 {
        tables.most_owned()
    }

    fn release(&mut self, tables: Tables) {
        if self.running_root == tables.root_frame() {
            self.running_root = NO_ROOT;
            paging::activate_kernel(self.kernel_root);
        }
        tables.release(&mut self.frames);
    }

    fn page(&mut self, tables: &mut Tables, contents: Contents) -> Result<PageFrame, NoFrames> {
        tables.page(&mut self.frames, contents)
    }

    fn free_page(&mut self, tables: &mut Tables, frame: PageFrame) {
        tables.free_page(&mut self.frames, frame);
    }

    fn object_page(
        &mut self,
        list: &mut FrameList,
        contents: Contents,
    ) -> Result<PageFrame, NoFrames> {
        self.frames.allocate(list, contents)
    }

    fn dead_frames(&self) -> &Rc<DeadFrames> {
        self.frames.dead()
    }

    fn reap(&mut self) {
        self.frames.reap();
    }

    fn map(
        &mut self,
        tables: &mut Tables,
        address: u64,
        frame: PageFrame,
        access: Access,
    ) -> Result<(), NoFrames> {
        tables.map(&mut self.frames, address, frame, access)
    }

    fn unmap(&mut self, tables: &mut Tables, address: u64) -> Option<PageFrame> {
        tables.unmap(&mut self.frames, address)
    }

    fn new_page(
        &mut self,
        tables: &mut Tables,
        address: u64,
        contents: Contents,
        access: Access,
    ) -> Result<Page, NoFrames> {
        tables.new_page(&mut self.frames, address, contents, access)
    }

    fn drop_page(&mut self, tables: &mut Tables, address: u64) {
        tables.drop_page(&mut self.frames, address);
    }

    fn protect(&mut self, tables: &mut Tables, address: u64, access: Access) {
        tables.protect(address, access);
    }

    fn next_page(&self, tables: &Tables, start: u64, end: u64) -> Option<(u64, PageFrame)> {
        tables.next_page(start, end)
    }

    fn lookup(&self, tables: &Tables, address: u64) -> Option<(PageFrame, Access)> {
        tables.lookup(address)
    }

    fn copy_frame(&mut self, from: PageFrame, to: PageFrame) {
        let (from, to) = (direct::<u64>(from.address()), direct::<u64>(to.address()));
        // SAFETY: two frames that core names, which are allocated, different
        // ones, and no reference into one is ever kept.
        unsafe { to.copy_from_nonoverlapping(from, PAGE_BYTES / 8) };
    }

    fn write_frame(&mut self, frame: PageFrame, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= PAGE_BYTES);
        let to = direct::<u8>(frame.address() + offset as u64);
        // SAFETY: in bounds of the frame (asserted); frames that core names are
        // allocated ones, and no reference into one is ever kept.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn read_frame(&self, frame: PageFrame, offset: usize, buffer: &mut [u8]) {
        assert!(offset + buffer.len() <= PAGE_BYTES);
        let from = direct::<u8>(frame.address() + offset as u64);
        // SAFETY: as in `write_frame`.
        unsafe { from.copy_to_nonoverlapping(buffer.as_mut_ptr(), buffer.len()) };
    }

    #[inline(always)]
    fn read_user(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), CopyFault> {
        let copied = usercopy::read(usercopy::smap(), address, buffer);
        outcome(copied, buffer.len())
    }

    #[inline(always)]
    fn write_user(&mut self, address: u64, bytes: &[u8]) -> Result<(), CopyFault> {
        let copied = usercopy::write(usercopy::smap(), address, bytes);
        outcome(copied, bytes.len())
    }

    #[inline(always)]
    fn read_user_four(&mut self, address: u64) -> [u64; 4] {
        usercopy::read_four(usercopy::smap(), address)
    }

    #[inline(always)]
    fn write_user_words<const N: usize>(
        &mut self,
        address: u64,
        words: &[u64; N],
    ) -> Result<(), CopyFault> {
        match usercopy::write_words(usercopy::smap(), address, words) {
            true => Ok(()),
            false => Err(word_fault()),
        }
    }

    fn read_user_to_frame(
        &mut self,
        address: u64,
        frame: PageFrame,
        offset: usize,
        length: usize,
    ) -> Result<(), CopyFault> {
        assert!(offset + length <= PAGE_BYTES);
        let to = direct::<u8>(frame.address() + offset as u64);
        // SAFETY: as in `write_frame`.
        let copied = unsafe { usercopy::read_raw(usercopy::smap(), address, to, length) };
        outcome(copied, length)
    }

    #[inline(always)]
    fn probe_user(&mut self, address: u64, write: bool) -> bool {
        usercopy::probe(usercopy::smap(), address, write)
    }

    #[inline(always)]
    fn read_user_inline(&mut self, address: u64, buffer: &mut [u8]) -> bool {
        usercopy::read_inline(usercopy::smap(), address, buffer)
    }

    #[inline(always)]
    fn probe_user_all<const N: usize>(&mut self, addresses: [u64; N]) -> bool {
        usercopy::probe_all(usercopy::smap(), addresses)
    }

    #[inline(always)]
    fn write_user_both(&mut self, bytes: (u64, &[u8]), words: (u64, &[u64])) -> bool {
        usercopy::write_both(usercopy::smap(), bytes, words)
    }

    fn ticks(&self) -> u64 {
        clock::ticks()
    }

    fn nanoseconds(&self, ticks: u64) -> u64 {
        self.clock.nanoseconds(ticks)
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn time_at(&self, ticks: u64) -> u64 {
        self.clock.nanoseconds(self.clock.elapsed_at(ticks))
    }

    fn boot_epoch(&self) -> u64 {
        let Some((epoch, elapsed)) = self.resumed_epoch else {
            return self.epoch.seconds();
        };
        epoch.saturating_sub(self.clock.nanoseconds(elapsed) / 1_000_000_000)
    }

    fn arm_timer(&mut self, deadline: Option<u64>) {
        self.clock.arm(deadline);
    }

    fn stood_still(&mut self, since: u64, epoch: u64) -> u64 {
        let ticks = clock::ticks().wrapping_sub(since);
        self.clock.skip(ticks);
        if epoch != 0 {
            self.resumed_epoch = Some((epoch, self.clock.elapsed_at(since.wrapping_add(ticks))));
        }
        ticks
    }
}

/// An access to whole words has failed.
fn word_fault() -> CopyFault {
    CopyFault {
        address: trap::fault_address(),
        copied: 0,
    }
}

/// Says how a copy ended. The routine counts whole words, so the address that
/// faulted can lie up to seven bytes behind what was copied.
fn outcome(copied: usize, length: usize) -> Result<(), CopyFault> {
    if copied == length {
        return Ok(());
    }
    Err(CopyFault {
        address: trap::fault_address(),
        copied,
    })
}
