//! Mayfly's own VMM as a back end.
//!
//! Purpose: makes a `mayfly_vmm` machine of the options, with the bundle mapped
//! straight from this library's read-only data, and translates its stops and
//! errors. The processor runs on the calling thread. Neighbours: `vmm` below,
//! [`super::Backend`] above.

use std::time::Instant;

use mayfly_vmm::{Config, Crash, Module, ModuleFile, Port};

use super::{Backend, End, Position, Stop, Stream, Visit};
use crate::error::{Error, Result};
use crate::image;
use crate::options::{Entry, VmOptions};

/// A machine on `/dev/kvm`.
pub(crate) struct Kvm {
    vm: mayfly_vmm::Vm,
}

impl Kvm {
    /// Makes the machine; it does not run yet.
    pub(crate) fn start(options: &VmOptions) -> Result<Self> {
        let config = Config {
            memory_bytes: options.memory_bytes,
            cpus: options.cpus,
            command_line: options.command_line.clone(),
            entry: match options.entry {
                Entry::Auto => mayfly_vmm::Entry::Auto,
                Entry::Direct => mayfly_vmm::Entry::Direct,
                Entry::Pvh => mayfly_vmm::Entry::Pvh,
            },
            ..Config::default()
        };
        let mut modules = vec![Module::Static(image::bundle())];
        if let Some(extra) = image::extra_bundle(&options.files)? {
            let file = ModuleFile::from_bytes(&extra).map_err(|error| broken(&error))?;
            // First, so that the caller's files hide bundled ones.
            modules.insert(0, Module::Owned(file));
        }
        let vm = mayfly_vmm::Vm::new(&config, image::kernel(), &modules)
            .map_err(|error| broken(&error))?;
        Ok(Self { vm })
    }
}

impl Backend for Kvm {
    fn run(&mut self, deadline: Instant) -> Result<Stop> {
        Ok(
            match self.vm.run(deadline).map_err(|error| broken(&error))? {
                mayfly_vmm::Stop::Output | mayfly_vmm::Stop::Interrupted => Stop::Output,
                mayfly_vmm::Stop::Exit(code) => Stop::Ended(End::Exit(code)),
                mayfly_vmm::Stop::Deadline(at) => Stop::Deadline(Some(Position {
                    ring: at.cpl,
                    rip: at.rip,
                })),
                mayfly_vmm::Stop::Crash(crash) => Stop::Ended(crashed(&crash)),
                mayfly_vmm::Stop::GuestError(error) => Stop::Ended(End::Lost(error.to_string())),
            },
        )
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.vm
            .send(Port::Control, bytes)
            .map_err(|error| broken(&error))
    }

    fn take(&mut self, stream: Stream) -> Vec<u8> {
        match stream {
            Stream::Control => self.vm.take_output(Port::Control),
            Stream::Trace => self.vm.take_output(Port::Trace),
            Stream::Console => self.vm.take_output(Port::Console),
            Stream::Serial => self.vm.take_serial(),
        }
    }

    fn meter(&mut self, _: bool) -> Result<bool> {
        Ok(false)
    }

    fn take_visits(&mut self) -> Vec<Visit> {
        Vec::new()
    }

    fn instructions(&self) -> Option<u64> {
        None
    }
}

fn crashed(crash: &Crash) -> End {
    End::Crash {
        message: crash.what.to_string(),
        position: Some(Position {
            ring: crash.registers.cpl(),
            rip: crash.registers.rip,
        }),
    }
}

/// An error of the VMM, with what helps.
fn broken(error: &mayfly_vmm::Error) -> Error {
    use mayfly_vmm::Error as Vmm;
    let remedy = match error {
        Vmm::NoKvm(source) => no_kvm(source),
        Vmm::Capability(_) => "a newer Linux, or MAYFLY_BACKEND=qemu; `mayfly doctor` says more",
        Vmm::MemorySize { .. } => "a size within these bounds (--memory, VmOptions::memory_bytes)",
        Vmm::CommandLineLong { .. } | Vmm::CommandLineNul => "a shorter, printable command line",
        _ => "`mayfly doctor` checks this host; MAYFLY_BACKEND=qemu does without KVM",
    };
    Error::broken("cannot run a microVM on KVM", error, remedy)
}

/// What helps when `/dev/kvm` cannot be opened.
fn no_kvm(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => {
            "`modprobe kvm_intel` or `kvm_amd`, nested virtualisation if this is a VM, or \
             MAYFLY_BACKEND=qemu (slower, needs no KVM)"
        }
        std::io::ErrorKind::PermissionDenied => {
            "`sudo usermod -aG kvm $USER`, then log in again; or MAYFLY_BACKEND=qemu (slower)"
        }
        _ => "`mayfly doctor`; or MAYFLY_BACKEND=qemu (slower, needs no KVM)",
    }
}
