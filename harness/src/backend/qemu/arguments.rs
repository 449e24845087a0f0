//! What QEMU is told: the machine, and the files that it inherits.
//!
//! Neighbours: the parent starts it.

use std::process::{Command, Stdio};

use crate::backend::Stream;
use crate::environment;
use crate::error::{Error, Result};
use crate::options::VmOptions;

/// Program to start.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";
/// Sockets, in the order of [`super::Qemu::streams`].
pub(super) const STREAMS: [Stream; 4] = [
    Stream::Control,
    Stream::Trace,
    Stream::Console,
    Stream::Serial,
];
/// Name of the monitor's socket.
const MONITOR: &str = "monitor";
/// Descriptors of QEMU: the kernel, the bundle, then a socket for each stream
/// and one for the monitor. 0, 1 and 2 are the standard ones.
pub(super) const KERNEL: i32 = 3;
pub(super) const BUNDLE: i32 = 4;
pub(super) const SOCKETS: std::ops::RangeFrom<i32> = 5..;

/// Names of the sockets in their order: each stream, then the monitor.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    STREAMS.map(name).into_iter().chain([MONITOR])
}

/// Name of a stream's socket and character device.
fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Control => "control",
        Stream::Trace => "trace",
        Stream::Console => "console",
        Stream::Serial => "serial",
    }
}

/// The command that starts it.
pub(super) fn command(options: &VmOptions, bundle_bytes: usize) -> Result<Command> {
    // QEMU puts the bundle into the guest's RAM, Mayfly's VMM beside it.
    let bytes = options.memory_bytes.checked_add(bundle_bytes as u64);
    let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(1 << 20));
    let kibibytes = bytes.ok_or_else(|| too_much(options.memory_bytes))? >> 10;
    let accelerator = environment::text("MAYFLY_QEMU_ACCEL").unwrap_or_else(|| "tcg".into());
    let cpu = if accelerator == "kvm" { "host" } else { "max" };
    let mut command = Command::new(PROGRAM);
    command
        .args([
            "-M",
            "microvm,acpi=off,x-option-roms=off,rtc=off,pit=off,pic=off,isa-serial=on",
        ])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-accel", &accelerator, "-cpu", cpu])
        .args([
            "-m",
            &format!("{kibibytes}K"),
            "-smp",
            &options.cpus.to_string(),
        ])
        .args(["-kernel", &format!("/proc/self/fd/{KERNEL}")])
        .args(["-initrd", &format!("/proc/self/fd/{BUNDLE}")])
        .args(["-append", &options.full_command_line()])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .args(["-global", "virtio-mmio.force-legacy=false"])
        .args(["-device", "virtio-serial-device,max_ports=4"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (number, name) in SOCKETS.zip(names()) {
        command.args(["-chardev", &format!("socket,id={name},fd={number}")]);
    }
    command
        .args(["-serial", "chardev:serial"])
        .args([
            "-device",
            "virtconsole,name=mayfly.console,chardev=console,nr=0",
        ])
        .args([
            "-device",
            "virtserialport,name=mayfly.control,chardev=control,nr=1",
        ])
        .args([
            "-device",
            "virtserialport,name=mayfly.trace,chardev=trace,nr=2",
        ])
        .args(["-mon", "chardev=monitor,mode=control"])
        .args(&options.qemu_arguments);
    Ok(command)
}

fn too_much(bytes: u64) -> Error {
    Error::Usage {
        what: "make a machine".into(),
        why: format!("no machine has {bytes} bytes of memory"),
        remedy: "less (--memory, VmOptions::memory_bytes)".into(),
    }
}
