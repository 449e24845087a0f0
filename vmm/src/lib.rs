//! The virtual machine monitor: one guest, one vCPU, the caller's thread.
//!
//! Makes the machine that [`mayfly_machine`] describes out of KVM, boots an
//! ELF64 kernel on it and moves bytes. It knows no kernel and no protocol.
//! Neighbours: `harness` above; `/dev/kvm` below.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use mayfly_vmm::{Config, Port, Stop, Vm};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kernel = std::fs::read("my-kernel.elf")?;
//! let mut vm = Vm::new(&Config::default(), &kernel, &[])?;
//! vm.send(Port::Control, b"hello")?;
//! let deadline = Instant::now() + Duration::from_secs(2);
//! loop {
//!     match vm.run(deadline)? {
//!         Stop::Output => {
//!             print!("{}", String::from_utf8_lossy(&vm.take_serial()));
//!             println!("{:02x?}", vm.take_output(Port::Control));
//!         }
//!         Stop::Exit(code) => break println!("ended with {code:#x}"),
//!         stop => return Err(stop.to_string().into()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Modules in the order of a machine's life: `config`, `host`, `cpuid`,
//! `memory`, `module`, `image`, `boot`, `paging`, `cpu`; then `vm` with `vcpu`,
//! `shared`, `bus`, `device`, `kick`, `sender`, `stop`; beside them [`meter`]
//! and `probe`, and `snapshot`, which makes machines from others.

mod boot;
mod bus;
mod config;
mod cpu;
mod cpuid;
mod device;
mod error;
mod host;
mod image;
mod kick;
mod memory;
pub mod meter;
mod module;
mod paging;
mod probe;
mod sender;
mod shared;
mod snapshot;
mod stop;
mod vcpu;
mod vm;

pub use config::{Config, Entry};
pub use device::virtio::port::Port;
pub use error::Error;
pub use host::cpuid_digest;
pub use image::ImageError;
pub use module::{Module, ModuleFile};
pub use sender::{Interrupter, Sender};
pub use snapshot::Snapshot;
pub use stop::{Crash, CrashKind, GuestError, Position, Registers, Stop};
pub use vcpu::ExitStats;
pub use vm::Vm;
