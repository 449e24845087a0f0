//! Executables that went wrong, by the hundred: the kernel refuses or runs them,
//! and has afterwards what it had before.
//!
//! Purpose: PE and ELF images with words, bytes and lengths changed, each given
//! to ProcessLoadExec, SPAWN and PROCESS_CREATE (to one of them where KVM
//! interprets the kernel). The seed is printed;
//! `MAYFLY_SEED` says another. Neighbours: `../xeneva/images.rs` has the fields
//! one by one, `kernel/core/src/loader` the loader against a host.

use mayfly::image;
use mayfly::prelude::*;

use crate::start::needed;

/// Images that are made.
const IMAGES: usize = 210;
/// Images that one set of makers is given. Those that run for ever stay until
/// then, and take their turns.
const BATCH: usize = 3;
/// Bytes at the beginning that changes are in: headers and tables.
const HEADERS: u64 = 1024;
const SEED: u64 = 20_260_801;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn place(&mut self, end: u64) -> usize {
        usize::try_from(self.below(end)).expect("it is small")
    }
}

/// Values at which something changes.
const VALUES: [u64; 14] = [
    0,
    1,
    0xfff,
    0x1000,
    0x1001,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_f000,
    0xffff_ffff,
    0x7fff_ffff_f000,
    0x8000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_f000,
    u64::MAX,
];

/// An image with something wrong in one to four places.
fn mutated(random: &mut Random, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.place(HEADERS.min(bytes.len() as u64 - 8));
        let value = VALUES[random.place(14)].to_le_bytes();
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next().to_le_bytes()[0],
            2 => bytes[at..at + 2].copy_from_slice(&value[..2]),
            3 | 4 => bytes[at & !3..][..4].copy_from_slice(&value[..4]),
            5 | 6 => bytes[at & !7..][..8].copy_from_slice(&value),
            _ => {
                let length = 64 + random.place(bytes.len() as u64 - 64);
                bytes.truncate(length);
            }
        }
    }
    bytes
}

/// Every image, with the interface that it was made from.
fn images() -> impl Iterator<Item = (usize, Vec<u8>)> {
    let given = std::env::var("MAYFLY_SEED").ok();
    let seed = given.map_or(SEED, |seed| seed.parse().expect("a number"));
    eprintln!("MAYFLY_SEED={seed}");
    let mut random = Random(seed);
    let whole = ["xeneva-null", "patchwork-null", "veridian-null"]
        .map(|name| needed(image::program(name).expect("bundled").bytes));
    (0..IMAGES).map(move |number| (number, mutated(&mut random, whole[number % 3])))
}

/// What became of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Refused,
    Loaded,
    /// It ended in a way that either may have.
    Unknown,
}

/// Status of a child of PatchworkOS whose image is none.
const ESPAWNFAIL: &[u8] = b"138";

/// Who is given the images.
struct Makers<'vm> {
    xeneva: Probe<'vm>,
    patchwork: Probe<'vm>,
    veridian: Probe<'vm>,
}

impl<'vm> Makers<'vm> {
    fn new(vm: &'vm Vm) -> Result<Self> {
        Ok(Self {
            xeneva: vm.probe(Abi::Xeneva)?,
            patchwork: vm.probe(Abi::Patchwork)?,
            veridian: vm.probe(Abi::Veridian)?,
        })
    }

    /// Gives one of them an image. Whether it runs or not is theirs to say, but
    /// a refusal is of the documented kind.
    fn give(&self, to: Abi, number: usize, bytes: &[u8]) -> Result<Fate> {
        match to {
            Abi::Xeneva => self.load_exec(number, bytes),
            Abi::Patchwork => self.spawn(number, bytes),
            Abi::Veridian => self.process_create(number, bytes),
        }
    }

    /// Writes a file.
    fn write(&self, bytes: &[u8]) -> Result<()> {
        let open = args![text("/tmp/image.exe"), 6];
        let fd = self.xeneva.call(xeneva::OpenFile, open)?;
        let fd = fd.result.expect("open");
        for part in bytes.chunks(48 << 10) {
            let write = args![fd, input(part), part.len()];
            let written = self.xeneva.call(xeneva::WriteFile, write)?;
            assert_eq!(written.value, part.len() as u64);
        }
        self.xeneva.call(xeneva::CloseFile, args![fd]).map(drop)
    }

    /// Takes the file away again.
    fn remove(&self) -> Result<()> {
        let path = args![text("/tmp/image.exe")];
        let removed = self.patchwork.call(patchwork::REMOVE, path)?;
        assert_eq!(removed.result, Ok(0));
        Ok(())
    }

    /// ProcessLoadExec: with a refusal the slot is gone.
    fn load_exec(&self, number: usize, bytes: &[u8]) -> Result<Fate> {
        self.write(bytes)?;
        let create = args![0, text("image")];
        let slot = self.xeneva.call(xeneva::CreateProcess, create)?;
        let slot = slot.result.expect("a slot");
        let load = args![slot, text("/tmp/image.exe"), 0, 0];
        let loaded = self.xeneva.call(xeneva::ProcessLoadExec, load)?;
        if loaded.result.is_err() {
            let wait = args![slot];
            let over = self.xeneva.call(xeneva::ProcessWaitForTermination, wait)?;
            assert_eq!(over.value, 0, "image {number}: its slot is over");
        }
        self.remove()?;
        Ok(loaded.result.map_or(Fate::Refused, |_| Fate::Loaded))
    }

    /// SPAWN: the image is loaded in the child's first turn; its status says how
    /// that went.
    fn spawn(&self, number: usize, bytes: &[u8]) -> Result<Fate> {
        self.write(bytes)?;
        let argument = BUFFER + 16;
        let mut array = argument.to_le_bytes().to_vec();
        array.extend(0_u64.to_le_bytes());
        array.extend(b"/tmp/image.exe\0");
        let spawned = self
            .patchwork
            .call(patchwork::SPAWN, args![input(array), 0])?;
        assert!(spawned.result.is_ok(), "image {number}: {spawned:?}");
        let path = format!("/proc/{}/wait", spawned.value);
        let wait = self.patchwork.call(patchwork::OPEN, args![text(&path)])?;
        let wait = wait.result.expect("it is new");
        self.patchwork.call(patchwork::YIELD, args![])?;
        let pollfd = [wait, 1].map(u64::to_le_bytes).concat();
        let poll = args![inout(pollfd), 1, 0];
        let ended = self.patchwork.call(patchwork::POLL, poll)?.result == Ok(1);
        // What is refused ends in its first turn, which it had.
        let mut fate = Fate::Loaded;
        if ended {
            let read = args![wait, out(16), 16];
            let read = self.patchwork.call(patchwork::READ, read)?;
            let length = usize::try_from(read.value).expect("a length");
            fate = match &read.buffers[0][..length] {
                ESPAWNFAIL => Fate::Refused,
                b"0" => Fate::Loaded,
                // A fault's status is an error's, too.
                _ => Fate::Unknown,
            };
        }
        self.patchwork.call(patchwork::CLOSE, args![wait])?;
        self.remove()?;
        Ok(fate)
    }

    /// PROCESS_CREATE.
    fn process_create(&self, number: usize, bytes: &[u8]) -> Result<Fate> {
        let create = args![input(bytes), bytes.len(), 0, 0, 0, 0];
        match self.veridian.call(veridian::PROCESS_CREATE, create)?.result {
            Ok(child) => {
                self.veridian.call(veridian::PROCESS_START, args![child])?;
                let wait = args![child, 1_000_000, out(48)];
                let waited = self.veridian.call(veridian::PROCESS_WAIT, wait)?;
                assert!(
                    matches!(waited.result, Ok(0) | Err("Timeout")),
                    "{waited:?}"
                );
                Ok(Fate::Loaded)
            }
            Err(error) => {
                let known = ["InvalidParameter", "NotSupported", "OutOfMemory"];
                assert!(known.contains(&error), "image {number}: {error}");
                Ok(Fate::Refused)
            }
        }
    }

    /// Ends them, and whatever came of the images.
    fn close(self) -> Result<()> {
        self.xeneva.close()?;
        self.patchwork.close()?;
        self.veridian.close()
    }
}

#[mayfly::test(
    run_timeout = "30s",
    covers = "xeneva ProcessLoadExec FAILED, patchwork SPAWN, veridian PROCESS_CREATE InvalidParameter"
)]
fn malformed_images_harm_nothing(vm: Vm) -> Result<()> {
    // What the first images leave (directories, tables) stays.
    let settle = Makers::new(&vm)?;
    let whole = needed(image::program("patchwork-null").expect("bundled").bytes);
    for abi in Abi::ALL {
        settle.give(abi, 0, whole)?;
    }
    settle.close()?;
    let before = vm.stats()?;
    let all = mayfly::rounds(&vm, 0, 1) == 1;
    let images: Vec<(usize, Vec<u8>)> = images().collect();
    assert!(images.len() >= 200);
    let mut fates = Vec::new();
    for batch in images.chunks(BATCH) {
        let makers = Makers::new(&vm)?;
        for (number, bytes) in batch {
            for (way, abi) in Abi::ALL.into_iter().enumerate() {
                // Where ring 0 is interpreted, each image goes one way.
                if all || number / 3 % 3 == way {
                    fates.push((abi, makers.give(abi, *number, bytes)?));
                }
            }
        }
        makers.close()?;
        vm.ping()?;
        let after = vm.stats()?;
        assert_eq!(
            (after.frames_free, after.processes, after.threads),
            (before.frames_free, before.processes, before.threads),
            "images {} to {}",
            batch[0].0,
            batch[batch.len() - 1].0,
        );
    }
    for abi in Abi::ALL {
        for fate in [Fate::Refused, Fate::Loaded] {
            assert!(fates.contains(&(abi, fate)), "{abi:?}: none was {fate:?}");
        }
        let hello = vm.spawn(&format!("{}-hello", abi.name())).arg("x").run()?;
        assert!(hello.status.success(), "{abi:?}");
    }
    Ok(())
}
