//! What a VeridianOS program starts with (specs/veridian.md §7.4).
//!
//! Tokens that the process has already are those that its creator granted. One
//! that no VeridianOS process made is granted the console, and the memory that
//! whoever made it handed over as open files.

use alloc::vec::Vec;
use core::mem;

use mayfly_abi::veridian::{START_MAGIC, START_VERSION, StartInfo};

use crate::error::KernelError;
use crate::object::capability::{Capability, Object, Rights, Tree};
use crate::object::ipc::Ipc;
use crate::object::process::Process;
use crate::object::stream::Stream;
use crate::object::thread::Thread;
use crate::personality::{Arguments, add_stack, block};
use crate::port::{Machine, PAGE_SIZE, Port};

/// Top of the main stack, and its size.
const STACK_TOP: u64 = 0x7fff_ffff_0000;
const STACK_SIZE: u64 = 1 << 20;
/// Words of the SysV frame besides argv: argc, two terminators, AT_NULL's pair.
const FRAME_WORDS: u64 = 5;

/// RDI = StartInfo; at RSP argc, argv, NULL, no environment, AT_NULL.
pub(crate) fn prepare<P: Port>(
    machine: &mut P::Machine,
    (capabilities, ipc): (&mut Tree, &mut Ipc),
    process: &mut Process<P>,
    thread: &Thread<P>,
    context: &mut <P::Machine as Machine>::Context,
    arguments: &Arguments<'_>,
) -> Result<(), KernelError> {
    add_stack(
        machine,
        &mut process.space,
        STACK_TOP - STACK_SIZE,
        STACK_TOP,
    )?;
    let tokens = grant(capabilities, ipc, process)?;
    let count = arguments.count();
    let strings = STACK_TOP - arguments.bytes().len() as u64;
    let granted = (strings - 8 * tokens.granted.len() as u64) & !15;
    let info = granted - StartInfo::SIZE as u64;
    let stack = (info - (count + FRAME_WORDS) * 8) & !15;
    let start = StartInfo {
        magic: START_MAGIC,
        version: START_VERSION,
        size: 128,
        process_id: process.id,
        parent_id: process.parent_id,
        thread_id: thread.id,
        argc: count,
        argv: stack + 8,
        granted_count: tokens.granted.len() as u64,
        granted,
        process_token: tokens.process,
        endpoint_token: tokens.endpoint,
        endpoint_id: tokens.endpoint_id,
        space_token: tokens.space,
        page_size: PAGE_SIZE,
        ..StartInfo::default()
    };
    let mut block = block(arguments, count + tokens.granted.len() as u64)?;
    block.extend_from_slice(&count.to_le_bytes());
    for offset in arguments.offsets() {
        block.extend_from_slice(&(strings + offset).to_le_bytes());
    }
    let at = |address: u64| usize::try_from(address - stack).unwrap_or(usize::MAX);
    block.resize(at(info), 0);
    block.extend_from_slice(&start.to_bytes());
    for token in &tokens.granted {
        block.extend_from_slice(&token.to_le_bytes());
    }
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
    endpoint: u64,
    endpoint_id: u64,
    space: u64,
    /// In the order of the creator.
    granted: Vec<u64>,
}

fn grant<P: Port>(
    capabilities: &mut Tree,
    ipc: &mut Ipc,
    process: &mut Process<P>,
) -> Result<InitialTokens, KernelError> {
    let endpoint = ipc.new_endpoint(process.key)?;
    process.endpoint = Some(endpoint);
    let (key, id) = (process.key, process.id);
    let made_by_host = process.parent == 0;
    let made_by_another = made_by_host || process.alias.is_some();
    let tokens = &mut process.capabilities;
    let lent = mem::take(&mut tokens.lent);
    let mut granted: Vec<u64> = tokens.iter().map(Capability::token).collect();
    let mut root = |object, rights| capabilities.insert(key, tokens, object, rights, None);
    let console = Rights::READ
        .and(Rights::WRITE)
        .and(Rights::GRANT)
        .and(Rights::REVOKE);
    let space = Object::CapSpace {
        owner: id,
        boot: made_by_host,
    };
    let rights = Rights::READ.and(Rights::MODIFY);
    let process = root(Object::Process { key, id }, rights)?;
    let space = root(space, Rights::CREATE)?;
    let endpoint_token = root(Object::IpcEndpoint { key: endpoint }, super::ipc::OWN)?;
    if let Some(endpoint) = ipc.endpoint(endpoint) {
        endpoint.tokens = 1;
    }
    if made_by_another {
        granted.push(root(Object::Device(Stream::Output), console)?);
    }
    for (object, rights) in lent {
        granted.push(root(object, rights)?);
    }
    Ok(InitialTokens {
        process,
        endpoint: endpoint_token,
        endpoint_id: endpoint.number(),
        space,
        granted,
    })
}
