//! How long a machine takes to make, run and destroy.
//!
//! Prints medians for a kernel of three instructions that ends through the exit
//! port, for several sizes of memory, and what a run costs that only stops.

use std::time::{Duration, Instant};

use mayfly_machine::layout;
use mayfly_vmm::{Config, Error, Stop, Vm};

/// `mov edx, 0xf4; mov eax, 1; out dx, eax`.
const CODE: [u8; 11] = [0xba, 0xf4, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xef];
const ROUNDS: usize = 400;

/// The smallest kernel: one segment, one note with the direct entry.
fn kernel() -> Vec<u8> {
    let entry = layout::KERNEL_BASE + layout::KERNEL_LOAD;
    let mut note: Vec<u8> = [7_u32, 24, 2].map(u32::to_le_bytes).concat();
    note.extend(b"Mayfly\0\0");
    note.extend(
        [1, entry, layout::DIRECT_MAP_BASE]
            .map(u64::to_le_bytes)
            .concat(),
    );
    let code_at = 64 + 2 * 56;
    let note_at = code_at + CODE.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([entry, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 2, 64, 0, 0].map(u16::to_le_bytes).concat());
    let code = (code_at, CODE.len() as u64);
    let note_size = (note_at, note.len() as u64);
    for (kind, flags, (at, size), virt, phys) in [
        (1_u32, 5_u32, code, entry, layout::KERNEL_LOAD),
        (4, 4, note_size, 0, 0),
    ] {
        elf.extend([kind, flags].map(u32::to_le_bytes).concat());
        elf.extend(
            [at, virt, phys, size, size, 4]
                .map(u64::to_le_bytes)
                .concat(),
        );
    }
    elf.extend(CODE);
    elf.extend(note);
    elf
}

fn median(mut times: Vec<Duration>) -> u128 {
    times.sort();
    times[times.len() / 2].as_micros()
}

#[expect(clippy::print_stdout, reason = "printing is what this is for")]
fn main() -> Result<(), Error> {
    let kernel = kernel();
    for mebibytes in [4, 64, 1024] {
        let config = Config {
            memory_bytes: mebibytes << 20,
            ..Config::default()
        };
        let (mut create, mut run, mut destroy) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut vm = Vm::new(&config, &kernel, &[])?;
            let created = Instant::now();
            let stop = vm.run(created + Duration::from_secs(1))?;
            let ran = Instant::now();
            drop(vm);
            create.push(created - start);
            run.push(ran - created);
            destroy.push(ran.elapsed());
            assert_eq!(stop, Stop::Exit(1));
        }
        let (create, run, destroy) = (median(create), median(run), median(destroy));
        println!("{mebibytes} MiB: create {create} us, run {run} us, destroy {destroy} us");
    }
    Ok(())
}
