//! Every row of every table, every other number, and how errors are spelled.

use mayfly_abi::table::Outcome;
use mayfly_abi::{Abi, patchwork, veridian, xeneva};

use super::{errno, one};
use crate::error::KernelError;
use crate::fake::Step;
use crate::fake::bench::{Bench, pause};
use crate::fake::image::DATA;
use crate::object::process::ProcessKey;
use crate::personality::{self, error_code, served};
use crate::port::Reason;
use crate::trace::set_register;

const ERR: u64 = patchwork::ERR;
const ENOSYS: u64 = 38;

/// Ring 3 makes a call with no argument but a readable extension block.
fn bare(abi: Abi, number: u64) -> Step {
    Box::new(move |_, frame| {
        set_register(frame, abi.convention().number, number);
        frame.r9 = DATA;
        // A descriptor that is none: what a file lacks, and what succeeds, may
        // answer as what is not there.
        match abi {
            Abi::Xeneva => frame.r13 = 99,
            Abi::Patchwork => frame.rdi = 99,
            Abi::Veridian => {}
        }
        Reason::Syscall
    })
}

/// The result of such a call; `None` when it does not return at once.
fn answer(bench: &mut Bench, key: ProcessKey, abi: Abi, number: u64) -> Option<u64> {
    bench.script(key, [bare(abi, number), pause()]);
    bench.kernel.machine.seen.clear();
    assert!(bench.turn());
    bench.returned()
}

/// The call answers as its interface does for what is not there.
fn is_unserved(abi: Abi, number: u64, result: Outcome) -> bool {
    let (mut bench, key) = one(abi);
    let answer = answer(&mut bench, key, abi, number);
    match abi {
        Abi::Xeneva => answer == Some(0),
        Abi::Patchwork => {
            let failure = if result == Outcome::Address { 0 } else { ERR };
            answer == Some(failure) && errno(&mut bench, key) == ENOSYS
        }
        Abi::Veridian => answer == Some(veridian::SyscallError::NotSupported.word()),
    }
}

#[test]
fn the_rows_that_are_served_are_those_listed() {
    for abi in Abi::ALL {
        for row in abi.rows() {
            let listed = served(abi).contains(&row.number);
            // These answer what an empty slot does: the files' and mappings' whenever
            // they fail, the others where there is no such process or key.
            let like_empty = [
                xeneva::nr::null_call,
                xeneva::nr::ReadFile,
                xeneva::nr::WriteFile,
                xeneva::nr::ProcessWaitForTermination,
                xeneva::nr::ObtainSharedMem,
                xeneva::nr::UnmapSharedMem,
                xeneva::nr::CreateMemMapping,
                xeneva::nr::UnmapMemMapping,
            ];
            let empty = abi == Abi::Xeneva && like_empty.contains(&row.number);
            let unserved = is_unserved(abi, row.number, row.result);
            assert_eq!(listed, empty || !unserved, "{abi:?} {row}");
        }
    }
}

#[test]
fn served_numbers_ascend_and_have_rows() {
    for abi in Abi::ALL {
        let numbers = served(abi);
        assert!(numbers.is_sorted_by(|one, other| one < other), "{abi:?}");
        assert!(numbers.iter().all(|number| abi.row(*number).is_some()));
    }
}

#[test]
fn an_empty_slot_of_xeneva_answers_0_and_a_number_out_of_range_minus_1() {
    let (mut bench, key) = one(Abi::Xeneva);
    let abi = Abi::Xeneva;
    for number in (0..82).filter(|number| abi.row(*number).is_none()) {
        assert_eq!(answer(&mut bench, key, abi, number), Some(0), "{number}");
    }
    for number in [
        82,
        83,
        9999,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        u64::MAX,
    ] {
        assert_eq!(
            answer(&mut bench, key, abi, number),
            Some(u64::MAX),
            "{number}"
        );
    }
}

#[test]
fn only_the_low_half_of_a_xeneva_number_counts() {
    let (mut bench, key) = one(Abi::Xeneva);
    let number = xeneva::nr::GetProcessID | 0xdead << 32;
    assert_eq!(answer(&mut bench, key, Abi::Xeneva, number), Some(2));
}

#[test]
fn a_patchwork_number_without_a_row_is_enosys() {
    let (mut bench, key) = one(Abi::Patchwork);
    for number in [34, 35, 0xff, 1 << 32, (1 << 32) | 5, u64::MAX] {
        assert_eq!(
            answer(&mut bench, key, Abi::Patchwork, number),
            Some(ERR),
            "{number}"
        );
        assert_eq!(errno(&mut bench, key), ENOSYS, "{number}");
    }
}

#[test]
fn an_unassigned_veridian_number_is_an_invalid_system_call() {
    let (mut bench, key) = one(Abi::Veridian);
    let abi = Abi::Veridian;
    let unassigned = (0..64).filter(|number| abi.row(*number).is_none());
    let expected = Some(0x8000_0000_0000_000e);
    for number in unassigned.chain([64, 1 << 32 | 42, 1 << 63 | 42, u64::MAX]) {
        assert_eq!(answer(&mut bench, key, abi, number), expected, "{number}");
    }
}

#[test]
fn a_veridian_call_of_nine_words_needs_its_extension_block_to_be_readable() {
    let (mut bench, key) = one(Abi::Veridian);
    for (address, error) in [
        (DATA, 9),
        (DATA + 8, 9),
        (DATA + 4, 11),
        (0, 11),
        (DATA + 0x8000 - 24, 11),
        (0xffff_ffff_ffff_fff8, 11),
    ] {
        let call: Step = Box::new(move |_, frame| {
            (frame.rax, frame.r9) = (veridian::nr::IPC_CALL, address);
            Reason::Syscall
        });
        bench.script(key, [call]);
        let frame = bench.registers(key);
        assert_eq!(frame.rax, veridian::ERROR_BIT | error, "{address:#x}");
    }
}

#[test]
fn a_call_changes_no_register_but_the_result() {
    for abi in Abi::ALL {
        for row in abi.rows() {
            let (mut bench, key) = one(abi);
            let fill: Step = Box::new(|_, frame| {
                (frame.rbx, frame.rcx, frame.rdx, frame.rsi) = (1, 2, 3, 4);
                (frame.rbp, frame.r8, frame.r10, frame.r11) = (5, 6, 7, 8);
                (frame.r12, frame.r13, frame.r14, frame.r15) = (9, 10, 11, 12);
                (frame.rdi, frame.rflags) = (13, 0x202);
                Reason::Interrupt
            });
            let entered: Step = Box::new(move |machine, frame| {
                let reason = bare(abi, row.number)(machine, frame);
                machine.seen.push(*frame);
                reason
            });
            bench.script(key, [fill, entered, pause()]);
            assert!(bench.turn() && bench.turn());
            if let [mut before, after] = bench.kernel.machine.seen[..] {
                before.rax = after.rax;
                assert_eq!(before, after, "{abi:?} {row}");
            }
        }
    }
}

const ERRORS: [(KernelError, u32, u32); 13] = {
    use KernelError::*;
    [
        (NullPointer, 22, 11),
        (Overflow, 75, 11),
        (BadAddress, 14, 11),
        (TooLong, 36, 1),
        (BadHandle, 9, 9),
        (NotPermitted, 13, 2),
        (InvalidArgument, 22, 1),
        (NotFound, 2, 3),
        (NotSupported, 38, 13),
        (NoMemory, 12, 5),
        (NoRoom, 24, 8),
        (TimedOut, 110, 7),
        (Unserved, 38, 13),
    ]
};

#[test]
fn an_error_has_one_spelling_in_each_interface() {
    for (error, errno, code) in ERRORS {
        assert_eq!(
            personality::patchwork::error::errno(error).code(),
            errno,
            "{error:?}"
        );
        assert_eq!(
            personality::veridian::error::syscall_error(error).code(),
            code,
            "{error:?}"
        );
    }
}

#[test]
fn a_result_tells_its_error() {
    use patchwork::nr::{GETTID, MMAP, WRITE};
    for (abi, number, result, code) in [
        (Abi::Xeneva, xeneva::nr::ProcessSleep, u64::MAX, 1),
        (Abi::Xeneva, xeneva::nr::ProcessSleep, 1, 0),
        (Abi::Xeneva, xeneva::nr::ProcessSleep, 0, 0),
        (Abi::Xeneva, xeneva::nr::ObtainSharedMem, 0, 1),
        (Abi::Xeneva, xeneva::nr::ObtainSharedMem, 0x8000_0000, 0),
        (Abi::Xeneva, 9999, u64::MAX, 1),
        (Abi::Xeneva, 18, 0, 0),
        (Abi::Patchwork, WRITE, ERR, 7),
        (Abi::Patchwork, WRITE, 0, 0),
        (Abi::Patchwork, GETTID, 0, 0),
        (Abi::Patchwork, MMAP, 0, 7),
        (Abi::Patchwork, MMAP, 0x40_0000, 0),
        (Abi::Patchwork, 34, ERR, 7),
        (Abi::Veridian, veridian::nr::WRITE, 5, 0),
        (
            Abi::Veridian,
            veridian::nr::WRITE,
            veridian::ERROR_BIT | 9,
            9,
        ),
        (Abi::Veridian, 0, veridian::ERROR_BIT | 14, 14),
    ] {
        assert_eq!(
            error_code(abi, number, result, 7),
            code,
            "{abi:?} {number} {result:#x}"
        );
    }
}
