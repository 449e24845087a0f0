//! The three interfaces over the neutral objects: the only place that asks
//! which ABI a process has.
//!
//! Each folder decodes its calls once, serves them in adaptors of a few lines,
//! and spells errors in one place. A row without an adaptor answers as its ABI
//! says for an unsupported call, and [`served`] does not list it.

mod arguments;
pub mod patchwork;
mod resume;
pub use arguments::Arguments;
pub(crate) use arguments::{append, block, words};
pub(crate) use patchwork::proc as process_files;
pub(crate) use patchwork::terminal as terminal_files;
pub(crate) use resume::resume;
pub mod veridian;
pub mod xeneva;

use alloc::rc::Rc;
use core::mem;

use mayfly_abi::Abi;
use mayfly_abi::convention::Place;

use crate::error::KernelError;
use crate::frame::TrapFrame;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::capability::{Object, Rights, Tree};
use crate::object::file::{FileRef, Handles, Mode, Node, OpenFile};
use crate::object::inode::Seeds;
use crate::object::input::InputRef;
use crate::object::ipc::Ipc;
use crate::object::memory::{Backing, Region, Space};
use crate::object::process::Process;
use crate::object::socket::Socket;
use crate::object::stream::Stream;
use crate::object::thread::Thread;
use crate::port::{Access, Machine, Port};
use crate::trace::register;
use crate::user;

/// Serves the system call that `running` trapped with.
pub(crate) fn serve<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    match running.process.abi {
        Abi::Xeneva => xeneva::serve(kernel, running),
        Abi::Patchwork => patchwork::serve(kernel, running),
        Abi::Veridian => veridian::serve_in_full(kernel, running),
    }
}

/// Numbers of the calls that are served, in ascending order.
pub const fn served(abi: Abi) -> &'static [u64] {
    match abi {
        Abi::Xeneva => xeneva::SERVED,
        Abi::Patchwork => patchwork::SERVED,
        Abi::Veridian => veridian::SERVED,
    }
}

/// Error code that a result stands for, 0 for success. `errno` is the
/// thread's own, where the ABI keeps one.
pub fn error_code(abi: Abi, number: u64, result: u64, errno: u32) -> u32 {
    match abi {
        Abi::Xeneva => xeneva::error::code(number, result),
        Abi::Patchwork => patchwork::error::code(number, result, errno),
        Abi::Veridian => veridian::error::code(result),
    }
}

/// Exit status of a process that faulted.
pub(crate) fn fault_status(abi: Abi, vector: u64) -> i64 {
    match abi {
        // XenevaOS has no status; whoever waits in another interface is not to take
        // a fault for success.
        Abi::Xeneva | Abi::Patchwork => patchwork::process::FAULT_STATUS,
        Abi::Veridian => veridian::process::fault_status(vector),
    }
}

/// Exit status of a process that was killed.
pub(crate) fn killed_status(abi: Abi) -> i64 {
    match abi {
        // Neither has a status for it; PatchworkOS says 0 (specs/patchwork.md §6).
        Abi::Xeneva | Abi::Patchwork | Abi::Veridian => 0,
    }
}

/// Exit status of a process that was interrupted from the terminal: as shells
/// elsewhere have it.
pub(crate) const INTERRUPTED_STATUS: i64 = 130;

/// Exit status of a process whose executable could not be loaded while its
/// maker ran.
pub(crate) fn load_failed_status(abi: Abi) -> i64 {
    match abi {
        Abi::Xeneva | Abi::Patchwork => patchwork::spawn::LOAD_FAILED_STATUS,
        Abi::Veridian => 0,
    }
}

/// A process loads its own executable, when whoever made it has gone on.
pub(crate) fn loads_late(abi: Abi) -> bool {
    abi == Abi::Patchwork
}

/// Process id of the first process of an ABI. Ids below it belong to the
/// system: PatchworkOS has its kernel at 0 and init at 1, XenevaOS its root at 1.
pub(crate) fn first_process_id(abi: Abi) -> u64 {
    match abi {
        Abi::Xeneva | Abi::Patchwork => 2,
        Abi::Veridian => 1,
    }
}

/// The interface whose ids name the directories of processes.
pub(crate) const PROCESS_IDS: Abi = Abi::Patchwork;

/// The id that names a process's directory, if it has one.
pub(crate) fn process_id<P: Port>(process: &Process<P>) -> Option<u64> {
    if process.abi == PROCESS_IDS {
        return Some(process.id);
    }
    // What a program of that interface has made is known to it.
    let alias = process.alias.filter(|(abi, _)| *abi == PROCESS_IDS);
    alias.map(|(_, id)| id)
}

/// A note ends a wait: the interface has an error for that.
pub(crate) fn notes_disturb(abi: Abi) -> bool {
    abi == Abi::Patchwork
}

/// First address that a program of an ABI can have. What is below it is never
/// mapped, so that a null pointer, and one near it, is a fault.
pub(crate) fn user_start(abi: Abi) -> u64 {
    match abi {
        // The argv page and the environment page lie below (specs/xeneva.md §2).
        Abi::Xeneva => 0x6000,
        // specs/patchwork.md §9.
        Abi::Patchwork => 0x40_0000,
        // specs/veridian.md §2.7.
        Abi::Veridian => 0x1_0000,
    }
}

/// Thread id of a process's main thread, where that is always the same.
pub(crate) fn first_thread_id(abi: Abi) -> Option<u64> {
    match abi {
        // One global counter of 16 bits; 0 is the idle thread.
        Abi::Xeneva => None,
        Abi::Patchwork => Some(0),
        Abi::Veridian => Some(1),
    }
}

/// The id of a program that the host starts, where its name gives it one:
/// XenevaOS's root is its first process (specs/xeneva.md §2).
pub(crate) fn named_process_id(abi: Abi, program: &str) -> Option<u64> {
    (abi == Abi::Xeneva && program == xeneva::process::ROOT_IMAGE).then_some(xeneva::process::ROOT)
}

/// The files of the standard streams. They have no position, so that all
/// processes that the host starts share them.
pub(crate) fn standard_streams() -> [FileRef; 3] {
    let streams = [
        Node::Input(None),
        Node::Stream(Stream::Output),
        Node::Stream(Stream::Error),
    ];
    streams.map(|node| OpenFile::new(node, Mode::ALL))
}

/// Most descriptors of a process. VeridianOS has none: what its programs read
/// and write by tokens are the standard streams of whoever started them.
pub(crate) fn handles_max(abi: Abi) -> usize {
    match abi {
        Abi::Xeneva => 60,
        Abi::Patchwork => 64,
        Abi::Veridian => 3,
    }
}

/// Gives a child that has another interface than whoever made it as many
/// descriptors as that has. Memory behind the standard streams is for VeridianOS
/// to grant.
pub(crate) fn adopt_handles<P: Port>(process: &mut Process<P>, id: impl Fn() -> u64) {
    let handles = mem::take(&mut process.handles);
    if process.abi == Abi::Veridian {
        let others = handles
            .iter()
            .skip_while(|(handle, _)| *handle < STDIO as u64);
        let lent = others.filter_map(|(_, file)| lent(file, &id));
        process.capabilities.lent = lent.collect();
    }
    process.handles = handles.limited(handles_max(process.abi));
}

/// The memory that an open file is, once its size is settled, and what may be
/// done with it.
fn lent(file: &OpenFile, id: impl Fn() -> u64) -> Option<(Object, Rights)> {
    let Node::Memory(memory) = &file.node else {
        return None;
    };
    let object = memory.settled().map(Rc::clone)?;
    let any = Rights::MODIFY.and(Rights::GRANT).and(Rights::REVOKE);
    let may = |mode, right| match file.mode.contains(mode) {
        true => right,
        false => Rights::NONE,
    };
    let read = may(Mode::READ, Rights::READ);
    let rights = any.and(read).and(may(Mode::WRITE, Rights::WRITE));
    Some((Object::Memory { object, id: id() }, rights))
}

/// Programs of an interface may have memory that is writable and executable.
pub(crate) fn may_write_code(abi: Abi) -> bool {
    // W^X: specs/veridian.md §7.1, and the rulings of specs/xeneva.md.
    abi == Abi::Patchwork
}

/// How many standard streams there are.
const STDIO: usize = 3;

/// Descriptors of the standard streams, for a program of whatever interface;
/// the input is another one where the host sends something.
pub(crate) fn standard_handles(streams: &[FileRef; 3], input: Option<InputRef>) -> Handles {
    let mut handles = first_handles(Abi::Patchwork, streams);
    if let Some(input) = input {
        give_input(&mut handles, input);
    }
    handles
}

/// The same standard streams as a maker has, for a program of whatever interface.
pub(crate) fn given_handles(maker: &Handles) -> Handles {
    maker.inherited(STDIO).limited(handles_max(Abi::Patchwork))
}

fn give_input(handles: &mut Handles, input: InputRef) {
    let file = OpenFile::new(Node::Input(Some(input)), Mode::ALL);
    handles
        .set(0, Some(file))
        .expect("all limits are above zero");
}

/// Descriptors of a process that the host starts: the standard streams.
pub(crate) fn first_handles(abi: Abi, streams: &[FileRef; 3]) -> Handles {
    if abi == Abi::Veridian {
        return Handles::default();
    }
    let mut handles = Handles::new(handles_max(abi));
    for (handle, file) in (0..).zip(streams) {
        handles
            .set(handle, Some(Rc::clone(file)))
            .expect("both limits are above three");
    }
    handles
}

/// Gives a new process its standard input in the place of the empty one.
pub(crate) fn connect<P: Port>(process: &mut Process<P>, input: InputRef) {
    match process.abi {
        Abi::Xeneva | Abi::Patchwork => give_input(&mut process.handles, input),
        Abi::Veridian => process.capabilities.console_input = Some(input),
    }
}

/// Makes an open file the standard streams of a new process.
pub(crate) fn attach<P: Port>(process: &mut Process<P>, file: &FileRef) {
    if process.abi == Abi::Veridian {
        process.handles = Handles::new(handles_max(process.abi));
    }
    for handle in 0..3 {
        process
            .handles
            .set(handle, Some(Rc::clone(file)))
            .expect("all limits are three or more");
    }
}

/// What the file tree holds from the beginning: PatchworkOS's layout, which
/// the other interfaces see too.
pub(crate) fn file_layout() -> Seeds {
    patchwork::device::LAYOUT
}

/// Obeys what is written to the control file of a socket: the words are
/// PatchworkOS's, whoever writes them.
pub(crate) fn control_socket<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    socket: &Rc<Socket>,
    address: u64,
    count: u64,
) -> Result<(), KernelError> {
    patchwork::socket::control(kernel, running, socket, address, count)
}

/// Prepares the stack and the registers that a new process starts with.
pub(crate) fn start<P: Port>(
    machine: &mut P::Machine,
    (capabilities, ipc): (&mut Tree, &mut Ipc),
    process: &mut Process<P>,
    thread: &Thread<P>,
    context: &mut <P::Machine as Machine>::Context,
    arguments: &Arguments<'_>,
) -> Result<(), KernelError> {
    match process.abi {
        Abi::Xeneva => xeneva::start::prepare(machine, process, context, arguments),
        Abi::Patchwork => patchwork::start::prepare(machine, process, context, arguments),
        Abi::Veridian => {
            let tables = (capabilities, ipc);
            veridian::start::prepare(machine, tables, process, thread, context, arguments)
        }
    }
}

/// Fetches one argument word from where the convention has it.
#[inline(always)]
fn fetch<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    frame: &TrapFrame,
    place: Place,
) -> Result<u64, KernelError> {
    match place {
        Place::Register(name) => Ok(register(frame, name)),
        Place::Stack(offset) => fetch_from_stack(machine, space, frame.rsp.wrapping_add(offset)),
        Place::Extension(offset) => {
            if !frame.r9.is_multiple_of(8) {
                return Err(KernelError::BadAddress);
            }
            user::read_word(machine, space, frame.r9.wrapping_add(offset))
        }
    }
}

/// Fetches an argument word from the user's stack. By itself: so few calls have
/// one that the others are not to be slower for it.
#[inline(never)]
fn fetch_from_stack<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
) -> Result<u64, KernelError> {
    user::read_word(machine, space, address)
}

/// Adds a stack: demand-zero pages from `bottom` to `top`. What lies below it
/// belongs to no region, so running over it is a fault.
fn add_stack<M: Machine>(
    machine: &M,
    space: &mut Space<M>,
    bottom: u64,
    top: u64,
) -> Result<(), KernelError> {
    let region = Region {
        start: bottom,
        end: top,
        access: Access::READ_WRITE,
        backing: Backing::Zero,
    };
    Ok(space.add(machine, region)?)
}

#[cfg(test)]
mod tests;
