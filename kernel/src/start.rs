//! From the boot entry to ready.

use core::fmt::Write;

use mayfly_arch::boot::{Boot, Options};
use mayfly_arch::clock::{self, Clock};
use mayfly_arch::hardware::Hardware;
use mayfly_arch::serial::Serial;
use mayfly_arch::virtio::console::Console;
use mayfly_arch::{apic, cpu, exit, trap};
use mayfly_core::kernel::Kernel;
use mayfly_core::port::{Machine, PAGE_SIZE, PageFrame};
use mayfly_machine::exit::EXIT_BOOT;
use mayfly_machine::layout::DIRECT_MAP_BASE;
use mayfly_wire::VERSION;
use mayfly_wire::message::{Event, Ready};

use crate::link::Link;
use crate::runner::{self, Pc};
use crate::{agent::Agent, panic};

/// Called by both boot entries (`kernel/arch/src/boot.s`) on the boot stack.
#[unsafe(no_mangle)]
extern "C" fn start(start_info: u64, direct: u64) -> ! {
    let entered_tsc = clock::ticks();
    trap::on_fatal(panic::fatal_trap);
    // SAFETY: the entries pass on what the loader gave them; the loader's
    // tables stay as they are (the frame allocator starts behind the kernel).
    let boot = match unsafe { Boot::read(start_info, direct != 0) } {
        Ok(boot) => boot,
        Err(error) => refuse(&error),
    };
    let options = boot.options();
    let protections = cpu::initialise(!options.no_smap);
    apic::initialise();
    let clock = Clock::new(entered_tsc);
    // SAFETY: called once, with the loader's own words.
    let hardware = match unsafe { Hardware::new(&boot, clock, options.epoch) } {
        Ok(hardware) => hardware,
        Err(error) => refuse(&error),
    };
    let console = find_console(&options);
    let link = Link::new(console);
    let mut kernel: Kernel<Pc> = Kernel::new(hardware, link);
    add_bundles(&mut kernel, &boot);
    let ready = Ready {
        version: VERSION,
        kernel: concat!("mayfly-kernel ", env!("CARGO_PKG_VERSION")),
        direct: boot.direct,
        entered_tsc,
        ready_tsc: clock::ticks(),
        tsc_khz: kernel.machine.clock().tsc_khz(),
        protections: protections.bits(),
        frames_free: kernel.machine.frames_free(),
    };
    kernel.host.send(&Event::Ready(ready));
    runner::run(&mut kernel, &mut Agent::default())
}

fn find_console(options: &Options) -> Console {
    for &(base, gsi) in options.mmio_devices.iter().flatten() {
        match Console::start(base) {
            Ok(console) => {
                apic::route(gsi);
                return console;
            }
            Err(error) => {
                // Another device may be the one; if none is, this says why.
                let _ = writeln!(Serial, "mayfly-kernel: virtio-mmio at {base:#x}: {error:?}");
            }
        }
    }
    refuse(&"no virtio-console is announced on the command line (virtio_mmio.device=...)")
}

fn add_bundles(kernel: &mut Kernel<Pc>, boot: &Boot) {
    for module in boot.modules() {
        let first = PageFrame((module.as_ptr() as u64 - DIRECT_MAP_BASE) / PAGE_SIZE);
        if kernel.bundles.add(module, first).is_err() {
            kernel
                .host
                .log(format_args!("a boot module is not a bundle and is ignored"));
        }
    }
}

/// This machine cannot be booted on: says why on COM1 and ends it.
fn refuse(why: &dyn core::fmt::Debug) -> ! {
    let _ = writeln!(Serial, "mayfly-kernel: cannot boot: {why:?}");
    exit::exit(EXIT_BOOT)
}
