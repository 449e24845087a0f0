//! What a caller may ask for, validated once.
//!
//! [`Config`] is plain data; [`crate::Vm::new`] calls `Config::validate` before
//! it creates anything. Neighbours: [`crate::vm`] uses it, `boot` reads the
//! command line and the entry from it.

use mayfly_machine::{device, layout};

use crate::Error;
use crate::cpuid::host_has_hardware;

/// Unread bytes that a port may hold by default: 64 MiB.
const OUTPUT_MAX: usize = 64 << 20;
/// Guest memory by default: 64 MiB.
const MEMORY_BYTES: u64 = 64 << 20;

/// Which of a kernel's entries to use (see [`mayfly_machine::boot`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// The direct entry if the kernel offers it, else PVH.
    #[default]
    Auto,
    /// The direct 64-bit entry.
    Direct,
    /// The 32-bit PVH entry, as QEMU and other machine monitors use it.
    Pvh,
}

/// One virtual machine, as the caller wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Guest memory, in bytes; a multiple of 4 KiB.
    pub memory_bytes: u64,
    /// Number of virtual processors; only 1 is built so far.
    pub cpus: u32,
    /// Kernel command line; the VMM appends where the devices are.
    pub command_line: String,
    /// Which entry of the kernel to use.
    pub entry: Entry,
    /// Unread bytes that one port or COM1 may hold before the guest is stopped.
    pub output_max: usize,
    /// So many times slower than it is does the time stamp counter tell the guest
    /// that time passes: a guest that is stepped should not see how long that
    /// takes. Timers that it sets fire so many times too early.
    pub clock_divisor: u32,
    /// The kernel is told to leave SMAP off, as it is where ring 0 is emulated:
    /// a guest that is counted is to execute the same on every host.
    pub no_smap: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory_bytes: MEMORY_BYTES,
            cpus: 1,
            command_line: String::new(),
            entry: Entry::Auto,
            output_max: OUTPUT_MAX,
            clock_divisor: 1,
            no_smap: false,
        }
    }
}

impl Config {
    /// Checks every field that can be wrong on its own.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.cpus != 1 {
            return Err(Error::Cpus { asked: self.cpus });
        }
        let fits = (layout::MEMORY_MIN..=layout::MEMORY_MAX).contains(&self.memory_bytes);
        if !fits || !self.memory_bytes.is_multiple_of(layout::PAGE_SIZE) {
            return Err(Error::MemorySize {
                asked: self.memory_bytes,
                min: layout::MEMORY_MIN,
                max: layout::MEMORY_MAX,
            });
        }
        if self.command_line.contains('\0') {
            return Err(Error::CommandLineNul);
        }
        let bytes = self.full_command_line().len() as u64 + 1;
        if bytes > layout::COMMAND_LINE_MAX {
            return Err(Error::CommandLineLong {
                bytes,
                max: layout::COMMAND_LINE_MAX,
            });
        }
        Ok(())
    }

    /// The command line the kernel gets: the caller's, then the machine's.
    pub(crate) fn full_command_line(&self) -> String {
        self.command_line_on(host_has_hardware())
    }

    /// The same on a host whose KVM has hardware to run guests with, or has none.
    fn command_line_on(&self, hardware: bool) -> String {
        let no_smap = match hardware && !self.no_smap {
            true => "",
            false => " nosmap",
        };
        let console = format!(
            "{}{}K@{:#x}:{}{no_smap}",
            device::MMIO_PARAMETER,
            layout::VIRTIO_MMIO_SIZE / 1024,
            device::CONSOLE_MMIO,
            device::CONSOLE_GSI,
        );
        if self.command_line.is_empty() {
            console
        } else {
            format!("{} {console}", self.command_line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert!(Config::default().validate().is_ok());
    }

    #[test]
    fn the_console_is_announced_after_the_callers_words() {
        let config = Config {
            command_line: "quiet".into(),
            ..Config::default()
        };
        let line = config.full_command_line();
        assert!(
            line.starts_with("quiet virtio_mmio.device=4K@0xd0000000:5"),
            "{line}"
        );
        assert_eq!(line.contains("nosmap"), !host_has_hardware());
    }

    #[test]
    fn a_machine_that_is_counted_is_told_the_same_on_every_host() {
        let counted = Config {
            no_smap: true,
            ..Config::default()
        };
        let line = counted.command_line_on(true);
        assert_eq!(line, counted.command_line_on(false));
        assert!(line.ends_with(" nosmap"), "{line}");
        let other = Config::default();
        assert!(!other.command_line_on(true).contains("nosmap"));
        assert!(other.command_line_on(false).contains("nosmap"));
    }

    #[test]
    fn two_cpus_are_refused() {
        let config = Config {
            cpus: 2,
            ..Config::default()
        };
        assert!(matches!(config.validate(), Err(Error::Cpus { asked: 2 })));
    }

    #[test]
    fn memory_must_be_whole_pages_within_bounds() {
        for memory_bytes in [0, 4095, (4 << 20) + 1, 4 << 30] {
            let config = Config {
                memory_bytes,
                ..Config::default()
            };
            assert!(matches!(config.validate(), Err(Error::MemorySize { .. })));
        }
    }
}
