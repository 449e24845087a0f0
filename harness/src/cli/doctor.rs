//! `mayfly doctor`: what this host can do, in words.
//!
//! Purpose: every failure that a host can cause is found here first, with what
//! to do about it. Neighbours: `fingerprint` measures, the back ends run.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use kvm_ioctls::{Cap, Kvm};
use mayfly::{BackendKind, SnapshotUse, VmOptions, fingerprint};

use super::exit::Exit;
use super::say::{CARE, GOOD, Say, WRONG, styled};
use super::{layout, units, waiting};

/// Columns before the words of a check.
const MARGIN: usize = 16;

/// Outcome of one check.
enum Finding {
    Good(String),
    Care(String, &'static str),
    Wrong(String, String),
}

/// Checks everything and prints a verdict.
pub(crate) fn run(say: &mut Say) -> anyhow::Result<Exit> {
    let mut usable = Vec::new();
    report(say, "host", &host())?;
    let kvm = kvm();
    let is_usable = matches!(kvm, Finding::Good(_));
    report(say, "kvm", &kvm)?;
    if is_usable {
        let booted = waiting::during(say, "booting on kvm", || boot(BackendKind::Kvm));
        if matches!(booted, Finding::Good(_)) {
            usable.push(BackendKind::Kvm);
            report(say, "boot", &booted)?;
            let measured = waiting::during(say, "measuring ring 0", ring_zero);
            report(say, "ring 0", &measured)?;
        } else {
            report(say, "boot", &booted)?;
        }
    }
    let qemu = qemu();
    let is_usable = matches!(qemu, Finding::Good(_));
    report(say, "qemu", &qemu)?;
    if is_usable {
        let booted = waiting::during(say, "booting on qemu", || boot(BackendKind::Qemu));
        if matches!(booted, Finding::Good(_)) {
            usable.push(BackendKind::Qemu);
        }
        report(say, "boot", &booted)?;
    }
    for target in ["x86_64-unknown-none", "x86_64-unknown-uefi"] {
        report(say, "target", &rust_target(target))?;
    }
    verdict(say, &usable)
}

fn verdict(say: &mut Say, usable: &[BackendKind]) -> anyhow::Result<Exit> {
    let names: Vec<&str> = usable.iter().map(|kind| kind.name()).collect();
    let (words, next, exit) = match usable {
        [] => (
            "this host cannot run microVMs",
            "what is said above after 'try:'",
            Exit::Failure,
        ),
        [BackendKind::Qemu] => (
            "microVMs run here, on QEMU only",
            "MAYFLY_BACKEND=qemu mayfly demo",
            Exit::Failure,
        ),
        [BackendKind::Kvm] => ("microVMs run here, on KVM", "mayfly demo", Exit::Success),
        _ => (
            "microVMs run here, on KVM and on QEMU",
            "mayfly demo",
            Exit::Success,
        ),
    };
    if say.is_json() {
        let usable = exit == Exit::Success;
        say.json(
            "doctor",
            serde_json::json!({"verdict": words, "usable": usable, "backends": names}),
        )?;
    } else {
        let style = if exit == Exit::Success { GOOD } else { WRONG };
        let (subject, mark) = ("verdict", if exit == Exit::Success { "ok" } else { "no" });
        let mark = styled(style, format!("{mark:<4}"));
        told(say, &format!("{subject:>8}  {mark}  "), words)?;
        told(say, &" ".repeat(MARGIN), &format!("next: {next}"))?;
    }
    Ok(exit)
}

fn report(say: &mut Say, subject: &str, finding: &Finding) -> anyhow::Result<()> {
    let (style, mark, words, remedy) = match finding {
        Finding::Good(words) => (GOOD, "ok", words, ""),
        Finding::Care(words, remedy) => (CARE, "note", words, *remedy),
        Finding::Wrong(words, remedy) => (WRONG, "no", words, remedy.as_str()),
    };
    if say.is_json() {
        let value = serde_json::json!({"check": subject, "state": mark, "message": words, "remedy": remedy});
        say.json("check", value)?;
        return Ok(());
    }
    let mark = styled(style, format!("{mark:<4}"));
    told(say, &format!("{subject:>8}  {mark}  "), words)?;
    if !remedy.is_empty() {
        told(say, &" ".repeat(MARGIN), &format!("try: {remedy}"))?;
    }
    Ok(())
}

/// Words behind a margin, which is `title` in the first line.
fn told(say: &mut Say, title: &str, words: &str) -> anyhow::Result<()> {
    let room = layout::width().saturating_sub(MARGIN);
    let lines = words.lines().flat_map(|line| layout::wrapped(line, room));
    for (index, line) in lines.enumerate() {
        match index {
            0 => say.line(&format!("{title}{line}"))?,
            _ => say.line(&format!("{:MARGIN$}{line}", ""))?,
        }
    }
    Ok(())
}

fn host() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let words = format!(
        "{}, {cores} cores, {} MiB of memory available",
        fingerprint::processor(),
        kibibytes >> 10
    );
    if kibibytes < 512 << 10 {
        return Finding::Care(words, "512 MiB of free memory for parallel tests");
    }
    Finding::Good(words)
}

/// Version of the KVM interface: the only one since Linux 2.6.22.
const KVM_API: i32 = 12;

/// What the VMM needs of KVM, by its name there.
const NEEDED: [(Cap, &str); 4] = [
    (Cap::SplitIrqchip, "KVM_CAP_SPLIT_IRQCHIP"),
    (Cap::ReadonlyMem, "KVM_CAP_READONLY_MEM"),
    (Cap::SignalMsi, "KVM_CAP_SIGNAL_MSI"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
];

fn kvm() -> Finding {
    if let Err(error) = fs::File::options().read(true).write(true).open("/dev/kvm") {
        return kvm_closed(&error);
    }
    let not_kvm = |why: String| {
        Finding::Wrong(
            format!("/dev/kvm is there, but it does not answer as KVM: {why}"),
            "pass the host's own /dev/kvm into this container or VM".into(),
        )
    };
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(error) => return not_kvm(error.to_string()),
    };
    match kvm.get_api_version() {
        KVM_API => {}
        version => return not_kvm(format!("interface version {version}, not {KVM_API}")),
    }
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(capability, _)| !kvm.check_extension(*capability))
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Finding::Good("/dev/kvm may be used, interface version 12, nothing missing".into());
    }
    Finding::Wrong(
        format!("this KVM lacks {}", missing.join(", ")),
        "a Linux of 4.10 or later".into(),
    )
}

/// Why `/dev/kvm` cannot be opened, and what helps.
fn kvm_closed(error: &std::io::Error) -> Finding {
    match error.kind() {
        ErrorKind::NotFound => Finding::Wrong(
            "/dev/kvm is missing: this host has no KVM, or its module is not loaded".into(),
            "modprobe kvm_intel (or kvm_amd); in a VM or container, turn on nested\nvirtualisation or pass the device (--device /dev/kvm)".into(),
        ),
        ErrorKind::PermissionDenied => Finding::Wrong(
            "/dev/kvm is there, but you may not use it".into(),
            "sudo usermod -aG kvm $USER, then log in again".into(),
        ),
        _ => Finding::Wrong(format!("/dev/kvm: {error}"), "load the kvm module".into()),
    }
}

/// Boots a machine: the only proof that one can be booted.
fn boot(kind: BackendKind) -> Finding {
    let options = VmOptions::default().snapshot(SnapshotUse::Off);
    match options.backend(kind).boot() {
        Ok(vm) => Finding::Good(format!(
            "{} is ready on {kind} after {}",
            vm.ready().kernel,
            units::time(vm.boot_time())
        )),
        Err(error) => Finding::Wrong(
            format!("the kernel does not boot on {kind}: {error}"),
            String::new(),
        ),
    }
}

fn ring_zero() -> Finding {
    match fingerprint::calibrate() {
        Ok(Some(ring_zero)) if ring_zero.is_emulated() => Finding::Care(
            format!(
                "emulated: {:.0} ns a kernel instruction ({} in a null call)",
                ring_zero.instruction_ns(),
                ring_zero.call_instr
            ),
            "compare instruction counts, not times, from this host",
        ),
        Ok(Some(ring_zero)) => Finding::Good(format!(
            "native: {:.1} ns a kernel instruction ({} in a null call)",
            ring_zero.instruction_ns(),
            ring_zero.call_instr
        )),
        Ok(None) => Finding::Care(
            "instructions cannot be counted here".into(),
            "a KVM with single-stepping (KVM_CAP_SET_GUEST_DEBUG)",
        ),
        Err(error) => Finding::Wrong(format!("could not be measured: {error}"), String::new()),
    }
}

fn qemu() -> Finding {
    let missing = || {
        Finding::Wrong(
            "qemu-system-x86_64 is not installed".into(),
            "apt-get install qemu-system-x86 (only needed for MAYFLY_BACKEND=qemu)".into(),
        )
    };
    match Command::new("qemu-system-x86_64").arg("--version").output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Finding::Good(text.lines().next().unwrap_or_default().into())
        }
        _ => missing(),
    }
}

fn rust_target(target: &str) -> Finding {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output();
    let installed = output.is_ok_and(|output| {
        let path = String::from_utf8_lossy(&output.stdout);
        fs::metadata(path.trim()).is_ok_and(|metadata| metadata.is_dir())
    });
    if installed {
        return Finding::Good(format!("{target} is installed"));
    }
    Finding::Care(
        format!("{target} is not installed: guests cannot be rebuilt here"),
        "rustup target add x86_64-unknown-none x86_64-unknown-uefi",
    )
}
