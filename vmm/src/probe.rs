//! What metering reads of a stopped guest: code, stack words, registers.
//!
//! Decoded instructions are kept, because code is looked at after every single
//! step; a kernel that changes its code must not be metered while it does.
//! Neighbours: `meter` asks, `vm` owns it.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind, Register};
use kvm_bindings::{
    KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP,
    Msrs, kvm_guest_debug, kvm_msr_entry,
};
use kvm_ioctls::VcpuFd;
use mayfly_machine::layout::PAGE_SIZE;
use vm_memory::{Bytes, GuestAddress};

use crate::Error;
use crate::cpu::Registers;
use crate::cpuid::host_has_hardware;
use crate::host::Host;
use crate::memory::Memory;
use crate::meter::{BREAKPOINTS, Config, Guest, Instruction, Kind, Meter, Mode, Visit};

/// The meter and what it needs to be fed.
#[derive(Debug)]
pub(crate) struct Metering {
    pub(crate) meter: Meter,
    /// Mode that KVM was told last.
    mode: Mode,
    /// Instructions decoded so far, by address.
    code: HashMap<u64, Instruction>,
}

impl Metering {
    /// Switches stepping on.
    pub(crate) fn start(config: Config, vcpu: &VcpuFd) -> Result<Self, Error> {
        let asked = config.breakpoints().count();
        if asked > BREAKPOINTS {
            return Err(Error::MeterEntries { asked });
        }
        let meter = Meter::new(config, Registers::read(vcpu)?);
        let mode = meter.mode();
        set_mode(vcpu, mode)?;
        Ok(Self {
            meter,
            mode,
            code: HashMap::new(),
        })
    }

    /// Switches stepping off.
    pub(crate) fn stop(vcpu: &VcpuFd) -> Result<(), Error> {
        vcpu.set_guest_debug(&kvm_guest_debug::default())
            .map_err(Error::kvm("KVM_SET_GUEST_DEBUG"))
    }

    /// Feeds a single step in.
    pub(crate) fn stepped(
        &mut self,
        rip: u64,
        vcpu: &VcpuFd,
        memory: &Memory,
    ) -> Result<(), Error> {
        self.feed(vcpu, memory, |meter, probe| meter.stop(rip, probe))
    }

    /// Feeds a device store in.
    pub(crate) fn stored(&mut self, vcpu: &VcpuFd, memory: &Memory) -> Result<(), Error> {
        self.feed(vcpu, memory, |meter, probe| meter.stored(probe))
    }

    pub(crate) fn take_visits(&mut self) -> Vec<Visit> {
        self.meter.take_visits()
    }

    pub(crate) fn take_boot(&mut self) -> Option<Visit> {
        self.meter.take_boot()
    }

    fn feed(
        &mut self,
        vcpu: &VcpuFd,
        memory: &Memory,
        feed: impl FnOnce(&mut Meter, &mut Probe<'_>),
    ) -> Result<(), Error> {
        let mut probe = Probe {
            vcpu,
            memory,
            code: &mut self.code,
            error: None,
        };
        feed(&mut self.meter, &mut probe);
        if let Some(error) = probe.error {
            return Err(error);
        }
        self.tell(vcpu)
    }

    /// Tells KVM how to go on, if that is not as before or may be forgotten.
    pub(crate) fn tell(&mut self, vcpu: &VcpuFd) -> Result<(), Error> {
        let mode = self.meter.mode();
        let forgets = self.meter.begins_at_breakpoints() || host_has_hardware();
        if mode != self.mode || forgets {
            set_mode(vcpu, mode)?;
            self.mode = mode;
        }
        Ok(())
    }
}

fn set_mode(vcpu: &VcpuFd, mode: Mode) -> Result<(), Error> {
    let mut debug = kvm_guest_debug {
        control: KVM_GUESTDBG_ENABLE,
        ..kvm_guest_debug::default()
    };
    if mode.step {
        debug.control |= KVM_GUESTDBG_SINGLESTEP;
    }
    if mode.breakpoints.iter().any(Option::is_some) {
        debug.control |= KVM_GUESTDBG_USE_HW_BP;
        debug.arch.debugreg[7] = DR7_FIXED;
        for (index, breakpoint) in mode.breakpoints.iter().enumerate() {
            if let Some(at) = breakpoint {
                debug.arch.debugreg[index] = *at;
                // Local enable of breakpoint `index`, on execution (SDM 3B, 19.2.4).
                debug.arch.debugreg[7] |= 1 << (2 * index);
            }
        }
    }
    if mode.block_interrupts && Host::get()?.can_block_interrupts {
        debug.control |= KVM_GUESTDBG_BLOCKIRQ;
    }
    vcpu.set_guest_debug(&debug)
        .map_err(Error::kvm("KVM_SET_GUEST_DEBUG"))
}

/// Reads a stopped guest; the first failure of KVM is kept.
struct Probe<'a> {
    vcpu: &'a VcpuFd,
    memory: &'a Memory,
    code: &'a mut HashMap<u64, Instruction>,
    error: Option<Error>,
}

/// Longest instruction, in bytes.
const INSTRUCTION_MAX: usize = 15;
/// Gates of an interrupt descriptor table.
const GATES: u64 = 256;
/// What is always set in DR7 (SDM 3B, 19.2.4).
const DR7_FIXED: u64 = 1 << 10;
/// Entry of `SYSCALL` in 64-bit mode.
const MSR_LSTAR: u32 = 0xc000_0082;

impl Probe<'_> {
    fn translate(&self, address: u64) -> Option<u64> {
        let translation = self.vcpu.translate_gva(address).ok()?;
        (translation.valid != 0).then_some(translation.physical_address)
    }

    /// Where the interrupt gate at this address leads to.
    fn gate(&mut self, at: u64) -> u64 {
        let (low, high) = (self.word(at), self.word(at.wrapping_add(8)));
        low & 0xffff | low >> 32 & 0xffff_0000 | high << 32
    }

    /// Reads as much of `bytes` as is mapped.
    fn read(&self, mut address: u64, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let left = usize::try_from(PAGE_SIZE - address % PAGE_SIZE).unwrap_or(1);
            let (now, later) = bytes.split_at_mut(left.min(bytes.len()));
            let Some(physical) = self.translate(address) else {
                return;
            };
            if self.memory.read_slice(now, GuestAddress(physical)).is_err() {
                return;
            }
            address = address.wrapping_add(now.len() as u64);
            bytes = later;
        }
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.error.get_or_insert(error)).ok()
    }
}

impl Guest for Probe<'_> {
    fn instruction(&mut self, address: u64) -> Instruction {
        if let Some(instruction) = self.code.get(&address) {
            return *instruction;
        }
        let mut bytes = [0; INSTRUCTION_MAX];
        self.read(address, &mut bytes);
        let instruction = decode(&bytes, address);
        self.code.insert(address, instruction);
        instruction
    }

    fn handlers(&mut self) -> Vec<(Option<u8>, u64)> {
        let mut handlers = Vec::new();
        let sregs = self.vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"));
        if let Some(sregs) = self.note(sregs) {
            let gates = GATES.min((u64::from(sregs.idt.limit) + 1) / 16);
            for gate in 0..gates {
                let handler = self.gate(sregs.idt.base.wrapping_add(16 * gate));
                handlers.push((u8::try_from(gate).ok(), handler));
            }
        }
        let lstar = kvm_msr_entry {
            index: MSR_LSTAR,
            ..kvm_msr_entry::default()
        };
        if let Ok(mut msrs) = Msrs::from_entries(&[lstar])
            && self.vcpu.get_msrs(&mut msrs) == Ok(1)
        {
            handlers.extend(msrs.as_slice().iter().map(|msr| (None, msr.data)));
        }
        handlers.retain(|(_, handler)| *handler != 0);
        handlers
    }

    fn handler(&mut self, vector: u8) -> u64 {
        let sregs = self.vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"));
        let sregs = self.note(sregs).unwrap_or_default();
        let offset = 16 * u64::from(vector);
        match offset < u64::from(sregs.idt.limit) {
            true => self.gate(sregs.idt.base.wrapping_add(offset)),
            false => 0,
        }
    }

    fn trap_stack(&mut self) -> u64 {
        let sregs = self.vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"));
        let task = self.note(sregs).map_or(0, |sregs| sregs.tr.base);
        // RSP0 is behind the first 32-bit word (SDM 3A, 8.7).
        self.word(task.wrapping_add(4))
    }

    fn word(&mut self, address: u64) -> u64 {
        let mut word = [0; 8];
        self.read(address, &mut word);
        u64::from_le_bytes(word)
    }

    fn registers(&mut self) -> Registers {
        let registers = Registers::read(self.vcpu);
        self.note(registers).unwrap_or_default()
    }
}

fn decode(bytes: &[u8], address: u64) -> Instruction {
    let decoded = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
    let repeats = decoded.has_rep_prefix() || decoded.has_repne_prefix();
    let kind = match decoded.mnemonic() {
        _ if repeats && decoded.is_string_instruction() => Kind::Repeated,
        Mnemonic::Hlt => Kind::Halt,
        Mnemonic::Iretq | Mnemonic::Iretd => Kind::Return,
        Mnemonic::Swapgs
        | Mnemonic::Fxsave
        | Mnemonic::Fxsave64
        | Mnemonic::Fxrstor
        | Mnemonic::Fxrstor64
        | Mnemonic::Lfence
        | Mnemonic::Mfence
        | Mnemonic::Sfence
        | Mnemonic::Rdrand
        | Mnemonic::Endbr64
        | Mnemonic::Rdfsbase
        | Mnemonic::Rdgsbase
        | Mnemonic::Wrfsbase
        | Mnemonic::Wrgsbase
        | Mnemonic::Wrmsr => Kind::Unstopped,
        Mnemonic::Jmp if decoded.op0_kind() == OpKind::NearBranch64 => {
            Kind::Jump(decoded.near_branch64())
        }
        Mnemonic::Mov if decoded.op0_register() == Register::SS => Kind::Unstopped,
        Mnemonic::Mov if decoded.op0_register() == Register::CR3 => Kind::Space,
        _ => Kind::Plain,
    };
    Instruction {
        // Nothing decodes where nothing is mapped: it cannot be executed.
        bytes: decoded.len().max(1) as u64,
        kind,
    }
}
