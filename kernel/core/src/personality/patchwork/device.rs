//! What PatchworkOS has in its file tree from the beginning.
//!
//! The layout is that of specs/patchwork.md §12.

use crate::object::inode::{Device, Seed, SeedKind, Seeds, System};
use crate::object::usage::Usage;

/// The root directory.
pub(crate) const LAYOUT: Seeds = Seeds::List(&[
    directory("acpi", System::Devices, Seeds::None),
    directory("bin", System::Memory, Seeds::Programs),
    directory("cfg", System::Memory, Seeds::None),
    directory("dev", System::Devices, Seeds::List(DEVICES)),
    directory("efi", System::Memory, Seeds::None),
    directory("home", System::Memory, Seeds::None),
    directory("kernel", System::Memory, Seeds::None),
    directory("lib", System::Memory, Seeds::None),
    directory("net", System::Devices, Seeds::List(NET)),
    directory("proc", System::Processes, Seeds::Processes),
    directory("sys", System::Devices, Seeds::None),
    directory("tmp", System::Memory, Seeds::None),
    directory("usr", System::Memory, Seeds::List(USER)),
    directory("var", System::Memory, Seeds::None),
]);

/// `/usr`.
const USER: &[Seed] = &[
    directory("bin", System::Memory, Seeds::None),
    directory("share", System::Memory, Seeds::None),
    directory("license", System::Memory, Seeds::None),
];

/// `/dev`.
const DEVICES: &[Seed] = &[
    device("null", Device::Null),
    device("zero", Device::Zero),
    device("one", Device::One),
    device("klog", Device::Log),
    directory("perf", System::Devices, Seeds::List(USAGE)),
    directory("pipe", System::Devices, Seeds::List(PIPES)),
    directory("shmem", System::Devices, MEMORY),
    directory("tty", System::Devices, Seeds::List(TERMINAL)),
];

/// `/dev/perf`.
const USAGE: &[Seed] = &[
    device("cpu", Device::Usage(Usage::Processor)),
    device("mem", Device::Usage(Usage::Memory)),
    // Not one of PatchworkOS, which has none.
    device("caps", Device::Usage(Usage::Capabilities)),
];

/// `/dev/shmem`: besides new memory, that under keys (specs/xeneva.md §3.9),
/// which are its names in decimal.
const MEMORY: Seeds = Seeds::Segments("new", Device::NewMemory);

/// `/dev/tty`, which PatchworkOS does not have (`terminal.rs`).
const TERMINAL: &[Seed] = &[
    device("data", Device::Terminal),
    device("ctl", Device::TerminalControl),
];

/// `/dev/pipe`.
const PIPES: &[Seed] = &[device("new", Device::NewPipe)];

/// `/net`.
const NET: &[Seed] = &[directory("local", System::Devices, Seeds::List(LOCAL))];

/// `/net/local`, where each socket has a directory too.
const LOCAL: &[Seed] = &[
    device("seqpacket", Device::NewSocket),
    directory("listen", System::Devices, Seeds::None),
];

const fn directory(name: &'static str, system: System, seeds: Seeds) -> Seed {
    Seed {
        name,
        kind: SeedKind::Directory(system, seeds),
    }
}

const fn device(name: &'static str, device: Device) -> Seed {
    Seed {
        name,
        kind: SeedKind::Device(device),
    }
}
