//! What a VeridianOS program starts with (specs/veridian.md §7.4).

use alloc::vec::Vec;

use mayfly_abi::veridian::{START_MAGIC, START_VERSION, StartInfo};

use crate::error::KernelError;
use crate::object::capability::{Object, Rights, Tree};
use crate::object::process::Process;
use crate::object::stream::Stream;
use crate::object::thread::Thread;
use crate::personality::{Arguments, BLOCK, add_stack};
use crate::port::{Machine, PAGE_SIZE, Port};

/// Top of the main stack, and its size.
const STACK_TOP: u64 = 0x7fff_ffff_0000;
const STACK_SIZE: u64 = 1 << 20;
/// Words of the SysV frame besides argv: argc, two terminators, AT_NULL's pair.
const FRAME_WORDS: u64 = 5;

/// RDI = StartInfo; at RSP argc, argv, NULL, no environment, AT_NULL.
/// granted\[0\] is the console.
pub(crate) fn prepare<P: Port>(
    machine: &mut P::Machine,
    capabilities: &mut Tree,
    process: &mut Process<P>,
    thread: &Thread<P>,
    context: &mut <P::Machine as Machine>::Context,
    arguments: &Arguments<'_>,
) -> Result<(), KernelError> {
    add_stack(&mut process.space, STACK_TOP - STACK_SIZE, STACK_TOP)?;
    let tokens = grant(capabilities, process)?;
    let count = arguments.count();
    let strings = STACK_TOP - arguments.bytes().len() as u64;
    let granted = (strings - 8) & !15;
    let info = granted - StartInfo::SIZE as u64;
    let stack = (info - (count + FRAME_WORDS) * 8) & !15;
    let start = StartInfo {
        magic: START_MAGIC,
        version: START_VERSION,
        size: 128,
        process_id: process.id,
        parent_id: 0,
        thread_id: thread.id,
        argc: count,
        argv: stack + 8,
        granted_count: 1,
        granted,
        process_token: tokens.process,
        space_token: tokens.space,
        page_size: PAGE_SIZE,
        ..StartInfo::default()
    };
    let mut block = Vec::with_capacity(BLOCK + arguments.bytes().len());
    block.extend_from_slice(&count.to_le_bytes());
    for offset in arguments.offsets() {
        block.extend_from_slice(&(strings + offset).to_le_bytes());
    }
    let at = |address: u64| usize::try_from(address - stack).unwrap_or(usize::MAX);
    block.resize(at(info), 0);
    block.extend_from_slice(&start.to_bytes());
    block.extend_from_slice(&tokens.console.to_le_bytes());
    block.resize(at(strings), 0);
    block.extend_from_slice(arguments.bytes());
    process.space.poke(machine, stack, &block)?;
    let frame = P::Machine::registers_mut(context);
    frame.rsp = stack;
    frame.rdi = info;
    Ok(())
}

struct InitialTokens {
    process: u64,
    space: u64,
    console: u64,
}

fn grant<P: Port>(
    capabilities: &mut Tree,
    process: &mut Process<P>,
) -> Result<InitialTokens, KernelError> {
    let (key, id) = (process.key, process.id);
    let tokens = &mut process.capabilities;
    let mut root = |object, rights| capabilities.insert(key, tokens, object, rights, None);
    let console = Rights::READ
        .and(Rights::WRITE)
        .and(Rights::GRANT)
        .and(Rights::REVOKE);
    let space = Object::CapSpace {
        owner: id,
        boot: true,
    };
    Ok(InitialTokens {
        process: root(
            Object::Process { key, id },
            Rights::READ.and(Rights::MODIFY),
        )?,
        space: root(space, Rights::CREATE)?,
        console: root(Object::Device(Stream::Output), console)?,
    })
}
