//! Options that every command with a machine has.
//!
//! Purpose: `--backend`, `--memory`, `--timeout`, `--cpus` become
//! [`VmOptions`]. Neighbours: `run`, `trace`, `call`, `demo` flatten these.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::time::Duration;

use clap::Args;
use mayfly::near::nearest;
use mayfly::{Abi, BackendKind, ExtraFile, SnapshotUse, VmOptions};

use super::units;

/// Most bytes of a file that a guest is given.
const FILE_MAX: u64 = 256 << 20;

/// The machine to use.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// Machine to run on [default: MAYFLY_BACKEND, or kvm].
    #[arg(long, value_name = "kvm|qemu", value_parser = backend)]
    pub(crate) backend: Option<BackendKind>,
    /// Guest memory.
    #[arg(long, value_name = "SIZE", default_value = "32M", value_parser = units::size)]
    pub(crate) memory: u64,
    /// Longest time to wait for the program [default: 10s].
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Number of processors.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) cpus: u32,
    /// Boot, instead of beginning as a copy of a machine that has booted.
    #[arg(long)]
    pub(crate) no_snapshot: bool,
}

impl Target {
    /// The options as the library takes them.
    pub(crate) fn options(&self) -> VmOptions {
        let default = VmOptions::default();
        VmOptions {
            backend: self.backend,
            memory_bytes: self.memory,
            run_timeout: self.timeout.unwrap_or(default.run_timeout),
            cpus: self.cpus,
            snapshot: match self.no_snapshot {
                true => SnapshotUse::Off,
                false => SnapshotUse::Auto,
            },
            ..default
        }
    }
}

/// Reads the name of an interface.
pub(crate) fn abi(name: &str) -> Result<Abi, String> {
    Abi::from_name(name).ok_or_else(|| {
        let near = nearest(name, Abi::ALL.iter().map(|abi| abi.name()));
        let meant = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        meant + "known: xeneva, patchwork, veridian"
    })
}

/// Reads `GUESTPATH=HOSTPATH`, and the host's file.
pub(crate) fn file(word: &str) -> Result<ExtraFile, String> {
    let (guest, host) = word
        .split_once('=')
        .ok_or("expected GUESTPATH=HOSTPATH, as in /etc/motd=./motd.txt")?;
    if !guest.starts_with('/') || guest.ends_with('/') {
        return Err(format!(
            "'{guest}' is no absolute path of a file: it must begin with /"
        ));
    }
    let bytes = contents(host).map_err(|error| format!("cannot read '{host}': {error}"))?;
    Ok(ExtraFile {
        name: guest.into(),
        bytes,
    })
}

/// The bytes of a file that a guest is to have: a device may have no end.
pub(crate) fn contents(path: &str) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.by_ref().take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        let why = "it has more than 256 MiB, or no end";
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

fn backend(name: &str) -> Result<BackendKind, String> {
    name.parse().map_err(|_| "known: kvm, qemu".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_mistakes_are_named() {
        let read = file("/etc/me=Cargo.toml").unwrap();
        assert_eq!(read.name, "/etc/me");
        assert!(!read.bytes.is_empty());
        for (word, why) in [
            ("Cargo.toml", "expected GUESTPATH=HOSTPATH"),
            ("etc/me=Cargo.toml", "no absolute path"),
            ("/etc/=Cargo.toml", "no absolute path"),
            ("/etc/me=no-such-file", "cannot read 'no-such-file'"),
        ] {
            let error = file(word).unwrap_err();
            assert!(error.contains(why), "{word}: {error}");
        }
    }
}
