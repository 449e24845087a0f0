//! Frames of physical memory: fresh ones by bump, used ones from a list.
//!
//! Every frame has a link in a table, so that the frames of an address space
//! form a list of their own and giving them all back is one splice, however
//! many there are. Fresh frames are known to be zero where the loader promises
//! it; used ones are cleared when zeros are asked for, except those known to be zero.

use alloc::rc::Rc;
use core::cell::OnceCell;

use mayfly_core::port::{Contents, DeadFrames, FrameList, NoFrames, PAGE_SIZE, PageFrame};

use crate::direct;

/// Links of one frame to its neighbours in a list; 0 is none (frame 0 is not ours).
#[derive(Clone, Copy, Default)]
struct Link {
    previous: u32,
    next: u32,
}

/// The allocator.
pub struct Frames {
    links: &'static mut [Link],
    fresh: u32,
    end: u32,
    fresh_is_zero: bool,
    free: FrameList,
    /// Free ones that are all zeros: page tables that became empty.
    zeros: FrameList,
    /// Made for the first object.
    dead: OnceCell<Rc<DeadFrames>>,
    total: u32,
}

impl Frames {
    /// Takes over physical memory from `start` to `end`.
    ///
    /// # Safety
    /// Nothing else uses that memory, and if `zeroed` it is all zeros.
    pub unsafe fn new(start: u64, end: u64, zeroed: bool) -> Self {
        let end_frame = number(end / PAGE_SIZE);
        let bytes = u64::from(end_frame) * size_of::<Link>() as u64;
        let table = start.next_multiple_of(PAGE_SIZE);
        let fresh = number((table + bytes).div_ceil(PAGE_SIZE));
        // SAFETY: the caller hands over the memory; a Link is valid with any
        // bits, and each is written before it is read.
        let links =
            unsafe { core::slice::from_raw_parts_mut(direct::<Link>(table), end_frame as usize) };
        Self {
            links,
            fresh: fresh.min(end_frame),
            end: end_frame,
            fresh_is_zero: zeroed,
            free: FrameList::default(),
            zeros: FrameList::default(),
            dead: OnceCell::new(),
            total: end_frame.saturating_sub(fresh),
        }
    }

    /// Takes `count` adjacent fresh frames for good; says where they start.
    pub(crate) fn reserve(&mut self, count: u32) -> Option<u64> {
        let start = self.fresh;
        self.fresh = start.checked_add(count).filter(|end| *end <= self.end)?;
        self.total -= count;
        Some(u64::from(start) * PAGE_SIZE)
    }

    /// Frames not in use.
    pub fn free(&self) -> u64 {
        let used = u64::from(self.free.count) + u64::from(self.zeros.count);
        let dead = self.dead.get().map_or(0, |dead| dead.count());
        u64::from(self.end - self.fresh) + used + dead
    }

    /// Where objects leave their frames when they go.
    pub fn dead(&self) -> &Rc<DeadFrames> {
        self.dead.get_or_init(Rc::default)
    }

    /// Takes back the frames of objects that are gone.
    pub fn reap(&mut self) {
        while let Some(list) = self.dead.get().and_then(|dead| dead.take()) {
            self.release_all(list);
        }
    }

    /// Frames in all.
    pub fn total(&self) -> u64 {
        u64::from(self.total)
    }

    /// Allocates a frame onto `list`.
    ///
    /// # Errors
    /// [`NoFrames`].
    pub fn allocate(
        &mut self,
        list: &mut FrameList,
        contents: Contents,
    ) -> Result<PageFrame, NoFrames> {
        let (frame, is_zero) = self.take(contents).ok_or(NoFrames)?;
        match contents {
            Contents::Zero if !is_zero => fill(frame, 0),
            Contents::Ones => fill(frame, 0xff),
            Contents::Zero | Contents::Any => {}
        }
        push(self.links, list, frame);
        Ok(PageFrame(u64::from(frame)))
    }

    /// The same for zeros, which are mostly at hand.
    ///
    /// # Errors
    /// [`NoFrames`].
    #[inline(always)]
    pub(crate) fn allocate_zeros(&mut self, list: &mut FrameList) -> Result<PageFrame, NoFrames> {
        let frame = self.fresh;
        if self.zeros.head != 0 || frame >= self.end || !self.fresh_is_zero {
            return self.allocate(list, Contents::Zero);
        }
        self.fresh = frame + 1;
        push(self.links, list, frame);
        Ok(PageFrame(u64::from(frame)))
    }

    /// Takes the free frame that takes least work; says whether it is all zeros.
    fn take(&mut self, contents: Contents) -> Option<(u32, bool)> {
        if contents == Contents::Zero {
            if self.zeros.head != 0 {
                return Some((pop(self.links, &mut self.zeros), true));
            }
        } else if self.free.head != 0 {
            return Some((pop(self.links, &mut self.free), false));
        }
        if self.fresh < self.end {
            let frame = self.fresh;
            self.fresh += 1;
            return Some((frame, self.fresh_is_zero));
        }
        match (self.free.head, self.zeros.head) {
            (0, 0) => {
                self.reap();
                let any = self.free.head != 0;
                any.then(|| (pop(self.links, &mut self.free), false))
            }
            (0, _) => Some((pop(self.links, &mut self.zeros), true)),
            _ => Some((pop(self.links, &mut self.free), false)),
        }
    }

    /// Gives back one frame of `list`.
    pub fn release(&mut self, list: &mut FrameList, frame: PageFrame) {
        let frame = number(frame.0);
        unlink(self.links, list, frame);
        push(self.links, &mut self.free, frame);
    }

    /// Gives back one frame of `list` that is all zeros again.
    pub fn release_zeros(&mut self, list: &mut FrameList, frame: PageFrame) {
        let frame = number(frame.0);
        unlink(self.links, list, frame);
        push(self.links, &mut self.zeros, frame);
    }

    /// Gives back every frame of `list`.
    pub fn release_all(&mut self, list: FrameList) {
        if list.head == 0 {
            return;
        }
        if self.free.head == 0 {
            self.free = list;
            return;
        }
        self.links[list.tail as usize].next = self.free.head;
        self.links[self.free.head as usize].previous = list.tail;
        self.free.head = list.head;
        self.free.count += list.count;
    }
}

/// Takes the first frame of a list that is not empty.
fn pop(links: &mut [Link], list: &mut FrameList) -> u32 {
    let frame = list.head;
    unlink(links, list, frame);
    frame
}

fn push(links: &mut [Link], list: &mut FrameList, frame: u32) {
    links[frame as usize] = Link {
        previous: 0,
        next: list.head,
    };
    match list.head {
        0 => list.tail = frame,
        head => links[head as usize].previous = frame,
    }
    list.head = frame;
    list.count += 1;
}

fn unlink(links: &mut [Link], list: &mut FrameList, frame: u32) {
    let Link { previous, next } = links[frame as usize];
    match previous {
        0 => list.head = next,
        previous => links[previous as usize].next = next,
    }
    match next {
        0 => list.tail = previous,
        next => links[next as usize].previous = previous,
    }
    list.count -= 1;
}

fn number(frame: u64) -> u32 {
    u32::try_from(frame).expect("memory ends below 3 GiB (vmm/machine layout)")
}

fn fill(frame: u32, byte: u8) {
    // SAFETY: the frame is the allocator's, so no reference to it exists.
    unsafe { direct::<u64>(u64::from(frame) * PAGE_SIZE).write_bytes(byte, 512) };
}
