//! The one error type of the package; a variant's doc line is its message.
//!
//! Errors are the caller's or the host's fault. What a guest does wrong is not
//! an error but a [`crate::Stop`].

use std::io;

use crate::image::ImageError;

/// Why a virtual machine could not be made or driven.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// cannot use /dev/kvm: {0}
    #[error("cannot use /dev/kvm: {0}")]
    NoKvm(#[source] io::Error),
    /// this KVM lacks {0}
    #[error("this KVM lacks {0}")]
    Capability(&'static str),
    /// the kernel cannot be loaded: {0}
    #[error("the kernel cannot be loaded: {0}")]
    Load(#[source] linux_loader::loader::Error),
    /// {call} failed: {source}
    #[error("{call} failed: {source}")]
    Kvm {
        /// The request that failed.
        call: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// {call} failed: {source}
    #[error("{call} failed: {source}")]
    Host {
        /// The system call that failed.
        call: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// {asked} vCPUs are not supported: exactly 1 is
    #[error("{asked} vCPUs are not supported: exactly 1 is")]
    Cpus {
        /// Number of vCPUs asked for.
        asked: u32,
    },
    /// guest memory of {asked}: must be whole 4 KiB pages, {min} to {max}
    #[error("guest memory of {}: must be whole 4 KiB pages, {} to {}", size(*asked), size(*min), size(*max))]
    MemorySize {
        /// Bytes asked for.
        asked: u64,
        /// Fewest bytes allowed.
        min: u64,
        /// Most bytes allowed.
        max: u64,
    },
    /// the command line takes {bytes} bytes with its NUL: {max} fit
    #[error("the command line takes {bytes} bytes with its NUL: {max} fit")]
    CommandLineLong {
        /// Bytes needed.
        bytes: u64,
        /// Bytes there are.
        max: u64,
    },
    /// the command line contains a NUL
    #[error("the command line contains a NUL")]
    CommandLineNul,
    /// kernel image: {0}
    #[error("kernel image: {0}")]
    Image(#[from] ImageError),
    /// boot page tables do not fit below the kernel
    #[error("boot page tables do not fit below the kernel")]
    PageTables,
    /// module {index}: {problem}
    #[error("module {index}: {problem}")]
    Module {
        /// Which of the modules, from 0.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// snapshot: {0}
    #[error("snapshot: {0}")]
    Snapshot(String),
    /// {bytes} bytes at guest-physical {address:#x} are not guest memory
    #[error("{bytes} bytes at guest-physical {address:#x} are not guest memory")]
    Physical {
        /// Guest-physical address.
        address: u64,
        /// Number of bytes.
        bytes: usize,
    },
    /// guest-virtual {address:#x} is not mapped
    #[error("guest-virtual {address:#x} is not mapped")]
    Virtual {
        /// Guest-virtual address.
        address: u64,
    },
    /// {asked} meter entries: the processor has 4 breakpoints
    #[error("{asked} meter entries: the processor has 4 breakpoints")]
    MeterEntries {
        /// Number of entries asked for.
        asked: usize,
    },
    /// the virtual machine is gone
    #[error("the virtual machine is gone")]
    Gone,
    /// the host sent {bytes} bytes that the guest did not take: {max} may wait
    #[error("the host sent {bytes} bytes that the guest did not take: {max} may wait")]
    InputFull {
        /// Bytes that would wait.
        bytes: usize,
        /// Bytes that may wait.
        max: usize,
    },
}

impl Error {
    /// For `map_err` on a KVM request.
    pub(crate) fn kvm(call: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |errno| Self::Kvm {
            call,
            source: io::Error::from_raw_os_error(errno.errno()),
        }
    }

    /// For `map_err` on any other system call.
    pub(crate) fn host<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Host {
            call,
            source: error.into(),
        }
    }
}

/// A number of bytes as people ask for it, if it is whole.
fn size(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let whole = units.iter().find(|(bits, _)| {
        let unit = 1 << bits;
        bytes >= unit && bytes.is_multiple_of(unit)
    });
    match whole {
        Some((bits, unit)) => format!("{}{unit}", bytes >> bits),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_they_are_asked_for() {
        let error = Error::MemorySize {
            asked: 900 << 30,
            min: 4 << 20,
            max: 3 << 30,
        };
        let told = "guest memory of 900G: must be whole 4 KiB pages, 4M to 3G";
        assert_eq!(error.to_string(), told);
        assert_eq!(size(0), "0 bytes");
        assert_eq!(
            (size(1536), size(1537)),
            ("1536 bytes".into(), "1537 bytes".into())
        );
    }
}
